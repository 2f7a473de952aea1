package provider

import (
	"context"
	"regexp"

	"github.com/hashicorp/terraform-plugin-log/tflog"
)

// Patterns of secrets that are masked in logs.
var (
	tokenPattern  = regexp.MustCompile(`dcv_[0-9A-Za-z]{20,}`)
	bearerPattern = regexp.MustCompile(`(?i)bearer [^\s"]+`)
	keyPattern    = regexp.MustCompile(
		`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)`)
)

// logTo returns the client's log hook. It logs to Terraform's log at DEBUG, with secrets masked.
// The client passes no secrets; the masks are a safeguard for the texts of errors.
func logTo(token string) func(ctx context.Context, msg string, fields map[string]any) {
	return func(ctx context.Context, msg string, fields map[string]any) {
		if token != "" {
			ctx = tflog.MaskLogStrings(ctx, token)
		}
		ctx = tflog.MaskLogRegexes(ctx, tokenPattern, bearerPattern, keyPattern)
		tflog.Debug(ctx, msg, fields)
	}
}
