# "_acme-challenge.example.com"
output "challenge_name" {
  value = provider::dcvaas::challenge_name("Example.COM.")
}
