package rules

// Limits of an API token.
const (
	MaxTokenNameLength = 200 // characters
	MaxTokenDomains    = 500
)
