import {
  to = dcvaas_acmedns_account.mail
  identity = {
    id = "ada_01k9z5w7r8e4bs6v0q1d2m3n4p"
  }
}
