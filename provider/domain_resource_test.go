package provider

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	"github.com/hashicorp/terraform-plugin-testing/tfversion"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

const domainAddress = "dcvaas_domain.test"

func at(names ...string) tfjsonpath.Path {
	p := tfjsonpath.New(names[0])
	for _, n := range names[1:] {
		p = p.AtMapKey(n)
	}
	return p
}

func pre(checks ...plancheck.PlanCheck) resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{PreApply: checks,
		PostApplyPostRefresh: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}
}

func known(name string, check knownvalue.Check) plancheck.PlanCheck {
	return plancheck.ExpectKnownValue(domainAddress, at(strings.Split(name, ".")...), check)
}

func unknown(name string) plancheck.PlanCheck {
	return plancheck.ExpectUnknownValue(domainAddress, at(strings.Split(name, ".")...))
}

func planned(a plancheck.ResourceActionType) plancheck.PlanCheck {
	return plancheck.ExpectResourceAction(domainAddress, a)
}

func state(name string, check knownvalue.Check) statecheck.StateCheck {
	return statecheck.ExpectKnownValue(domainAddress, at(strings.Split(name, ".")...), check)
}

// message matches the text of an error, regardless of how Terraform wraps its lines.
func message(text string) *regexp.Regexp {
	words := strings.Fields(text)
	for i, w := range words {
		words[i] = regexp.QuoteMeta(w)
	}
	return regexp.MustCompile(strings.Join(words, `[\s│╷╵]+`))
}

var domainIDText = regexp.MustCompile(`^dom_[0-9a-z]{26}$`)

func TestAccDomain_basic(t *testing.T) {
	a := newAcc(t)
	name := a.domain()
	target := regexp.MustCompile(`^[a-z2-7]{32}\.acme\.dcvaas-verify\.com$`)
	a.run(
		resource.TestStep{
			Config: a.config(`resource "dcvaas_domain" "test" { name = %q }`, name),
			ConfigPlanChecks: pre(
				planned(plancheck.ResourceActionCreate),
				known("name", knownvalue.StringExact(name)),
				known("delegation.name", knownvalue.StringExact("_acme-challenge."+name)),
				known("delegation.fqdn", knownvalue.StringExact("_acme-challenge."+name+".")),
				known("delegation.type", knownvalue.StringExact("CNAME")),
				known("delegation.target", knownvalue.StringRegexp(target)),
				known("wildcard", knownvalue.Bool(false)),
				known("key_type", knownvalue.StringExact("ec256")),
				known("auto_issue", knownvalue.Bool(true)),
				known("auto_renew", knownvalue.Bool(true)),
				known("deletion_protection", knownvalue.Bool(false)),
				known("labels", knownvalue.Null()),
				known("csr_pem", knownvalue.Null()),
				unknown("id"), unknown("status"), unknown("status_reason"),
				unknown("certificate_id"), unknown("options_revision"),
				unknown("expires_at"), unknown("renew_at"), unknown("last_issued_at"),
				unknown("created_at"),
			),
			ConfigStateChecks: []statecheck.StateCheck{
				state("id", knownvalue.StringRegexp(domainIDText)),
				state("name", knownvalue.StringExact(name)),
				state("status", knownvalue.StringExact("pending_cname")),
				state("delegation.target", knownvalue.StringRegexp(target)),
				state("certificate_id", knownvalue.Null()),
				state("expires_at", knownvalue.Null()),
				state("created_at", knownvalue.NotNull()),
				state("labels", knownvalue.Null()),
			},
		},
		resource.TestStep{
			Config: a.config(`resource "dcvaas_domain" "test" { name = %q }`, name),
			ConfigPlanChecks: resource.ConfigPlanChecks{
				PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}},
		},
	)
}

func TestAccDomain_updateInPlace(t *testing.T) {
	a := newAcc(t)
	name := a.domain()
	step := func(body string, checks ...statecheck.StateCheck) resource.TestStep {
		status := unknown("status")
		if strings.HasPrefix(body, "labels") {
			status = known("status", knownvalue.NotNull())
		}
		return resource.TestStep{
			Config: a.config("resource \"dcvaas_domain\" \"test\" {\n  name = %q\n%s\n}", name,
				body),
			ConfigPlanChecks: pre(
				planned(plancheck.ResourceActionUpdate),
				known("id", knownvalue.StringRegexp(domainIDText)),
				known("delegation.target", knownvalue.NotNull()),
				known("created_at", knownvalue.NotNull()),
				status,
			),
			ConfigStateChecks: checks,
		}
	}
	csr := makeCSR(t, "rsa2048", name)
	sameID := statecheck.CompareValue(same{})
	first := resource.TestStep{
		Config:            a.config(`resource "dcvaas_domain" "test" { name = %q }`, name),
		ConfigStateChecks: []statecheck.StateCheck{sameID.AddStateValue(domainAddress, at("id"))},
	}
	a.run(first,
		step(`wildcard = true`, state("wildcard", knownvalue.Bool(true)),
			sameID.AddStateValue(domainAddress, at("id"))),
		step(`key_type = "ec384"`, state("wildcard", knownvalue.Bool(false)),
			state("key_type", knownvalue.StringExact("ec384"))),
		step(`auto_issue = false`, state("key_type", knownvalue.StringExact("ec256")),
			state("auto_issue", knownvalue.Bool(false))),
		step(`auto_renew = false`, state("auto_issue", knownvalue.Bool(true)),
			state("auto_renew", knownvalue.Bool(false))),
		step(`labels = { team = "shop", "a/b.c_d-e" = "" }`,
			state("auto_renew", knownvalue.Bool(true)),
			state("labels.team", knownvalue.StringExact("shop"))),
		step(`profile = "classic"`, state("labels", knownvalue.Null()),
			state("profile", knownvalue.StringExact("classic"))),
		step(`ca = "backup"`, state("profile", knownvalue.Null()),
			state("ca", knownvalue.StringExact("backup"))),
		step(`preferred_chain = "Some Root"`, state("ca", knownvalue.Null()),
			state("preferred_chain", knownvalue.StringExact("Some Root"))),
		step("csr_pem = <<-E\n"+csr+"E\n", state("preferred_chain", knownvalue.Null()),
			state("key_type", knownvalue.StringExact("rsa2048"))),
		step(`wildcard = false`, state("csr_pem", knownvalue.Null()),
			state("key_type", knownvalue.StringExact("ec256")),
			sameID.AddStateValue(domainAddress, at("id"))),
	)
}

// deletion_protection is only in the state: no call of the API, and nothing is unknown.
func TestAccDomain_deletionProtection(t *testing.T) {
	a := newAcc(t)
	name, other := a.domain(), a.domain()
	p := a.proxy(nil)
	config := func(name string, protected bool) string {
		return a.configAt(p.URL, a.token, `resource "dcvaas_domain" "test" {
  name                = %q
  deletion_protection = %t
}`, name, protected)
	}
	empty := a.configAt(p.URL, a.token, `# nothing`)
	a.run(
		resource.TestStep{Config: config(name, false)},
		resource.TestStep{
			Config: config(name, true),
			ConfigPlanChecks: pre(planned(plancheck.ResourceActionUpdate),
				known("status", knownvalue.StringExact("pending_cname")),
				known("id", knownvalue.NotNull()), known("expires_at", knownvalue.Null())),
			Check: func(*terraform.State) error {
				p.mu.Lock()
				defer p.mu.Unlock()
				if slices.ContainsFunc(p.calls,
					func(c string) bool { return strings.HasPrefix(c, "PATCH") }) {
					return errors.New("the API was asked to change something")
				}
				return nil
			},
		},
		resource.TestStep{Config: empty, ExpectError: message("is protected from deletion")},
		resource.TestStep{Config: config(other, true),
			ExpectError: message("is protected from deletion")},
		resource.TestStep{Config: config(other, false),
			ExpectError: message("is protected from deletion")},
		resource.TestStep{Config: config(name, true), Destroy: true,
			ExpectError: message("is protected from deletion")},
		resource.TestStep{Config: config(name, false)},
		resource.TestStep{Config: config(other, true),
			ConfigPlanChecks: pre(planned(plancheck.ResourceActionDestroyBeforeCreate))},
		resource.TestStep{Config: config(other, false)},
	)
}

func TestAccDomain_nameReplaces(t *testing.T) {
	a := newAcc(t)
	first, second := a.domain(), a.domain()
	differ := statecheck.CompareValue(differs{})
	a.run(
		resource.TestStep{
			Config: a.config(`resource "dcvaas_domain" "test" { name = %q }`, first),
			ConfigStateChecks: []statecheck.StateCheck{differ.AddStateValue(domainAddress,
				at("id"))},
		},
		resource.TestStep{
			Config: a.config(`resource "dcvaas_domain" "test" { name = %q }`, second),
			ConfigPlanChecks: pre(planned(plancheck.ResourceActionDestroyBeforeCreate),
				unknown("id"),
				known("delegation.name", knownvalue.StringExact("_acme-challenge."+second)),
				known("delegation.target", knownvalue.NotNull())),
			ConfigStateChecks: []statecheck.StateCheck{differ.AddStateValue(domainAddress,
				at("id"))},
		},
	)
}

// A change of case, trailing dot, or IDN form plans nothing, and the state keeps the first
// spelling.
func TestAccDomain_spelling(t *testing.T) {
	a := newAcc(t)
	name := "bücher-" + a.domain()
	ascii, err := rules.ParseName(name)
	if err != nil {
		t.Fatal(err)
	}
	config := func(name string) string {
		return a.config(`resource "dcvaas_domain" "test" { name = %q }`, name)
	}
	nothing := func(name string) resource.TestStep {
		return resource.TestStep{Config: config(name),
			ConfigPlanChecks: resource.ConfigPlanChecks{
				PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}}
	}
	written := strings.ToUpper(name) + "."
	a.run(
		resource.TestStep{
			Config: config(written),
			ConfigPlanChecks: pre(planned(plancheck.ResourceActionCreate),
				known("delegation.name", knownvalue.StringExact("_acme-challenge."+ascii))),
			ConfigStateChecks: []statecheck.StateCheck{
				state("name", knownvalue.StringExact(written)),
				state("delegation.name", knownvalue.StringExact("_acme-challenge."+ascii))},
		},
		nothing(name), nothing(ascii), nothing(ascii+"."), nothing(strings.ToUpper(ascii)),
		resource.TestStep{ // another spelling together with a change updates and does not replace
			Config: a.config(
				"resource \"dcvaas_domain\" \"test\" {\n  name = %q\n  wildcard = true\n}", ascii),
			ConfigPlanChecks: pre(planned(plancheck.ResourceActionUpdate)),
		},
	)
}

func TestAccDomain_import(t *testing.T) {
	a := newAcc(t)
	name := a.domain()
	byName := func(spelled string) resource.TestStep {
		return resource.TestStep{ResourceName: domainAddress, ImportState: true,
			ImportStateId: spelled,
			// it changes without an apply
			ImportStateVerify: true, ImportStateVerifyIgnore: []string{"status_reason"}}
	}
	a.run(
		resource.TestStep{Config: a.config(
			"resource \"dcvaas_domain\" \"test\" {\n  name = %q\n  wildcard = true\n  labels = { a = \"b\" }\n}", name)},
		byName(""), // by ID
		byName(name),
		byName(strings.ToUpper(name)+"."),
		resource.TestStep{ResourceName: domainAddress, ImportState: true,
			ImportStateKind: resource.ImportBlockWithID},
		resource.TestStep{ResourceName: domainAddress, ImportState: true,
			ImportStateKind: resource.ImportBlockWithID, ImportStateId: name},
		resource.TestStep{ResourceName: domainAddress, ImportState: true,
			ImportStateId: "not a name", ExpectError: message("is neither the ID of a domain")},
		resource.TestStep{ResourceName: domainAddress, ImportState: true,
			ImportStateId: "dom_short", ExpectError: message("is neither the ID of a domain")},
		resource.TestStep{ResourceName: domainAddress, ImportState: true, ImportStateId: a.domain(),
			ExpectError: message("Status: 404")},
		resource.TestStep{ResourceName: domainAddress, ImportState: true,
			ImportStateId: "dom_01k9z5w7r8e4bs6v0q1d2m3n4p", ExpectError: message("Status: 404")},
	)
}

// An import block imports an existing domain in one apply, without changes.
func TestAccDomain_importBlock(t *testing.T) {
	a := newAcc(t)
	d := a.added(a.domain())
	a.run(resource.TestStep{
		Config: a.config(
			"import {\n  to = dcvaas_domain.test\n  id = %q\n}\n\nresource \"dcvaas_domain\" \"test\" { name = %q }", strings.ToUpper(d.Name), d.Name),
		ConfigPlanChecks:  pre(planned(plancheck.ResourceActionNoop)),
		ConfigStateChecks: []statecheck.StateCheck{state("id", knownvalue.StringExact(d.Id))},
	})
}

func TestAccDomain_identity(t *testing.T) {
	a := newAcc(t)
	name := a.domain()
	resource.Test(t, resource.TestCase{
		TerraformVersionChecks: []tfversion.TerraformVersionCheck{
			tfversion.SkipBelow(tfversion.Version1_12_0)},
		ProtoV6ProviderFactories: a.factories(),
		CheckDestroy:             a.checkDestroy,
		Steps: []resource.TestStep{
			{
				Config: a.config(`resource "dcvaas_domain" "test" { name = %q }`, name),
				ConfigStateChecks: []statecheck.StateCheck{
					statecheck.ExpectIdentityValueMatchesState(domainAddress, at("id"))},
			},
			{ResourceName: domainAddress, ImportState: true,
				ImportStateKind: resource.ImportBlockWithResourceIdentity},
		},
	})
}

func TestAccDomain_disappears(t *testing.T) {
	a := newAcc(t)
	config := a.config(`resource "dcvaas_domain" "test" { name = %q }`, a.domain())
	a.run(
		resource.TestStep{
			Config: config,
			Check: func(s *terraform.State) error {
				return a.client.DeleteDomain(context.Background(),
					s.RootModule().Resources[domainAddress].Primary.ID)
			},
			ExpectNonEmptyPlan: true,
		},
		resource.TestStep{Config: config,
			ConfigPlanChecks: pre(planned(plancheck.ResourceActionCreate))},
	)
}

// A domain that is deleted between refresh and delete causes no error.
func TestAccDomain_deleteWhenGone(t *testing.T) {
	a := newAcc(t)
	deleted := false
	p := a.proxy(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodDelete {
			deleted = a.client.DeleteDomain(context.Background(),
				strings.TrimPrefix(r.URL.Path, "/api/domains/")) == nil
		}
		return false
	})
	a.run(resource.TestStep{Config: a.configAt(p.URL, a.token,
		`resource "dcvaas_domain" "test" { name = %q }`, a.domain())})
	if !deleted {
		t.Error("the domain was not deleted before Terraform did")
	}
}

func TestAccDomain_drift(t *testing.T) {
	a := newAcc(t)
	name := a.domain()
	config := a.config(
		"resource \"dcvaas_domain\" \"test\" {\n  name = %q\n  labels = { a = \"b\" }\n}", name)
	a.run(
		resource.TestStep{Config: config},
		resource.TestStep{
			PreConfig: func() {
				labels := client.Labels{"a": "c"}
				if _, err := a.client.UpdateDomain(context.Background(), name,
					client.DomainUpdate{Wildcard: new(true), Labels: &labels}); err != nil {
					t.Error(err)
				}
			},
			RefreshState:       true,
			ExpectNonEmptyPlan: true,
		},
		resource.TestStep{
			Config: config,
			ConfigPlanChecks: pre(planned(plancheck.ResourceActionUpdate),
				known("wildcard", knownvalue.Bool(false)),
				known("labels.a", knownvalue.StringExact("b"))),
			ConfigStateChecks: []statecheck.StateCheck{state("wildcard", knownvalue.Bool(false)),
				state("labels.a", knownvalue.StringExact("b"))},
		},
	)
}

func TestAccDomain_labelsNullAndEmpty(t *testing.T) {
	a := newAcc(t)
	name := a.domain()
	step := func(labels string, check knownvalue.Check) resource.TestStep {
		return resource.TestStep{
			Config: a.config(
				"resource \"dcvaas_domain\" \"test\" {\n  name = %q\n  labels = %s\n}", name,
				labels),
			ConfigPlanChecks:  pre(),
			ConfigStateChecks: []statecheck.StateCheck{state("labels", check)},
		}
	}
	empty := knownvalue.MapSizeExact(0)
	one := knownvalue.MapExact(map[string]knownvalue.Check{"a": knownvalue.StringExact("")})
	a.run(step("null", knownvalue.Null()), step("{}", empty), step(`{ a = "" }`, one),
		step("{}", empty), step(`{ a = "" }`, one), step("null", knownvalue.Null()))
}

// Inputs that are known only after apply leave the record unknown at plan time, and are applied
// correctly.
func TestAccDomain_unknownInputs(t *testing.T) {
	a := newAcc(t)
	name := a.domain()
	config := a.config(
		`resource "terraform_data" "in" { input = { name = %q, team = "shop", wildcard = true, key_type = "ec384" } }

resource "dcvaas_domain" "test" {
  name     = terraform_data.in.output.name
  wildcard = terraform_data.in.output.wildcard
  key_type = terraform_data.in.output.key_type
  labels   = { team = terraform_data.in.output.team }
}`, name)
	a.run(
		resource.TestStep{
			Config: config,
			ConfigPlanChecks: pre(unknown("name"), unknown("delegation"), unknown("wildcard"),
				unknown("key_type"), unknown("labels.team")),
			ConfigStateChecks: []statecheck.StateCheck{
				state("delegation.name", knownvalue.StringExact("_acme-challenge."+name)),
				state("wildcard", knownvalue.Bool(true)),
				state("key_type", knownvalue.StringExact("ec384")),
				state("labels.team", knownvalue.StringExact("shop"))},
		},
	)
}

// The domain's status changes without an apply. The next plan is empty, also for dependent
// resources.
func TestAccDomain_statusMoves(t *testing.T) {
	a := newAcc(t)
	name := a.domain()
	config := a.config(`resource "dcvaas_domain" "test" {
  name = %q
}

resource "terraform_data" "record" { input = [dcvaas_domain.test.id, dcvaas_domain.test.name, dcvaas_domain.test.delegation] }`, name)
	a.run(
		resource.TestStep{Config: config,
			ConfigStateChecks: []statecheck.StateCheck{
				state("status", knownvalue.StringExact("pending_cname"))}},
		resource.TestStep{
			PreConfig: func() { a.activate(name) },
			Config:    config,
			ConfigPlanChecks: resource.ConfigPlanChecks{
				PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}},
		},
		resource.TestStep{RefreshState: true},
		resource.TestStep{
			Config: config,
			ConfigStateChecks: []statecheck.StateCheck{
				state("status", knownvalue.StringExact("active")),
				state("certificate_id", knownvalue.StringRegexp(regexp.MustCompile(`^crt_`))),
				state("expires_at", knownvalue.NotNull())},
		},
		resource.TestStep{ // an update does not change dependent resources
			Config: strings.Replace(config, "  name = ", "  wildcard = true\n  name = ",
				1),
			ConfigPlanChecks: pre(planned(plancheck.ResourceActionUpdate),
				plancheck.ExpectResourceAction("terraform_data.record",
					plancheck.ResourceActionNoop)),
		},
	)
}

// A change of labels replaces nothing that is keyed on the certificate or the status, even if the
// certificate is issued between the plan and the update.
func TestAccDomain_labelsMoveNothing(t *testing.T) {
	a := newAcc(t)
	name := a.domain()
	p := a.proxy(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPatch {
			a.activate(name)
		}
		return false
	})
	config := a.configAt(p.URL, a.token, `resource "dcvaas_domain" "test" {
  name   = %q
  labels = { team = "shop" }
}

resource "terraform_data" "keyed" {
  triggers_replace = [dcvaas_domain.test.certificate_id, dcvaas_domain.test.expires_at,
    dcvaas_domain.test.status]
}`, name)
	a.run(
		resource.TestStep{Config: config},
		resource.TestStep{
			Config: strings.Replace(config, "shop", "search", 1),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				planned(plancheck.ResourceActionUpdate),
				plancheck.ExpectResourceAction("terraform_data.keyed",
					plancheck.ResourceActionNoop)}},
			ConfigStateChecks:  []statecheck.StateCheck{state("certificate_id", knownvalue.Null())},
			ExpectNonEmptyPlan: true, // the key has changed in the meantime
		},
		resource.TestStep{RefreshState: true, ExpectNonEmptyPlan: true,
			RefreshPlanChecks: resource.RefreshPlanChecks{PostRefresh: []plancheck.PlanCheck{
				known("status", knownvalue.StringExact("active"))}}},
	)
}

func TestAccDomain_manyInParallel(t *testing.T) {
	a := newAcc(t)
	var b strings.Builder
	for i := range 50 {
		fmt.Fprintf(&b, "resource \"dcvaas_domain\" \"d%d\" { name = %q }\n", i, a.domain())
	}
	a.run(resource.TestStep{Config: a.config("%s", b.String()), ConfigPlanChecks: pre()})
}

func TestAccDomain_conflictNamesTheImport(t *testing.T) {
	a := newAcc(t)
	d := a.added(a.domain())
	a.run(
		resource.TestStep{
			Config:      a.config(`resource "dcvaas_domain" "test" { name = %q }`, d.Name),
			ExpectError: message(`import it by its ID ` + d.Id),
		},
		resource.TestStep{Config: a.config(`# an error must not come last`)},
	)
}

// The API's error about a field is at the attribute, with the request ID.
func TestAccDomain_rejectedField(t *testing.T) {
	a := newAcc(t)
	name := a.domain()
	refused := func(body, attribute, text string) resource.TestStep {
		return resource.TestStep{
			Config: a.config("resource \"dcvaas_domain\" \"test\" {\n%s\n}", body),
			ExpectError: regexp.MustCompile(
				`(?s)Error: Cannot .*on terraform_plugin_test\.tf line \d+, in resource "dcvaas_domain" "test":\s+│?\s*\d+:\s+` + attribute + `\s+=.*` + text + `.*Request ID: \S+`),
		}
	}
	a.run(
		refused(`  name = "nas.lan"`, "name", `top-level\s+domain`),
		refused(fmt.Sprintf("  name = %q\n  ca = \"nobody\"", name), "ca", ``),
		resource.TestStep{Config: a.config(`resource "dcvaas_domain" "test" { name = %q }`, name)},
		refused(fmt.Sprintf("  name = %q\n  ca = \"nobody\"", name), "ca", ``),
		resource.TestStep{Config: a.config(`resource "dcvaas_domain" "test" { name = %q }`, name)},
	)
}

func TestAccDomain_tokenRejected(t *testing.T) {
	a := newAcc(t)
	read, err := a.client.CreateToken(context.Background(),
		client.TokenCreate{Name: "read only", Scopes: []client.Scope{client.ScopeDomainsRead}})
	if err != nil {
		t.Fatal(err)
	}
	body := fmt.Sprintf(`resource "dcvaas_domain" "test" { name = %q }`, a.domain())
	a.run(
		resource.TestStep{Config: a.configAt(a.endpoint, "dcv_"+strings.Repeat("0", 36),
			"%s", body), ExpectError: message("Status: 401")},
		resource.TestStep{Config: a.configAt(a.endpoint, read.Token, "%s", body),
			ExpectError: message("domains:write")},
		resource.TestStep{Config: a.config("%s", body)},
	)
}

func TestAccDomain_retries(t *testing.T) {
	a := newAcc(t)
	create := a.proxy(answers(func(r *http.Request) bool { return r.Method == http.MethodPost },
		429, 503, 503))
	read := a.proxy(answers(func(r *http.Request) bool {
		return r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/api/domains/")
	}, 429, 503, 503))
	remove := a.proxy(answers(func(r *http.Request) bool { return r.Method == http.MethodDelete },
		429, 503, 503))
	body := fmt.Sprintf(`resource "dcvaas_domain" "test" { name = %q }`, a.domain())
	a.run(
		resource.TestStep{Config: a.configAt(create.URL, a.token, "%s", body)},
		resource.TestStep{Config: a.configAt(read.URL, a.token, "%s", body),
			ConfigPlanChecks: pre()},
		resource.TestStep{Config: a.configAt(remove.URL, a.token, "%s", body)},
	)
	for name, c := range map[string]struct {
		p    *proxy
		call string
		want int
	}{"create": {create, "POST /api/domains", 4}, "delete": {remove, "DELETE /api/domains/", 4}} {
		n := 0
		for _, call := range c.p.calls {
			if strings.HasPrefix(call, c.call) {
				n++
			}
		}
		if n != c.want {
			t.Errorf("%s: the API received %d calls, want %d: %v", name, n, c.want, c.p.calls)
		}
	}
}
