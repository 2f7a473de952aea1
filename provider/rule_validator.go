package provider

import (
	"context"
	"errors"

	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

// ruleValidator accepts the strings that a rule accepts, so that a plan reports what the API would
// reject.
type ruleValidator struct {
	description string // "must be …"
	summary     string // of the diagnostic
	check       func(string) error
}

var (
	nameValidator = ruleValidator{
		"must be a domain name, in any case, with or without a trailing dot, in Unicode or A-labels", "Invalid domain name",
		func(s string) error { _, err := rules.ParseName(s); return err },
	}
	csrValidator = ruleValidator{
		"must be one PKCS#10 CSR in PEM, with a key on P-256 or P-384, or an RSA key of 2048, 3072, or 4096 bits", "Invalid CSR",
		func(s string) error { _, err := rules.ParseCSR(s); return err },
	}
	profileValidator = ruleValidator{"must be the name of an ACME profile", "Invalid profile",
		rules.CheckProfile}
	chainValidator = ruleValidator{
		"must be the common name of a root certificate", "Invalid preferred chain",
		rules.CheckPreferredChain,
	}
	labelKeyValidator = ruleValidator{
		"must be 1 to 63 letters, digits, and ._/-, starting and ending with a letter or digit",
		"Invalid label",
		rules.CheckLabelKey,
	}
	labelValueValidator = ruleValidator{"must have at most 255 bytes", "Invalid label",
		rules.CheckLabelValue}
	// A service in development may accept loopback hosts.
	webhookURLValidator = ruleValidator{
		"must be an https URL such as https://example.com/hooks/dcvaas, with a host on the public Internet", "Invalid webhook URL",
		func(s string) error { return rules.CheckWebhookURL(s, true) },
	}
	webhookSecretValidator = ruleValidator{
		`must be "whsec_" followed by 24 to 64 bytes in base64`, "Invalid webhook secret",
		func(s string) error { _, err := rules.WebhookKey(s); return err },
	}
)

func (v ruleValidator) Description(context.Context) string { return v.description }

func (v ruleValidator) MarkdownDescription(context.Context) string { return v.description }

func (v ruleValidator) ValidateString(
	_ context.Context, req validator.StringRequest, resp *validator.StringResponse,
) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	err := v.check(req.ConfigValue.ValueString())
	if rule, ok := errors.AsType[*rules.Error](err); ok && rule.Code == rules.CodeUnknownTLD {
		// The service may have a newer list, and rejects the name itself.
		resp.Diagnostics.AddAttributeWarning(req.Path, v.summary, sentence(err.Error()))
	} else if err != nil {
		resp.Diagnostics.AddAttributeError(req.Path, v.summary, sentence(err.Error()))
	}
}
