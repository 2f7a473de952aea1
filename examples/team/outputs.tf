output "members" {
  description = "Who has signed in already."
  value       = { for login, member in dcvaas_organization_member.team : login => member.joined }
}

output "pipeline_token" {
  description = "For the pipeline's secrets."
  value       = dcvaas_api_token.pipeline.token
  sensitive   = true
}
