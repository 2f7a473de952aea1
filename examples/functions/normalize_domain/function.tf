# "xn--bcher-kva.example.com"
output "name" {
  value = provider::dcvaas::normalize_domain("Bücher.example.com")
}
