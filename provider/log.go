package provider

import (
	"context"
	"regexp"

	"github.com/hashicorp/terraform-plugin-log/tflog"
)

// What never stands in a log: tokens of DCVaaS, credentials in headers and private keys.
var (
	tokenPattern  = regexp.MustCompile(`dcv_[0-9A-Za-z]{20,}`)
	bearerPattern = regexp.MustCompile(`(?i)bearer [^\s"]+`)
	keyPattern    = regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)`)
)

// logTo returns the client's log hook: lines of Terraform's log at DEBUG, with secrets masked. The client passes none;
// the masks stand in case that an error's text should ever hold one.
func logTo(token string) func(ctx context.Context, msg string, fields map[string]any) {
	return func(ctx context.Context, msg string, fields map[string]any) {
		if token != "" {
			ctx = tflog.MaskLogStrings(ctx, token)
		}
		ctx = tflog.MaskLogRegexes(ctx, tokenPattern, bearerPattern, keyPattern)
		tflog.Debug(ctx, msg, fields)
	}
}
