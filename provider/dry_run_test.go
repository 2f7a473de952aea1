package provider

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	fw "github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

// failsToPlan is a step whose plan fails with a text, before anything is applied.
func failsToPlan(config, text string) resource.TestStep {
	return resource.TestStep{Config: config, PlanOnly: true, ExpectError: message(text)}
}

// stays is a step that finds the object of an earlier step unchanged.
func stays(config, address string, id *string) resource.TestStep {
	return resource.TestStep{Config: config,
		ConfigPlanChecks: resource.ConfigPlanChecks{
			PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}},
		Check: func(s *terraform.State) error {
			if got := s.RootModule().Resources[address].Primary.ID; got != *id {
				return fmt.Errorf("the ID of %s is %s, want %s", address, got, *id)
			}
			return nil
		}}
}

// tokenWith is the configuration of a token with scopes and more attributes.
func (a *acc) tokenWith(token, scopes, attributes string) string {
	return a.configAt(a.endpoint, token,
		"resource \"dcvaas_api_token\" \"test\" {\n  name = \"checked\"\n  scopes = %s\n%s\n}\n",
		scopes, attributes)
}

// A token with a scope that does not exist, or that the provider's own token lacks, fails the plan:
// the working token is not revoked.
func TestAccAPIToken_checkedAtPlanTime(t *testing.T) {
	a := newAcc(t)
	own, err := a.client.CreateToken(t.Context(), client.TokenCreate{Name: "provider",
		Scopes: []client.Scope{client.ScopeTokensRead, client.ScopeTokensWrite,
			client.ScopeOrganizationRead, client.ScopeDomainsRead}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.client.DeleteToken(context.Background(), own.Id) })
	id := ""
	good := a.tokenWith(own.Token, `["domains:read"]`, "")
	// The domain does not exist at plan time, so domain_ids is unknown.
	withDomain := func(scopes string) string {
		return a.tokenWith(a.token, scopes, "  domain_ids = [dcvaas_domain.new.id]") +
			fmt.Sprintf("resource \"dcvaas_domain\" \"new\" { name = %q }", a.domain())
	}
	a.run(
		failsToPlan(a.tokenWith(own.Token, `["domains:fly"]`, ""), "It must be one of domains:read"),
		failsToPlan(a.tokenWith(own.Token, `["jobs:write"]`, ""),
			"The caller's token does not have the scope jobs:write."),
		resource.TestStep{Config: good, Check: idOf(tokenAddress, &id)},
		failsToPlan(a.tokenWith(own.Token, `["domains:read", "domains:fly"]`, ""), "not-one-of"),
		failsToPlan(a.tokenWith(own.Token, `["domains:read", "jobs:write"]`,
			"  lifecycle { create_before_destroy = true }"), "scope-exceeds"),
		failsToPlan(withDomain(`["domains:read", "domains:fly"]`), "not-one-of"),
		stays(good, tokenAddress, &id),
		resource.TestStep{Config: withDomain(`["domains:read"]`),
			ConfigPlanChecks: pre(tokenAction(plancheck.ResourceActionDestroyBeforeCreate))},
	)
}

// A plan checks as much of a token as it knows.
func TestAccAPIToken_unknownAtPlanTime(t *testing.T) {
	a := newAcc(t)
	in := `resource "terraform_data" "in" {
  input = { name = "later", scope = "domains:read", at = "2001-01-01T00:00:00Z" }
}
`
	token := func(attributes string) string {
		return a.config("resource \"dcvaas_api_token\" \"test\" {\n%s\n}\n%s", attributes, in)
	}
	planOnly := func(config string) resource.TestStep {
		return resource.TestStep{Config: config, PlanOnly: true, ExpectNonEmptyPlan: true}
	}
	a.run(
		planOnly(token("name = \"x\"\nscopes = [terraform_data.in.output.scope]")),
		planOnly(token("name = \"x\"\nscopes = [\"domains:fly\", terraform_data.in.output.scope]")),
		planOnly(token("name = terraform_data.in.output.name\nscopes = [\"jobs:read\"]")),
		planOnly(token("name = \"x\"\nscopes = [\"jobs:read\"]\n"+
			"expires_at = terraform_data.in.output.at")),
		failsToPlan(token("name = terraform_data.in.output.name\nscopes = [\"jobs:fly\"]"),
			"not-one-of"),
		failsToPlan(token("name = \"x\"\nscopes = [\"jobs:read\"]\n"+
			"expires_at = \"2001-01-01T00:00:00Z\""), "expires-in-past"),
	)
}

// A rename onto an existing name fails the plan. The text does not advise to import the existing
// domain into the address of the renamed one.
func TestAccDomain_renameOntoExisting(t *testing.T) {
	for _, lifecycle := range []string{"", "lifecycle { create_before_destroy = true }"} {
		t.Run(lifecycle, func(t *testing.T) {
			a := newAcc(t)
			name, existing, id := a.domain(), a.added(a.domain()), ""
			config := func(name string) string {
				return a.config("resource \"dcvaas_domain\" \"test\" {\n  name = %q\n  %s\n}", name,
					lifecycle)
			}
			a.run(
				resource.TestStep{Config: config(name), Check: idOf(domainAddress, &id)},
				failsToPlan(config(existing.Name), "The domain "+existing.Name+
					" is in this organization already. A replacement cannot take over the existing object "+
					existing.Id+"."),
				failsToPlan(config(existing.Name), "was not changed. Status: 409 domain-exists"),
				stays(config(name), domainAddress, &id),
			)
		})
	}
}

// A rename in an organization at its plan's limit is planned and applied.
func TestAccDomain_renameAtThePlanLimit(t *testing.T) {
	a := newAcc(t).organization(t, "--tier=pro", "--domain-limit=1")
	first, second, ids := a.domain(), a.domain(), statecheck.CompareValue(differs{})
	config := func(name, more string) string {
		return a.config("resource \"dcvaas_domain\" \"test\" {\n  name = %q\n%s\n}\n"+
			"resource \"terraform_data\" \"version\" { input = %q }", name, more, more)
	}
	replaces := resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
		planned(plancheck.ResourceActionDestroyBeforeCreate)}}
	const triggered = "  lifecycle { replace_triggered_by = [terraform_data.version] }\n"
	a.run(
		resource.TestStep{Config: config(first, ""),
			ConfigStateChecks: []statecheck.StateCheck{ids.AddStateValue(domainAddress, at("id"))}},
		resource.TestStep{Config: config(second, ""), ConfigPlanChecks: replaces,
			ConfigStateChecks: []statecheck.StateCheck{ids.AddStateValue(domainAddress, at("id")),
				state("name", knownvalue.StringExact(second))}},
		// A requested replacement by the same name.
		resource.TestStep{Config: config(second, triggered), ConfigPlanChecks: replaces,
			ConfigStateChecks: []statecheck.StateCheck{ids.AddStateValue(domainAddress, at("id"))}},
	)
}

// The plan warns about the replacement of the provider's own token.
func TestOwnToken(t *testing.T) {
	own := &apiTokenModel{TokenPrefix: types.StringValue("dcv_0123456")}
	for token, want := range map[string]bool{"dcv_0123456789": true, "dcv_9876543210": false,
		"": false} {
		r := &apiTokenResource{&configured{token: token}}
		if got := r.isOwnToken(own); got != want {
			t.Errorf("isOwnToken(%s) with the token %q = %v, want %v", own.TokenPrefix, token, got,
				want)
		}
		if r.isOwnToken(&apiTokenModel{}) {
			t.Errorf("isOwnToken of a model without a prefix = true with the token %q", token)
		}
	}
}

// A replacement with create_before_destroy by the same name fails without a change, and the text
// says how to continue.
func TestAccDomain_createBeforeDestroySameName(t *testing.T) {
	a := newAcc(t)
	name, id := a.domain(), ""
	config := func(version, more string) string {
		return a.config("resource \"dcvaas_domain\" \"test\" {\n  name = %q\n  lifecycle {\n"+
			"    replace_triggered_by = [terraform_data.version]\n    %s\n  }\n}\n"+
			"resource \"terraform_data\" \"version\" { input = %q }", name, more, version)
	}
	a.run(
		resource.TestStep{Config: config("1", ""), Check: idOf(domainAddress, &id)},
		resource.TestStep{Config: config("2", "create_before_destroy = true"),
			ExpectError: message("do not import it. Remove create_before_destroy")},
		resource.TestStep{Config: config("3", ""), Check: func(s *terraform.State) error {
			if got := s.RootModule().Resources[domainAddress].Primary.ID; got == id {
				return fmt.Errorf("the domain %s was not replaced", id)
			}
			return nil
		}},
	)
}

// A member is not removed if the person who replaces them cannot be invited.
func TestAccMember_checkedAtPlanTime(t *testing.T) {
	a := newAcc(t)
	login, other, id := a.login(), a.login(), ""
	existing := a.invited(other, client.RoleMember)
	t.Cleanup(func() { _ = a.client.RemoveMember(context.Background(), existing.Id) })
	a.run(
		resource.TestStep{Config: a.memberConfig(login, "member"), Check: idOf(memberAddress, &id)},
		failsToPlan(a.memberConfig(other, "member"), "is already invited to this organization. "+
			"A replacement cannot take over the existing object "+existing.Id),
		failsToPlan(a.memberConfig(a.login(), "owner"), "Status: 403 role-exceeds"),
		stays(a.memberConfig(login, "member"), memberAddress, &id),
		resource.TestStep{Config: a.memberConfig(a.login(), "member"), ConfigPlanChecks: pre(
			memberAction(plancheck.ResourceActionDestroyBeforeCreate))},
	)
}

// A webhook is replaced on request, even if the organization has as many as its plan includes.
func TestAccWebhook_replacedAtThePlanLimit(t *testing.T) {
	a := newAcc(t).organization(t, "--tier=free")
	for range 4 {
		if _, err := a.client.CreateWebhook(t.Context(),
			client.WebhookCreate{Url: webhookURL}); err != nil {
			t.Fatal(err)
		}
	}
	config := func(version string) string {
		return a.webhookConfig(webhookURL,
			"  lifecycle { replace_triggered_by = [terraform_data.version] }") +
			fmt.Sprintf("\nresource \"terraform_data\" \"version\" { input = %q }", version)
	}
	a.run(
		resource.TestStep{Config: config("1")},
		resource.TestStep{Config: config("2"), ConfigPlanChecks: pre(
			webhookAction(plancheck.ResourceActionDestroyBeforeCreate))},
	)
}

// Plans of new domains need no dry run, so they are as fast as before. Of replacements and tokens,
// each needs one.
func TestAccDryRunsOfAPlan(t *testing.T) {
	a := newAcc(t)
	p := a.proxy(nil)
	first := a.domain()
	config := func(name, more string) string {
		return a.configAt(p.URL, a.token, "resource \"dcvaas_domain\" \"test\" { name = %q }\n%s",
			name, more)
	}
	posts := 0
	check := func(want int) func() {
		return func() {
			if got := p.count("POST ") - posts; got != want {
				t.Errorf("the last step sent %d POST requests, want %d", got, want)
			}
			posts = p.count("POST ")
		}
	}
	a.run(
		resource.TestStep{Config: config(first, ""), PlanOnly: true, ExpectNonEmptyPlan: true},
		resource.TestStep{PreConfig: check(0), Config: config(first, "")},
		resource.TestStep{PreConfig: check(1), Config: config(first, ""), PlanOnly: true},
		resource.TestStep{PreConfig: check(0), Config: config(a.domain(), `
resource "dcvaas_api_token" "new" {
  name   = "new"
  scopes = ["domains:read"]
}`), PlanOnly: true, ExpectNonEmptyPlan: true},
		// The step plans twice.
		resource.TestStep{PreConfig: check(4), Config: config(first, "")},
	)
}

// A plan does not fail because the service is too old for dry runs.
func TestAccDryRunsAreUnsupported(t *testing.T) {
	a := newAcc(t)
	var dry atomic.Int32
	p := a.proxy(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.RawQuery, "dry_run") {
			return false
		}
		dry.Add(1)
		w.Header().Set("DCVaaS-API", "1")
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"type":"x","title":"Unknown query parameter","status":400,"code":"unknown-parameter",
			"request_id":"req_1","errors":[{"pointer":"/dry_run","code":"unknown-parameter","detail":"Unknown parameter."}]}`))
		return true
	})
	config := func(scope string) string {
		return a.configAt(p.URL, a.token,
			"resource \"dcvaas_api_token\" \"test\" {\n  name = \"x\"\n  scopes = [%q]\n}", scope)
	}
	a.run(
		resource.TestStep{Config: config("domains:read")},
		resource.TestStep{Config: config("jobs:read"), ConfigPlanChecks: pre(
			tokenAction(plancheck.ResourceActionDestroyBeforeCreate))},
	)
	if dry.Load() == 0 {
		t.Error("no dry run was sent")
	}
}

// A trial reports what the apply would report too, and nothing that is uncertain at plan time.
func TestTrial(t *testing.T) {
	var schema fw.SchemaResponse
	(&apiTokenResource{}).Schema(t.Context(), fw.SchemaRequest{}, &schema)
	fail := func(status int, code string, pointers ...string) *client.Error {
		e := &client.Error{API: true, Status: status, Code: code, Detail: "No", RequestID: "req_1",
			FieldsTotal: len(pointers)}
		for _, p := range pointers {
			e.Fields = append(e.Fields, client.FieldError{Pointer: p, Detail: "No: " + p})
		}
		return e
	}
	proxy := fail(403, "")
	proxy.API = false
	for name, tt := range map[string]struct {
		err      error
		replaces string
		unknown  []string
		want     []string // parts of the details
	}{
		"success":          {},
		"unsupported":      {err: fmt.Errorf("%w: %w", client.ErrNoDryRun, fail(400, "x", "/dry_run"))},
		"network":          {err: errors.New("connection refused"), replaces: "tok_1"},
		"interrupted":      {err: context.Canceled},
		"a proxy":          {err: proxy},
		"rate limit":       {err: fail(429, "rate-limited")},
		"outage":           {err: fail(503, "database-unavailable"), replaces: "tok_1"},
		"a field":          {err: fail(422, "x", "/name"), want: []string{"No: /name."}},
		"a permission":     {err: fail(403, "scope-missing"), want: []string{"No."}},
		"an expired token": {err: fail(401, "token-expired"), want: []string{"No."}},
		"a full plan":      {err: fail(403, "plan-limit")},
		"a full plan despite a replacement": {err: fail(403, "plan-limit"), replaces: "tok_1",
			want: []string{"No.\n\nThis is the result of a dry run: the object to replace, tok_1, was not changed."}},
		"an unknown value": {err: fail(422, "x", "/domain_ids/0"), unknown: []string{"domain_ids"}},
		"a renamed unknown value": {err: fail(422, "x", "/expires_at"),
			unknown: []string{"expires_in"}},
		"a value besides an unknown one": {err: fail(422, "x", "/domain_ids", "/scopes/0"),
			unknown: []string{"domain_ids", "name"}, want: []string{"No: /scopes/0."}},
		"no field besides an unknown value": {err: fail(403, "role-exceeds"),
			unknown: []string{"domain_ids"}, want: []string{"No."}},
	} {
		t.Run(name, func(t *testing.T) {
			var diags diag.Diagnostics
			trial{replaces: tt.replaces, unknown: tt.unknown, problem: problem{doing: "x",
				schema: schema.Schema, rename: map[string]string{"expires_at": "expires_in"}},
				run: func(_ context.Context, replacing string) error {
					if replacing != tt.replaces {
						t.Errorf("run(%q), want run(%q)", replacing, tt.replaces)
					}
					return tt.err
				}}.add(t.Context(), &diags)
			if len(diags) != len(tt.want) {
				t.Fatalf("add adds %v, want %d diagnostics", diags, len(tt.want))
			}
			for i, want := range tt.want {
				if !strings.Contains(diags[i].Detail(), want) {
					t.Errorf("add adds the detail %q, want %q in it", diags[i].Detail(), want)
				}
			}
		})
	}

	// An object that is already gone does not have to be replaced.
	var calls []string
	var diags diag.Diagnostics
	trial{replaces: "tok_1", problem: problem{doing: "x", at: path.Root("name")},
		run: func(_ context.Context, replacing string) error {
			if calls = append(calls, replacing); replacing != "" {
				return fail(422, "replacing-invalid", "/replacing")
			}
			return fail(403, "scope-missing")
		}}.add(t.Context(), &diags)
	if got := strings.Join(calls, ","); got != "tok_1," || len(diags) != 1 ||
		strings.Contains(diags[0].Detail(), "tok_1") {
		t.Errorf("add calls run with %q and adds %v, want two calls and one diagnostic", got, diags)
	}
}
