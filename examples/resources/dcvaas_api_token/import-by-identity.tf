import {
  to = dcvaas_api_token.web_server
  identity = {
    id = "tok_01k9z5w7r8e4bs6v0q1d2m3n4p"
  }
}
