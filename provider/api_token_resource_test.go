package provider

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfversion"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

const tokenAddress = "dcvaas_api_token.test"

var (
	tokenIDText = regexp.MustCompile(`^tok_[0-9a-z]{26}$`)
	secretText  = regexp.MustCompile(`^dcv_[0-9A-Za-z]{36}$`)
)

// tokenConfig is the configuration of a token with the scope domains:read and more attributes.
func (a *acc) tokenConfig(name, attributes string) string {
	return a.config(
		"resource \"dcvaas_api_token\" \"test\" {\n  name = %q\n  scopes = [\"jobs:read\", \"domains:read\"]\n%s\n}", name, attributes)
}

func tokenAction(a plancheck.ResourceActionType) plancheck.PlanCheck {
	return plancheck.ExpectResourceAction(tokenAddress, a)
}

func tokenState(name string, check knownvalue.Check) statecheck.StateCheck {
	return statecheck.ExpectKnownValue(tokenAddress, at(name), check)
}

func unknownOfToken(names ...string) []plancheck.PlanCheck {
	var out []plancheck.PlanCheck
	for _, n := range names {
		out = append(out, plancheck.ExpectUnknownValue(tokenAddress, at(n)))
	}
	return out
}

func TestAccAPIToken_basic(t *testing.T) {
	a := newAcc(t)
	a.run(
		resource.TestStep{
			Config: a.tokenConfig("basic", ""),
			ConfigPlanChecks: pre(append(unknownOfToken("id", "token", "token_prefix",
				"created_at"), tokenAction(plancheck.ResourceActionCreate),
				plancheck.ExpectSensitiveValue(tokenAddress, at("token")),
				plancheck.ExpectKnownValue(tokenAddress, at("expires_at"), knownvalue.Null()),
				plancheck.ExpectKnownValue(tokenAddress, at("ready_for_rotation"),
					knownvalue.Bool(false)))...),
			ConfigStateChecks: []statecheck.StateCheck{
				tokenState("id", knownvalue.StringRegexp(tokenIDText)),
				tokenState("token", knownvalue.StringRegexp(secretText)),
				statecheck.ExpectSensitiveValue(tokenAddress, at("token")),
				tokenState("scopes", knownvalue.SetExact(
					[]knownvalue.Check{knownvalue.StringExact("domains:read"),
						knownvalue.StringExact("jobs:read")})),
				tokenState("domain_ids", knownvalue.Null()),
				tokenState("expires_at", knownvalue.Null()),
			},
			// the returned token authenticates, with these scopes
			Check: func(s *terraform.State) error {
				c := a.clientWith(
					s.RootModule().Resources[tokenAddress].Primary.Attributes["token"])
				if _, err := c.Delegation(context.Background(), "example.com"); err != nil {
					return err
				}
				if _, err := c.CreateDomain(context.Background(),
					client.DomainCreate{Name: a.domain()}); !client.IsForbidden(err) {
					return errors.New("it may do more than its scopes")
				}
				return nil
			},
		},
	)
}

// A new name keeps the secret. A change of the expiry or of rotate_when_changed rotates it. A
// change of scopes or domains replaces the token.
func TestAccAPIToken_update(t *testing.T) {
	a := newAcc(t)
	d := a.added(a.domain())
	kept, replaced := statecheck.CompareValue(same{}), statecheck.CompareValue(differs{})
	keptVersion, version := statecheck.CompareValue(same{}), statecheck.CompareValue(differs{})
	step := func(config string, act plancheck.ResourceActionType,
		checks ...statecheck.StateCheck) resource.TestStep {
		return resource.TestStep{Config: config, ConfigPlanChecks: pre(tokenAction(act)),
			ConfigStateChecks: checks}
	}
	soon := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	replace := func(attributes string) resource.TestStep {
		return step(a.tokenConfig("second", attributes),
			plancheck.ResourceActionDestroyBeforeCreate,
			replaced.AddStateValue(tokenAddress, at("token")))
	}
	rotate := func(attributes string) resource.TestStep {
		s := step(a.tokenConfig("second", attributes), plancheck.ResourceActionUpdate,
			replaced.AddStateValue(tokenAddress, at("token")),
			version.AddStateValue(tokenAddress, at("secret_version")),
			tokenState("rotated_at", knownvalue.NotNull()))
		s.ConfigPlanChecks.PreApply = append(s.ConfigPlanChecks.PreApply,
			unknownOfToken("token", "token_prefix", "rotated_at", "previous_valid_until",
				"secret_version")...)
		return s
	}
	nothing := func(attributes string) resource.TestStep {
		return step(a.tokenConfig("second", attributes), plancheck.ResourceActionNoop)
	}
	a.run(
		step(a.tokenConfig("first", ""), plancheck.ResourceActionCreate,
			kept.AddStateValue(tokenAddress, at("token")),
			keptVersion.AddStateValue(tokenAddress, at("secret_version")),
			version.AddStateValue(tokenAddress, at("secret_version")),
			replaced.AddStateValue(tokenAddress, at("token"))),
		step(a.tokenConfig("second", ""), plancheck.ResourceActionUpdate,
			kept.AddStateValue(tokenAddress, at("token")),
			keptVersion.AddStateValue(tokenAddress, at("secret_version")),
			tokenState("name", knownvalue.StringExact("second"))),
		step(strings.Replace(a.tokenConfig("second", ""), `"jobs:read", "domains:read"`,
			`"domains:read", "jobs:read"`, 1), plancheck.ResourceActionNoop),
		step(strings.Replace(a.tokenConfig("second", ""), `"jobs:read", `, ``, 1),
			plancheck.ResourceActionDestroyBeforeCreate,
			replaced.AddStateValue(tokenAddress, at("token"))),
		replace(fmt.Sprintf("domain_ids = [%q]", d.Id)),
		replace("domain_ids = []"),
		// null is the same as empty
		step(a.tokenConfig("second", ""), plancheck.ResourceActionUpdate),
		rotate(`expires_in = "2h"`),
		nothing(`expires_in = "120m"`),
		step(a.tokenConfig("third", `expires_in = "2h"`), plancheck.ResourceActionUpdate,
			tokenState("expires_at", knownvalue.NotNull())),
		rotate(`expires_in = "3h"`),
		rotate(fmt.Sprintf("expires_at = %q", soon.Format(time.RFC3339))),
		nothing(fmt.Sprintf("expires_at = %q",
			soon.In(time.FixedZone("", 3600)).Format(time.RFC3339))),
		rotate(fmt.Sprintf("expires_at = %q", soon.Add(time.Second).Format(time.RFC3339))),
		rotate(`rotation_overlap = "0s"`), // of the 5 valid secrets, only the new one remains
		rotate(`rotate_when_changed = { key = "1" }`),
		nothing(`rotate_when_changed = { key = "1" }`),
		rotate("rotate_when_changed = { key = \"2\" }\nrotation_overlap = \"0s\""),
		step(a.tokenConfig("second",
			"rotate_when_changed = { key = \"2\" }\nrotation_overlap = \"2h\""),
			plancheck.ResourceActionUpdate, tokenState("previous_valid_until", knownvalue.Null())),
		step(a.tokenConfig("renamed", `rotate_when_changed = { key = "3" }`),
			plancheck.ResourceActionUpdate, replaced.AddStateValue(tokenAddress, at("token")),
			tokenState("name", knownvalue.StringExact("renamed"))),
	)
}

func TestAccAPIToken_import(t *testing.T) {
	a := newAcc(t)
	ctx := context.Background()
	made, err := a.client.CreateToken(ctx,
		client.TokenCreate{Name: "imported", Scopes: []client.Scope{client.ScopeDomainsRead,
			client.ScopeJobsRead}})
	if err != nil {
		t.Fatal(err)
	}
	block := fmt.Sprintf("\n\nimport {\n  to = dcvaas_api_token.test\n  id = %q\n}\n", made.Id)
	a.run(
		resource.TestStep{
			Config:           a.tokenConfig("imported", "") + block,
			ConfigPlanChecks: pre(tokenAction(plancheck.ResourceActionNoop)),
			ConfigStateChecks: []statecheck.StateCheck{tokenState("token", knownvalue.Null()),
				tokenState("id", knownvalue.StringExact(made.Id))},
		},
		// rotate_when_changed is adopted, the token is renamed, and the secret stays null
		resource.TestStep{
			Config: a.tokenConfig("renamed", `rotate_when_changed = { key = "1" }`),
			ConfigPlanChecks: pre(tokenAction(plancheck.ResourceActionUpdate),
				plancheck.ExpectKnownValue(tokenAddress, at("token"), knownvalue.Null())),
			ConfigStateChecks: []statecheck.StateCheck{tokenState("token", knownvalue.Null()),
				tokenState("id", knownvalue.StringExact(made.Id))},
		},
		resource.TestStep{
			Config:           a.tokenConfig("renamed", `rotate_when_changed = { key = "2" }`),
			ConfigPlanChecks: pre(tokenAction(plancheck.ResourceActionUpdate)),
			ConfigStateChecks: []statecheck.StateCheck{
				tokenState("token", knownvalue.StringRegexp(secretText)),
				tokenState("id", knownvalue.StringExact(made.Id))},
		},
		resource.TestStep{ResourceName: tokenAddress, ImportState: true, ImportStateVerify: true,
			ImportStateVerifyIgnore: []string{"token", "rotate_when_changed"}},
		resource.TestStep{ResourceName: tokenAddress, ImportState: true,
			ImportStateId: "renamed", ExpectError: message("is not the ID of a token")},
		resource.TestStep{ResourceName: tokenAddress, ImportState: true, ImportStateId: made.Token,
			ExpectError: regexp.MustCompile(`(?s)"dcv_…"\s+is\s+not\s+the\s+ID`)},
		resource.TestStep{ResourceName: tokenAddress, ImportState: true,
			ImportStateId: "tok_01k9z5w7r8e4bs6v0q1d2m3n4p",
			ExpectError:   message("Cannot import non-existent remote object")},
	)
}

func TestAccAPIToken_identity(t *testing.T) {
	a := newAcc(t)
	resource.Test(t, resource.TestCase{
		TerraformVersionChecks: []tfversion.TerraformVersionCheck{
			tfversion.SkipBelow(tfversion.Version1_12_0)},
		ProtoV6ProviderFactories: a.factories(),
		CheckDestroy:             a.checkDestroy,
		Steps: []resource.TestStep{
			{
				Config: a.tokenConfig("identity", ""),
				ConfigStateChecks: []statecheck.StateCheck{
					statecheck.ExpectIdentityValueMatchesState(tokenAddress, at("id"))},
			},
			{ResourceName: tokenAddress, ImportState: true,
				ImportStateKind: resource.ImportBlockWithResourceIdentity},
		},
	})
}

func TestAccAPIToken_revokedOutside(t *testing.T) {
	a := newAcc(t)
	config := a.tokenConfig("revoked", "")
	a.run(
		resource.TestStep{
			Config: config,
			Check: func(s *terraform.State) error {
				return a.client.DeleteToken(context.Background(),
					s.RootModule().Resources[tokenAddress].Primary.ID)
			},
			ExpectNonEmptyPlan: true,
		},
		resource.TestStep{Config: config,
			ConfigPlanChecks: pre(tokenAction(plancheck.ResourceActionCreate))},
	)
}

func TestAccAPIToken_drift(t *testing.T) {
	a := newAcc(t)
	config := a.tokenConfig("drifting", "")
	id := ""
	a.run(
		resource.TestStep{Config: config, Check: func(s *terraform.State) error {
			id = s.RootModule().Resources[tokenAddress].Primary.ID
			return nil
		}},
		resource.TestStep{
			PreConfig: func() {
				if _, err := a.client.UpdateToken(context.Background(), id,
					client.TokenUpdate{Name: "someone's"}); err != nil {
					t.Error(err)
				}
			},
			Config:           config,
			ConfigPlanChecks: pre(tokenAction(plancheck.ResourceActionUpdate)),
		},
	)
}

// A token can't grant more than it has. The error is at the attribute.
func TestAccAPIToken_rejected(t *testing.T) {
	a := newAcc(t)
	weak, err := a.client.CreateToken(context.Background(),
		client.TokenCreate{Name: "weak", Scopes: []client.Scope{client.ScopeTokensWrite,
			client.ScopeTokensRead}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.client.DeleteToken(context.Background(), weak.Id) })
	reader, err := a.client.CreateToken(context.Background(),
		client.TokenCreate{Name: "reader", Scopes: []client.Scope{client.ScopeTokensRead}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.client.DeleteToken(context.Background(), reader.Id) })
	with := func(token string) string {
		return strings.Replace(a.tokenConfig("refused", ""),
			a.token, token, 1)
	}
	config := func(attributes string) string {
		return strings.Replace(a.tokenConfig("refused", attributes), a.token, weak.Token, 1)
	}
	a.run(
		resource.TestStep{Config: config(""),
			ExpectError: regexp.MustCompile(
				`(?s)scopes\s+=.*does\s+not\s+have\s+the\s+scope.*Request ID: \S+`)},
		resource.TestStep{Config: a.tokenConfig("refused",
			`domain_ids = ["dom_01k9z5w7r8e4bs6v0q1d2m3n4p"]`),
			ExpectError: regexp.MustCompile(`(?s)domain_ids\s+=.*Request ID: \S+`)},
		resource.TestStep{Config: with("dcv_" + strings.Repeat("0", 36)),
			ExpectError: message("Status: 401")},
		resource.TestStep{Config: with(reader.Token),
			ExpectError: regexp.MustCompile(`(?s)tokens:write.*Status: 403.*Request ID: \S+`)},
		resource.TestStep{Config: a.tokenConfig("accepted", "")},
	)
}

// A token that is revoked between refresh and delete causes no error.
func TestAccAPIToken_deleteWhenGone(t *testing.T) {
	a := newAcc(t)
	deleted := false
	p := a.proxy(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodDelete {
			deleted = a.client.DeleteToken(context.Background(),
				strings.TrimPrefix(r.URL.Path, "/api/tokens/")) == nil
		}
		return false
	})
	a.run(resource.TestStep{Config: strings.Replace(a.tokenConfig("going", ""), a.endpoint, p.URL,
		1)})
	if !deleted {
		t.Error("the token was not deleted before Terraform did")
	}
}

// Inputs that are known only after apply are applied correctly, and the next plan is empty.
func TestAccAPIToken_unknownInputs(t *testing.T) {
	a := newAcc(t)
	a.run(resource.TestStep{
		Config: a.config(
			`resource "terraform_data" "in" { input = { name = "unknown", scope = "domains:read", in = "24h", keeper = "1" } }

resource "dcvaas_domain" "test" { name = %q }

resource "dcvaas_api_token" "test" {
  name                = terraform_data.in.output.name
  scopes              = [terraform_data.in.output.scope]
  domain_ids          = [dcvaas_domain.test.id]
  expires_in          = terraform_data.in.output.in
  rotate_when_changed = { keeper = terraform_data.in.output.keeper }
}`, a.domain()),
		ConfigPlanChecks: pre(unknownOfToken("name", "expires_at", "token")...),
		ConfigStateChecks: []statecheck.StateCheck{
			tokenState("name", knownvalue.StringExact("unknown")),
			tokenState("token", knownvalue.StringRegexp(secretText)),
			tokenState("expires_at", knownvalue.NotNull()),
			tokenState("domain_ids", knownvalue.SetSizeExact(1))},
	})
}

func TestAccAPIToken_manyInParallel(t *testing.T) {
	a := newAcc(t)
	var b strings.Builder
	for i := range 50 {
		fmt.Fprintf(&b,
			"resource \"dcvaas_api_token\" \"t%d\" {\n  name = \"many\"\n  scopes = [\"domains:read\"]\n}\n", i)
	}
	a.run(resource.TestStep{Config: a.config("%s", b.String()), ConfigPlanChecks: pre()})
}

// A rate limit and API failures are retried. The token is created once.
func TestAccAPIToken_retries(t *testing.T) {
	a := newAcc(t)
	p := a.proxy(answers(func(r *http.Request) bool {
		return r.Method == http.MethodPost && r.URL.RawQuery == "" // not a dry run
	}, 429, 503, 503))
	a.run(resource.TestStep{Config: strings.Replace(a.tokenConfig("retried", ""), a.endpoint, p.URL,
		1), ConfigPlanChecks: pre()})
	dry := p.count("POST /api/tokens?dry_run=true")
	if n := p.count("POST /api/tokens") - dry; n != 4 || dry == 0 {
		t.Errorf("the API received %d calls and %d dry runs, want 4 and at least 1", n, dry)
	}
}
