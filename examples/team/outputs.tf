output "members" {
  description = "State of each member: pending, active, declined, or expired."
  value       = { for login, member in dcvaas_organization_member.team : login => member.state }
}

output "pipeline_token" {
  description = "API token for the pipeline's secrets."
  value       = dcvaas_api_token.pipeline.token
  sensitive   = true
}
