package provider

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfversion"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

const (
	webhookAddress = "dcvaas_webhook.test"
	webhookURL     = "https://example.com/hooks/dcvaas"
)

var webhookIDText = regexp.MustCompile(`^whk_[0-9a-z]{26}$`)

// webhookConfig is the configuration of a webhook with more attributes.
func (a *acc) webhookConfig(url, attributes string) string {
	return a.config("resource \"dcvaas_webhook\" \"test\" {\n  url = %q\n%s\n}", url, attributes)
}

func webhookAction(a plancheck.ResourceActionType) plancheck.PlanCheck {
	return plancheck.ExpectResourceAction(webhookAddress, a)
}

func webhookState(name string, check knownvalue.Check) statecheck.StateCheck {
	return statecheck.ExpectKnownValue(webhookAddress, at(name), check)
}

func unknownOfWebhook(names ...string) []plancheck.PlanCheck {
	var out []plancheck.PlanCheck
	for _, n := range names {
		out = append(out, plancheck.ExpectUnknownValue(webhookAddress, at(n)))
	}
	return out
}

// idOf stores the ID of a resource.
func idOf(address string, id *string) resource.TestCheckFunc {
	return func(s *terraform.State) error {
		*id = s.RootModule().Resources[address].Primary.ID
		return nil
	}
}

func TestAccWebhook_basic(t *testing.T) {
	a := newAcc(t).organization(t)
	a.run(
		resource.TestStep{
			Config: a.webhookConfig(webhookURL, ""),
			ConfigPlanChecks: pre(append(unknownOfWebhook("id", "disabled_reason", "failing_since",
				"created_at"), webhookAction(plancheck.ResourceActionCreate),
				plancheck.ExpectKnownValue(webhookAddress, at("events"),
					knownvalue.SetSizeExact(0)),
				plancheck.ExpectKnownValue(webhookAddress, at("enabled"), knownvalue.Bool(true)),
				plancheck.ExpectSensitiveValue(webhookAddress, at("secret_wo")))...),
			ConfigStateChecks: []statecheck.StateCheck{
				webhookState("id", knownvalue.StringRegexp(webhookIDText)),
				webhookState("url", knownvalue.StringExact(webhookURL)),
				webhookState("description", knownvalue.StringExact("")),
				webhookState("secret_wo", knownvalue.Null()),
				webhookState("secret_wo_version", knownvalue.Null()),
				webhookState("disabled_reason", knownvalue.Null()),
				webhookState("failing_since", knownvalue.Null()),
				webhookState("created_at", knownvalue.NotNull()),
			},
		},
		resource.TestStep{Config: a.webhookConfig(webhookURL, "events = []\nenabled = true"),
			ConfigPlanChecks: pre(webhookAction(plancheck.ResourceActionNoop))},
		resource.TestStep{Config: a.webhookConfig(webhookURL, "events = null\ndescription = null"),
			ConfigPlanChecks: pre(webhookAction(plancheck.ResourceActionNoop))},
	)
}

// All changes are in place. Unchanged values are not sent.
func TestAccWebhook_update(t *testing.T) {
	a := newAcc(t).organization(t)
	kept := statecheck.CompareValue(same{})
	step := func(url, attributes string, checks ...statecheck.StateCheck) resource.TestStep {
		return resource.TestStep{Config: a.webhookConfig(url, attributes),
			ConfigPlanChecks:  pre(webhookAction(plancheck.ResourceActionUpdate)),
			ConfigStateChecks: append(checks, kept.AddStateValue(webhookAddress, at("id")))}
	}
	const other = "https://example.com:8443/other"
	events := func(of ...string) knownvalue.Check {
		var out []knownvalue.Check
		for _, e := range of {
			out = append(out, knownvalue.StringExact(e))
		}
		return knownvalue.SetExact(out)
	}
	withSecret := func(n, version int) string {
		return fmt.Sprintf("secret_wo = %q\nsecret_wo_version = %d", webhookSecret(n), version)
	}
	a.run(
		resource.TestStep{Config: a.webhookConfig(webhookURL, ""),
			ConfigStateChecks: []statecheck.StateCheck{kept.AddStateValue(webhookAddress,
				at("id"))}},
		step(other, "", webhookState("url", knownvalue.StringExact(other))),
		step(other, `events = ["domain.renewed", "domain.deleted"]`,
			webhookState("events", events("domain.deleted", "domain.renewed"))),
		resource.TestStep{Config: a.webhookConfig(other,
			`events = ["domain.deleted", "domain.renewed"]`),
			ConfigPlanChecks: pre(webhookAction(plancheck.ResourceActionNoop))},
		step(other, "", webhookState("events", events())),
		step(other, "enabled = false\ndescription = \"Shop\"",
			webhookState("enabled", knownvalue.Bool(false)),
			webhookState("disabled_reason", knownvalue.Null()),
			webhookState("description", knownvalue.StringExact("Shop"))),
		step(other, "", webhookState("enabled", knownvalue.Bool(true)),
			webhookState("description", knownvalue.StringExact(""))),
		step(other, withSecret(1, 1), webhookState("secret_wo", knownvalue.Null()),
			webhookState("secret_wo_version", knownvalue.Int64Exact(1))),
		resource.TestStep{Config: a.webhookConfig(other, withSecret(2, 1)),
			ConfigPlanChecks: pre(webhookAction(plancheck.ResourceActionNoop))},
		step(other, withSecret(2, 2), webhookState("secret_wo_version", knownvalue.Int64Exact(2))),
		step(other, "", webhookState("secret_wo_version", knownvalue.Null())),
	)
}

func TestAccWebhook_drift(t *testing.T) {
	a := newAcc(t).organization(t)
	config := a.webhookConfig(webhookURL, "")
	id := ""
	a.run(
		resource.TestStep{Config: config, Check: idOf(webhookAddress, &id)},
		resource.TestStep{
			PreConfig: func() {
				url, events := "https://example.org/", []string{"domain.renewed"}
				if _, err := a.client.UpdateWebhook(t.Context(), id,
					client.WebhookUpdate{Url: &url, Events: &events}); err != nil {
					t.Error(err)
				}
			},
			Config:           config,
			ConfigPlanChecks: pre(webhookAction(plancheck.ResourceActionUpdate)),
			ConfigStateChecks: []statecheck.StateCheck{
				webhookState("url", knownvalue.StringExact(webhookURL)),
				webhookState("events", knownvalue.SetSizeExact(0))},
		},
		resource.TestStep{
			PreConfig: func() {
				if err := a.client.DeleteWebhook(t.Context(), id); err != nil {
					t.Error(err)
				}
			},
			Config:           config,
			ConfigPlanChecks: pre(webhookAction(plancheck.ResourceActionCreate)),
		},
	)
}

func TestAccWebhook_import(t *testing.T) {
	a := newAcc(t).organization(t)
	made, err := a.client.CreateWebhook(t.Context(),
		client.WebhookCreate{Url: webhookURL, Events: &[]string{"domain.renewed"},
			Description: new("Shop")})
	if err != nil {
		t.Fatal(err)
	}
	const attributes = "events = [\"domain.renewed\"]\ndescription = \"Shop\""
	block := fmt.Sprintf("\n\nimport {\n  to = dcvaas_webhook.test\n  id = %q\n}\n", made.Id)
	secret := fmt.Sprintf("\nsecret_wo = %q\nsecret_wo_version = 1", webhookSecret(1))
	a.run(
		resource.TestStep{
			Config:           a.webhookConfig(webhookURL, attributes) + block,
			ConfigPlanChecks: pre(webhookAction(plancheck.ResourceActionNoop)),
			ConfigStateChecks: []statecheck.StateCheck{
				webhookState("id", knownvalue.StringExact(made.Id))},
		},
		resource.TestStep{Config: a.webhookConfig(webhookURL, attributes+secret),
			ConfigPlanChecks: pre(webhookAction(plancheck.ResourceActionUpdate))},
		resource.TestStep{ResourceName: webhookAddress, ImportState: true, ImportStateVerify: true,
			ImportStateVerifyIgnore: []string{"secret_wo_version"}},
		resource.TestStep{ResourceName: webhookAddress, ImportState: true,
			ImportStateId: webhookURL, ExpectError: message("is not the ID of a webhook")},
		resource.TestStep{ResourceName: webhookAddress, ImportState: true,
			ImportStateId: "whk_01k9z5w7r8e4bs6v0q1d2m3n4p",
			ExpectError:   message("Cannot import non-existent remote object")},
	)
}

func TestAccWebhook_identity(t *testing.T) {
	a := newAcc(t).organization(t)
	resource.Test(t, resource.TestCase{
		TerraformVersionChecks: []tfversion.TerraformVersionCheck{
			tfversion.SkipBelow(tfversion.Version1_12_0)},
		ProtoV6ProviderFactories: a.factories(),
		CheckDestroy:             a.checkDestroy,
		Steps: []resource.TestStep{
			{
				Config: a.webhookConfig(webhookURL, ""),
				ConfigStateChecks: []statecheck.StateCheck{
					statecheck.ExpectIdentityValueMatchesState(webhookAddress, at("id"))},
			},
			{ResourceName: webhookAddress, ImportState: true,
				ImportStateKind: resource.ImportBlockWithResourceIdentity},
		},
	})
}

// API errors are at the attribute, with the request ID. A plan reports malformed URLs.
func TestAccWebhook_rejected(t *testing.T) {
	a := newAcc(t).organization(t, "--tier=free")
	weak, err := a.client.CreateToken(t.Context(),
		client.TokenCreate{Name: "weak", Scopes: []client.Scope{client.ScopeWebhooksRead}})
	if err != nil {
		t.Fatal(err)
	}
	with := func(config, token string) string { return strings.Replace(config, a.token, token, 1) }
	config := a.webhookConfig(webhookURL, "")
	var many strings.Builder
	for i := range 6 {
		fmt.Fprintf(&many, "resource \"dcvaas_webhook\" \"w%d\" { url = %q }\n", i, webhookURL)
	}
	a.run(
		resource.TestStep{Config: a.webhookConfig(webhookURL, `events = ["domain.renewal"]`),
			ExpectError: regexp.MustCompile(
				`(?s)events\s+=.*Status: 422 event-unknown\s+.*Request ID: \S+`)},
		resource.TestStep{Config: a.webhookConfig("https://user:password@example.com/", ""),
			ExpectError: regexp.MustCompile(`(?s)url\s+=.*username\s+or\s+password`)},
		resource.TestStep{Config: a.webhookConfig("https://10.0.0.1/", ""),
			ExpectError: regexp.MustCompile(`(?s)url\s+=.*public\s+Internet`)},
		resource.TestStep{Config: with(config, weak.Token),
			ExpectError: regexp.MustCompile(`(?s)webhooks:write.*Status: 403.*Request ID: \S+`)},
		resource.TestStep{Config: with(config, "dcv_"+strings.Repeat("0", 36)),
			ExpectError: message("Status: 401")},
		resource.TestStep{Config: a.config("%s", many.String()),
			ExpectError: message("Status: 403 plan-limit")},
		resource.TestStep{Config: a.config("# the rest is destroyed")},
	)
}

// A rate limit and API failures are retried. The webhook is created once.
func TestAccWebhook_retries(t *testing.T) {
	a := newAcc(t).organization(t)
	p := a.proxy(answers(func(r *http.Request) bool { return r.Method == http.MethodPost }, 429,
		503, 503))
	a.run(resource.TestStep{Config: strings.Replace(a.webhookConfig(webhookURL, ""), a.endpoint,
		p.URL, 1), ConfigPlanChecks: pre()})
	if n := p.count("POST /api/webhooks"); n != 4 {
		t.Errorf("the API received %d calls, want 4", n)
	}
}

// A webhook that is deleted between refresh and delete causes no error.
func TestAccWebhook_deleteWhenGone(t *testing.T) {
	a := newAcc(t).organization(t)
	deleted := false
	p := a.proxy(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodDelete {
			deleted = a.client.DeleteWebhook(context.Background(),
				strings.TrimPrefix(r.URL.Path, "/api/webhooks/")) == nil
		}
		return false
	})
	a.run(resource.TestStep{Config: strings.Replace(a.webhookConfig(webhookURL, ""), a.endpoint,
		p.URL, 1)})
	if !deleted {
		t.Error("the webhook was not deleted before Terraform did")
	}
}

// Inputs that are known only after apply are applied correctly, and the next plan is empty.
func TestAccWebhook_unknownInputs(t *testing.T) {
	a := newAcc(t).organization(t)
	a.run(resource.TestStep{
		Config: a.config(
			`resource "terraform_data" "in" { input = { url = %q, event = "domain.renewed", on = false, version = 3 } }

resource "dcvaas_webhook" "test" {
  url               = terraform_data.in.output.url
  events            = [terraform_data.in.output.event]
  enabled           = terraform_data.in.output.on
  secret_wo         = %q
  secret_wo_version = terraform_data.in.output.version
}`, webhookURL, webhookSecret(1)),
		ConfigPlanChecks: pre(unknownOfWebhook("url", "enabled", "secret_wo_version")...),
		ConfigStateChecks: []statecheck.StateCheck{
			webhookState("url", knownvalue.StringExact(webhookURL)),
			webhookState("events", knownvalue.SetSizeExact(1)),
			webhookState("enabled", knownvalue.Bool(false)),
			webhookState("secret_wo_version", knownvalue.Int64Exact(3))},
		Check: func(s *terraform.State) error {
			if s.RootModule().Resources[webhookAddress].Primary.Attributes["secret_wo"] != "" {
				return errors.New("the secret is in the state")
			}
			return nil
		},
	})
}
