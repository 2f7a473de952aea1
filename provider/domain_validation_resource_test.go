package provider

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

const validationAddress = "dcvaas_domain_validation.test"

// validated is the configuration of a domain and a wait with the given attributes.
func (a *acc) validated(name, attributes string) string {
	return a.config(`resource "dcvaas_domain" "test" {
  name = %q
}

resource "dcvaas_domain_validation" "test" {
  domain_id = dcvaas_domain.test.id
%s
}`, name, attributes)
}

func TestAccDomainValidation_delegation(t *testing.T) {
	a := newAcc(t)
	name := a.domain()
	a.delegate(name)
	config := a.validated(name, `  record_fqdn = "_ACME-challenge.`+name+`."`)
	a.run(
		resource.TestStep{
			Config: config,
			ConfigPlanChecks: resource.ConfigPlanChecks{
				PreApply: []plancheck.PlanCheck{
					plancheck.ExpectUnknownValue(validationAddress, at("id")),
					plancheck.ExpectKnownValue(validationAddress, at("wait_for"),
						knownvalue.StringExact("delegation")),
				},
				PostApplyPostRefresh: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()},
			},
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue(validationAddress, at("id"),
					knownvalue.StringRegexp(domainIDText))},
		},
		resource.TestStep{ResourceName: validationAddress, ImportState: true,
			ImportStateVerify: true, ImportStateVerifyIgnore: []string{"record_fqdn"}},
		resource.TestStep{ResourceName: validationAddress, ImportState: true, ImportStateId: name,
			ImportStateVerify: true, ImportStateVerifyIgnore: []string{"record_fqdn"}},
	)
}

func TestAccDomainValidation_certificate(t *testing.T) {
	a := newAcc(t)
	name := a.domain()
	a.delegate(name)
	a.run(
		resource.TestStep{
			Config:           a.validated(name, `  wait_for = "certificate"`),
			ConfigPlanChecks: pre(),
			Check: func(*terraform.State) error {
				d, err := a.client.Domain(context.Background(), name)
				if err == nil && d.Status != client.DomainStatusActive {
					t.Errorf("the wait ended with the status %s", d.Status)
				}
				return err
			},
		},
		resource.TestStep{ // a change of timeouts does not wait
			Config: a.validated(name,
				"  wait_for = \"certificate\"\n  timeouts = { create = \"1m\" }"),
			ConfigPlanChecks: pre(plancheck.ExpectResourceAction(validationAddress,
				plancheck.ResourceActionUpdate)),
		},
		resource.TestStep{Config: a.validated(name, ""),
			ConfigPlanChecks: pre(plancheck.ExpectResourceAction(validationAddress,
				plancheck.ResourceActionUpdate))},
	)
}

// The record is created during the wait.
func TestAccDomainValidation_recordComesLater(t *testing.T) {
	a := newAcc(t)
	name := a.domain()
	p := a.proxy(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Get("wait") != "" { // the wait has started
			a.delegate(name)
		}
		return false
	})
	a.run(resource.TestStep{Config: strings.Replace(a.validated(name, `  wait_for = "certificate"`),
		a.endpoint, p.URL, 1), ConfigPlanChecks: pre()})
}

// A wait that times out reports the doctor's cause and fix, and does not change the domain.
func TestAccDomainValidation_timeout(t *testing.T) {
	a := newAcc(t)
	name := a.domain()
	id := statecheck.CompareValue(same{})
	only := a.config("resource \"dcvaas_domain\" \"test\" {\n  name = %q\n}", name)
	keeps := func() resource.TestStep {
		return resource.TestStep{Config: only,
			ConfigPlanChecks:  pre(planned(plancheck.ResourceActionNoop)),
			ConfigStateChecks: []statecheck.StateCheck{id.AddStateValue(domainAddress, at("id"))}}
	}
	short := "  wait_for = \"certificate\"\n  timeouts = { create = \"4s\" }"
	a.run(
		resource.TestStep{Config: only,
			ConfigStateChecks: []statecheck.StateCheck{id.AddStateValue(domainAddress, at("id"))}},
		resource.TestStep{
			Config: a.validated(name, short),
			ExpectError: regexp.MustCompile(`(?s)` + regexp.QuoteMeta(name) +
				`: no certificate\s+within 4s.*CNAME not found: .*Expected: .*Next step: .*Cause: cname-missing.*Next check: .*Required record:`),
		},
		keeps(),
		resource.TestStep{
			PreConfig: func() {
				a.setRecord("_acme-challenge."+name, "CNAME",
					"elsewhere.example.net")
			},
			Config:      a.validated(name, short),
			ExpectError: regexp.MustCompile(`(?s)CNAME points elsewhere: .*elsewhere\.example\.net.*Cause: cname-mismatch`),
		},
		keeps(),
		resource.TestStep{
			PreConfig:         func() { a.delegate(name) },
			Config:            a.validated(name, `  wait_for = "certificate"`),
			ConfigPlanChecks:  pre(planned(plancheck.ResourceActionNoop)),
			ConfigStateChecks: []statecheck.StateCheck{id.AddStateValue(domainAddress, at("id"))},
		},
	)
}

func TestAccDomainValidation_mismatch(t *testing.T) {
	a := newAcc(t)
	name := a.domain()
	a.run(
		resource.TestStep{
			Config:      a.validated(name, `  record_fqdn = "_acme-challenge.`+name+`.`+name+`"`),
			ExpectError: message("The record name differs from the domain's delegation"),
		},
		resource.TestStep{Config: a.config("resource \"dcvaas_domain\" \"test\" {\n  name = %q\n}",
			name), ConfigPlanChecks: pre(planned(plancheck.ResourceActionNoop))},
	)
}

// If nothing will issue the certificate, the wait fails immediately.
func TestAccDomainValidation_autoIssueOff(t *testing.T) {
	a := newAcc(t)
	name := a.domain()
	a.delegate(name)
	config := strings.Replace(a.validated(name, `  wait_for = "certificate"`), "  name = ",
		"  auto_issue = false\n  name = ", 1)
	a.run(
		resource.TestStep{Config: config,
			ExpectError: message("The domain has auto_issue = false")},
		resource.TestStep{Config: a.validated(name, `  wait_for = "certificate"`),
			ConfigPlanChecks: pre()},
	)
}

// Another domain replaces the wait. The wait of a deleted domain is removed from the state.
func TestAccDomainValidation_replace(t *testing.T) {
	a := newAcc(t)
	first, second := a.domain(), a.domain()
	a.delegate(first)
	a.delegate(second)
	a.run(
		resource.TestStep{Config: a.validated(first, "")},
		resource.TestStep{
			Config: a.validated(second, ""),
			ConfigPlanChecks: pre(plancheck.ExpectResourceAction(validationAddress,
				plancheck.ResourceActionDestroyBeforeCreate)),
		},
		resource.TestStep{
			PreConfig: func() {
				if err := a.client.DeleteDomain(context.Background(), second); err != nil {
					t.Error(err)
				}
			},
			Config: a.validated(second, ""),
			ConfigPlanChecks: pre(plancheck.ExpectResourceAction(validationAddress,
				plancheck.ResourceActionCreate), planned(plancheck.ResourceActionCreate)),
		},
	)
}

// A wait requires a token that can read, can be imported for an existing domain, and survives API
// failures.
func TestAccDomainValidation_rejected(t *testing.T) {
	a := newAcc(t)
	d := a.added(a.domain())
	a.delegate(d.Name)
	weak, err := a.client.CreateToken(t.Context(),
		client.TokenCreate{Name: "weak", Scopes: []client.Scope{client.ScopeJobsRead}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.client.DeleteToken(context.Background(), weak.Id) })
	p := a.proxy(answers(func(r *http.Request) bool { return r.Method == http.MethodGet }, 429, 503,
		503))
	with := func(endpoint, token string) string {
		return a.configAt(endpoint, token,
			"resource \"dcvaas_domain_validation\" \"test\" {\n  domain_id = %q\n}", d.Id)
	}
	imports := func(id, want string) resource.TestStep {
		return resource.TestStep{ResourceName: validationAddress, ImportState: true,
			ImportStateId: id, ExpectError: message(want)}
	}
	a.run(
		resource.TestStep{Config: with(a.endpoint, "dcv_"+strings.Repeat("0", 36)),
			ExpectError: message("Status: 401")},
		resource.TestStep{Config: with(a.endpoint, weak.Token),
			ExpectError: regexp.MustCompile(`(?s)domains:read.*Status: 403.*Request ID: \S+`)},
		resource.TestStep{Config: with(p.URL, a.token), ConfigPlanChecks: pre()},
		imports("not a name", "is neither the ID of a domain"),
		imports(a.domain(), "Status: 404"),
		imports("dom_01k9z5w7r8e4bs6v0q1d2m3n4p", "Status: 404"),
	)
	if n := p.count("GET /api/domains/"); n < 4 {
		t.Errorf("the API received %d calls, want 4 or more", n)
	}
}

func TestAccDomainValidation_noSuchDomain(t *testing.T) {
	a := newAcc(t)
	a.run(
		resource.TestStep{
			Config: a.config(
				"resource \"dcvaas_domain_validation\" \"test\" {\n  domain_id = \"dom_01k9z5w7r8e4bs6v0q1d2m3n4p\"\n}"),
			ExpectError: regexp.MustCompile(`(?s)domain_id\s+=.*Status: 404.*Request ID: \S+`),
		},
		resource.TestStep{Config: a.config(`# an error must not come last`)},
	)
}
