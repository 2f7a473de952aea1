variable "members" {
  description = "Role by login at GitHub: owner, admin or member. Keep one owner out of it, who made the organization."
  type        = map(string)
  default = {
    octocat = "admin"
    hubot   = "member"
  }
}

variable "webhook_url" {
  description = "Where the team's receiver is."
  type        = string
  default     = "https://example.com/hooks/dcvaas"
}

variable "webhook_secret" {
  description = "Signs what the receiver gets: `printf whsec_; openssl rand -base64 32`."
  type        = string
  ephemeral   = true
}

variable "webhook_secret_version" {
  description = "Raise it to have another webhook_secret sent."
  type        = number
  default     = 1
}
