variable "members" {
  description = "Role by GitHub login: owner, admin, or member. Omit the owner who created the organization."
  type        = map(string)
  default = {
    octocat = "admin"
    hubot   = "member"
  }
}

variable "webhook_url" {
  description = "URL of the team's webhook receiver."
  type        = string
  default     = "https://example.com/hooks/dcvaas"
}

variable "webhook_secret" {
  description = "Secret that signs events: `printf whsec_; openssl rand -base64 32`."
  type        = string
  ephemeral   = true
}

variable "webhook_secret_version" {
  description = "Increase it to send a new webhook_secret."
  type        = number
  default     = 1
}
