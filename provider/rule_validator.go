package provider

import (
	"context"
	"errors"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

// ruleValidator accepts the strings that a rule accepts, so that a plan reports what the API would
// reject.
type ruleValidator struct {
	description string // "must be …"
	summary     string // of the diagnostic
	check       func(string) error
	// newer reports whether a newer service may accept what the rule rejects. Then, the diagnostic
	// is a warning, and the service decides.
	newer func(value, code string) bool
}

var (
	nameValidator = ruleValidator{
		description: "must be a domain name, in any case, with or without a trailing dot, in Unicode or A-labels",
		summary:     "Invalid domain name",
		check:       func(s string) error { _, err := rules.ParseName(s); return err },
		newer:       func(_, code string) bool { return code == rules.CodeUnknownTLD },
	}
	additionalNameValidator = ruleValidator{
		description: "must be a domain name, or a wildcard such as *.example.com, in any case, with or without a trailing dot, in Unicode or A-labels",
		summary:     "Invalid additional name",
		check:       func(s string) error { _, err := rules.ParseAdditionalName(s); return err },
		newer:       func(_, code string) bool { return code == rules.CodeUnknownTLD },
	}
	keyTypeValidator = ruleValidator{
		description: "must be " + strings.Join(rules.KeyTypes(), ", "),
		summary:     "Invalid key type", check: rules.CheckKeyType,
	}
	csrValidator = ruleValidator{
		description: "must be one PKCS#10 CSR in PEM, with a key on P-256 or P-384, or an RSA key of 2048, 3072, or 4096 bits",
		summary:     "Invalid CSR",
		check:       func(s string) error { _, err := rules.ParseCSR(s); return err },
	}
	profileValidator = ruleValidator{description: "must be the name of an ACME profile",
		summary: "Invalid profile", check: rules.CheckProfile}
	chainValidator = ruleValidator{description: "must be the common name of a root certificate",
		summary: "Invalid preferred chain", check: rules.CheckPreferredChain}
	caValidator = ruleValidator{description: "must have 1 to 64 characters",
		summary: "Invalid CA", check: rules.CheckCA}
	labelKeyValidator = ruleValidator{
		description: "must be 1 to 63 letters, digits, and ._/-, starting and ending with a letter or digit",
		summary:     "Invalid label", check: rules.CheckLabelKey,
	}
	labelValueValidator = ruleValidator{description: "must have at most 255 characters",
		summary: "Invalid label", check: rules.CheckLabelValue}
	tokenNameValidator = ruleValidator{
		description: "must have 1 to 200 characters, and not only white space",
		summary:     "Invalid name",
		check:       func(s string) error { _, err := rules.DisplayName(s); return err },
	}
	scopeValidator = ruleValidator{
		description: "must be a scope such as domains:read",
		summary:     "Invalid scope", check: rules.CheckScope,
		newer: func(s, _ string) bool { return scopeForm.MatchString(s) },
	}
	timeValidator = ruleValidator{
		description: "must be an RFC 3339 time in the years 1 to 9999 in UTC",
		summary:     "Invalid time",
		check:       func(s string) error { _, err := rules.ParseTime(s); return err },
	}
	loginValidator = ruleValidator{description: "must be a GitHub login such as octocat",
		summary: "Invalid login", check: rules.CheckLogin}
	// A service in development may accept loopback hosts.
	webhookURLValidator = ruleValidator{
		description: "must be an https URL such as https://example.com/hooks/dcvaas, with a host on the public Internet",
		summary:     "Invalid webhook URL",
		check:       func(s string) error { return rules.CheckWebhookURL(s, true) },
	}
	webhookSecretValidator = ruleValidator{
		description: `must be "whsec_" followed by 24 to 64 bytes in base64`,
		summary:     "Invalid webhook secret",
		check:       func(s string) error { _, err := rules.WebhookKey(s); return err },
	}
	networkValidator = ruleValidator{
		description: "must be a network in CIDR notation, such as 192.0.2.0/24",
		summary:     "Invalid network",
		check:       func(s string) error { _, err := rules.ParseNetwork(s); return err },
	}
	descriptionValidator = ruleValidator{description: "must have at most 200 characters",
		summary: "Invalid description", check: rules.CheckDescription}
)

func (v ruleValidator) Description(context.Context) string { return v.description }

func (v ruleValidator) MarkdownDescription(context.Context) string { return v.description }

func (v ruleValidator) ValidateString(
	_ context.Context, req validator.StringRequest, resp *validator.StringResponse,
) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	value := req.ConfigValue.ValueString()
	err := v.check(value)
	if rule, ok := errors.AsType[*rules.Error](err); ok && v.newer != nil &&
		v.newer(value, rule.Code) {
		resp.Diagnostics.AddAttributeWarning(req.Path, v.summary, sentence(err.Error()))
	} else if err != nil {
		resp.Diagnostics.AddAttributeError(req.Path, v.summary, sentence(err.Error()))
	}
}
