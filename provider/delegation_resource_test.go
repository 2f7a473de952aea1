package provider

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
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
	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

const delegationAddress = "dcvaas_delegation.test"

var delegationIDText = regexp.MustCompile(`^dlg_[0-9a-z]{26}$`)

// delegationConfig is the configuration of a delegation, and more resources.
func (a *acc) delegationConfig(name, more string) string {
	return a.config("resource \"dcvaas_delegation\" \"test\" { name = %q }\n%s", name, more)
}

func delegationAction(a plancheck.ResourceActionType) plancheck.PlanCheck {
	return plancheck.ExpectResourceAction(delegationAddress, a)
}

func delegationPlan(name string, check knownvalue.Check) plancheck.PlanCheck {
	return plancheck.ExpectKnownValue(delegationAddress, at(name), check)
}

func delegationState(name string, check knownvalue.Check) statecheck.StateCheck {
	return statecheck.ExpectKnownValue(delegationAddress, at(name), check)
}

func unknownOfDelegation(names ...string) []plancheck.PlanCheck {
	var out []plancheck.PlanCheck
	for _, n := range names {
		out = append(out, plancheck.ExpectUnknownValue(delegationAddress, at(n)))
	}
	return out
}

// The record is known at plan time. A change of the spelling plans nothing, and another name
// replaces the delegation.
func TestAccDelegation_basic(t *testing.T) {
	a := newAcc(t)
	name, other := "bücher-"+a.domain(), a.domain()
	ascii, err := rules.ParseName(name)
	if err != nil {
		t.Fatal(err)
	}
	record, err := a.client.Delegation(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	nothing := func(name string) resource.TestStep {
		return resource.TestStep{Config: a.delegationConfig(name, ""),
			ConfigPlanChecks: resource.ConfigPlanChecks{
				PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}}
	}
	written, ids := strings.ToUpper(name)+".", statecheck.CompareValue(differs{})
	a.run(
		resource.TestStep{
			Config: a.delegationConfig(written, ""),
			ConfigPlanChecks: pre(append(unknownOfDelegation("id", "state", "cause",
				"last_checked_at", "created_at"), delegationAction(plancheck.ResourceActionCreate),
				delegationPlan("record_name", knownvalue.StringExact("_acme-challenge."+ascii)),
				delegationPlan("fqdn", knownvalue.StringExact("_acme-challenge."+ascii+".")),
				delegationPlan("type", knownvalue.StringExact("CNAME")),
				delegationPlan("target", knownvalue.StringExact(record.Target)),
				delegationPlan("pinned", knownvalue.Bool(true)))...),
			ConfigStateChecks: []statecheck.StateCheck{
				delegationState("id", knownvalue.StringRegexp(delegationIDText)),
				delegationState("name", knownvalue.StringExact(written)),
				delegationState("target", knownvalue.StringExact(record.Target)),
				delegationState("pinned", knownvalue.Bool(true)),
				delegationState("created_at", knownvalue.NotNull()),
				ids.AddStateValue(delegationAddress, at("id"))},
		},
		nothing(name), nothing(ascii), nothing(strings.ToUpper(ascii)+"."),
		resource.TestStep{
			Config: a.delegationConfig(other, ""),
			ConfigPlanChecks: pre(delegationAction(plancheck.ResourceActionDestroyBeforeCreate),
				delegationPlan("fqdn", knownvalue.StringExact("_acme-challenge."+other+"."))),
			ConfigStateChecks: []statecheck.StateCheck{
				ids.AddStateValue(delegationAddress, at("id"))},
		},
	)
}

// The state follows the checks, and dependent resources see no change.
func TestAccDelegation_checked(t *testing.T) {
	a := newAcc(t)
	name := a.domain()
	more := `resource "terraform_data" "record" { input = dcvaas_delegation.test.target }`
	verify := func(state client.DelegationState) {
		if _, err := a.client.VerifyDelegation(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for {
			d, err := a.client.DelegationObject(ctx, name)
			if err != nil {
				t.Fatalf("DelegationObject = %+v, %v, want it %s", d, err, state)
			}
			if d.State == state {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	broken := statecheck.ExpectKnownValue(delegationAddress, at("cause", "code"),
		knownvalue.StringRegexp(regexp.MustCompile(`^(cname-missing|zone-not-found)$`)))
	a.run(
		resource.TestStep{Config: a.delegationConfig(name, more)},
		resource.TestStep{PreConfig: func() { verify(client.DelegationStateBroken) },
			Config: a.delegationConfig(name, more), ConfigPlanChecks: pre(
				plancheck.ExpectEmptyPlan()),
			ConfigStateChecks: []statecheck.StateCheck{broken,
				delegationState("state", knownvalue.StringExact("broken"))}},
		resource.TestStep{PreConfig: func() {
			a.delegate(name)
			verify(client.DelegationStateDelegated)
		}, Config: a.delegationConfig(name, more), ConfigPlanChecks: pre(
			plancheck.ExpectEmptyPlan()),
			ConfigStateChecks: []statecheck.StateCheck{
				delegationState("state", knownvalue.StringExact("delegated")),
				delegationState("cause", knownvalue.Null()),
				delegationState("last_checked_at", knownvalue.NotNull())}},
	)
}

// A delegation that domains use is pinned, and is left to them when the resource is destroyed. One
// that was unpinned or deleted outside Terraform is pinned again.
func TestAccDelegation_sharedWithDomains(t *testing.T) {
	a := newAcc(t)
	d, used := a.added(a.domain()), ""
	own := func(pinned bool) resource.TestCheckFunc {
		return func(*terraform.State) error {
			g, err := a.client.DelegationObject(t.Context(), d.Name)
			if err != nil || g.Pinned != pinned {
				return fmt.Errorf("DelegationObject = %+v, %w, want pinned = %t", g, err, pinned)
			}
			return nil
		}
	}
	config := a.delegationConfig(d.Name, "")
	a.run(
		resource.TestStep{Config: config, ConfigPlanChecks: pre(), Check: resource.
			ComposeTestCheckFunc(own(true), idOf(delegationAddress, &used)),
			ConfigStateChecks: []statecheck.StateCheck{
				delegationState("target", knownvalue.StringExact(d.Delegation.Target))}},
		resource.TestStep{PreConfig: func() {
			if _, err := a.client.UpdateDelegation(t.Context(), used,
				client.DelegationUpdate{Pinned: new(false)}); err != nil {
				t.Fatal(err)
			}
		}, Config: config, ConfigPlanChecks: pre(append(unknownOfDelegation("state", "cause",
			"last_checked_at"), delegationAction(plancheck.ResourceActionUpdate),
			delegationPlan("pinned", knownvalue.Bool(true)),
			delegationPlan("target", knownvalue.StringExact(d.Delegation.Target)))...),
			Check: own(true)},
		resource.TestStep{Config: a.config("# the domain keeps its delegation"), Check: own(false)},
		resource.TestStep{Config: config, Check: own(true)},
		resource.TestStep{PreConfig: func() {
			if err := a.client.DeleteDomain(t.Context(), d.Id); err != nil {
				t.Fatal(err)
			}
		}, Config: config, ConfigPlanChecks: pre(plancheck.ExpectEmptyPlan()), Check: own(true)},
		resource.TestStep{PreConfig: func() {
			if err := a.client.DeleteDelegation(t.Context(), d.Name); err != nil {
				t.Fatal(err)
			}
		}, Config: config, Check: own(true),
			ConfigPlanChecks: pre(delegationAction(plancheck.ResourceActionCreate))},
	)
}

// A domain and the delegation of its name are created and destroyed together, in any order.
func TestAccDelegation_withItsDomain(t *testing.T) {
	a := newAcc(t)
	name := a.domain()
	a.run(resource.TestStep{
		Config: a.delegationConfig(name,
			fmt.Sprintf("resource \"dcvaas_domain\" \"test\" { name = %q }", strings.ToUpper(name))),
		ConfigPlanChecks: pre()})
	if g, err := a.client.DelegationObject(t.Context(), name); !client.IsNotFound(err) {
		t.Errorf("DelegationObject = %+v, %v, want it gone", g, err)
	}
}

// Import by ID or by any spelling of the name pins nothing before the apply.
func TestAccDelegation_import(t *testing.T) {
	a := newAcc(t)
	name, d := a.domain(), a.added(a.domain())
	imported := func(ref string) resource.TestStep {
		return resource.TestStep{ResourceName: delegationAddress, ImportState: true,
			ImportStateId: ref, ImportStateVerify: true,
			// they change without an apply
			ImportStateVerifyIgnore: []string{"state", "last_checked_at", "cause.%", "cause.code",
				"cause.message", "cause.observed", "cause.expected", "cause.fix"}}
	}
	fails := func(ref, want string) resource.TestStep {
		return resource.TestStep{ResourceName: delegationAddress, ImportState: true,
			ImportStateId: ref, ExpectError: message(want)}
	}
	a.run(
		resource.TestStep{Config: a.delegationConfig(name, "")},
		imported(""), imported(name), imported(strings.ToUpper(name)+"."),
		fails("*."+name, "is neither the ID of a delegation"),
		fails("dlg_short", "is neither the ID of a delegation"),
		fails(a.domain(), "Status: 404"),
		fails("dlg_01k9z5w7r8e4bs6v0q1d2m3n4p", "Status: 404"),
	)
	a.run(resource.TestStep{
		Config: a.delegationConfig(d.Name,
			fmt.Sprintf("import {\n  to = dcvaas_delegation.test\n  id = %q\n}", d.Name)),
		ConfigPlanChecks: pre(delegationAction(plancheck.ResourceActionUpdate),
			delegationPlan("pinned", knownvalue.Bool(true))),
	})
}

func TestAccDelegation_identity(t *testing.T) {
	a := newAcc(t)
	resource.Test(t, resource.TestCase{
		TerraformVersionChecks: []tfversion.TerraformVersionCheck{
			tfversion.SkipBelow(tfversion.Version1_12_0)},
		ProtoV6ProviderFactories: a.factories(),
		CheckDestroy:             a.checkDestroy,
		Steps: []resource.TestStep{
			{
				Config: a.delegationConfig(a.domain(), ""),
				ConfigStateChecks: []statecheck.StateCheck{
					statecheck.ExpectIdentityValueMatchesState(delegationAddress, at("id"))},
			},
			{ResourceName: delegationAddress, ImportState: true,
				ImportStateKind: resource.ImportBlockWithResourceIdentity},
		},
	})
}

// API errors are at the attribute, with the request ID. A replacement that would fail fails the
// plan, and nothing is destroyed.
func TestAccDelegation_rejected(t *testing.T) {
	a := newAcc(t).organization(t, "--tier=free", "--domain-limit=1", "--delegation-limit=1")
	name, id := a.domain(), ""
	d := a.added(a.domain())
	limited, err := a.client.CreateToken(t.Context(), client.TokenCreate{Name: "limited",
		Scopes:    []client.Scope{client.ScopeDomainsRead, client.ScopeDomainsWrite},
		DomainIds: &[]string{d.Id}})
	if err != nil {
		t.Fatal(err)
	}
	more := fmt.Sprintf("resource \"dcvaas_delegation\" \"more\" { name = %q }", a.domain())
	a.run(
		resource.TestStep{Config: a.delegationConfig("*."+name, ""),
			ExpectError: regexp.MustCompile(`(?s)name\s+=.*is\s+a\s+wildcard`)},
		resource.TestStep{Config: strings.Replace(a.delegationConfig(d.Name, ""), a.token,
			limited.Token, 1), ExpectError: regexp.MustCompile(`(?s)Status:\s+403.*Request\s+ID:`)},
		resource.TestStep{PreConfig: func() {
			if err := a.client.DeleteDomain(t.Context(), d.Id); err != nil {
				t.Fatal(err)
			}
		}, Config: a.delegationConfig(name, ""), Check: idOf(delegationAddress, &id)},
		resource.TestStep{Config: a.delegationConfig(name, more),
			ExpectError: message("Status: 403 plan-limit")},
		failsToPlan(a.delegationConfig("nas.lan", ""), "Status: 422 name-unknown-tld"),
		stays(a.delegationConfig(name, ""), delegationAddress, &id),
		// At the limit, the replaced delegation makes room.
		resource.TestStep{Config: a.delegationConfig(a.domain(), ""), ConfigPlanChecks: pre(
			delegationAction(plancheck.ResourceActionDestroyBeforeCreate))},
	)
}

// Lost responses are repeated, and a domain that stops to use a delegation between two calls of its
// deletion does not matter.
func TestAccDelegation_lostResponses(t *testing.T) {
	a := newAcc(t)
	d, lost := a.added(a.domain()), map[string]bool{}
	var p *proxy
	p = a.proxy(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPatch {
			if err := a.client.DeleteDomain(t.Context(), d.Id); err != nil {
				t.Errorf("DeleteDomain = %v, want nil", err)
			}
			return false
		}
		unused := r.Method == http.MethodDelete && p.count("PATCH") > 0
		if r.Method != http.MethodPost && !unused || lost[r.Method] {
			return false
		}
		lost[r.Method] = true
		body, _ := io.ReadAll(r.Body)
		again, _ := http.NewRequestWithContext(t.Context(), r.Method, a.endpoint+r.URL.Path,
			strings.NewReader(string(body)))
		again.Header = r.Header.Clone()
		resp, err := http.DefaultClient.Do(again)
		if err != nil || resp.StatusCode >= http.StatusBadRequest {
			t.Errorf("%s %s = %+v, %v, want success", r.Method, r.URL.Path, resp, err)
		} else {
			_ = resp.Body.Close()
		}
		panic(http.ErrAbortHandler)
	})
	a.run(resource.TestStep{ConfigPlanChecks: pre(),
		Config: strings.Replace(a.delegationConfig(d.Name, ""), a.endpoint, p.URL, 1)})
	for prefix, want := range map[string]int{"POST": 2, "PATCH": 1, "DELETE": 3} {
		if got := p.count(prefix); got != want {
			t.Errorf("the API received %d calls of %s, want %d", got, prefix, want)
		}
	}
}

// The deletion stops after a few conflicts.
func TestDelegationReleaseGivesUp(t *testing.T) {
	t.Parallel()
	calls := 0
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls++
		code := map[string]string{http.MethodDelete: "delegation-in-use",
			http.MethodPatch: "delegation-unused"}[r.Method]
		w.Header().Set("DCVaaS-API", "1")
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusConflict)
		_, _ = fmt.Fprintf(w, `{"type":"x","title":"Conflict","status":409,"code":%q}`, code)
	}))
	t.Cleanup(api.Close)
	c, err := client.New(client.Options{Endpoint: api.URL, Token: "dcv_x"})
	if err != nil {
		t.Fatal(err)
	}
	r := &delegationResource{&configured{client: c}}
	if err := r.release(t.Context(), "dlg_1"); !isDelegationConflict(err) {
		t.Errorf("release = %v, want the conflict", err)
	}
	if calls != 2*releaseAttempts {
		t.Errorf("release calls the API %d times, want %d", calls, 2*releaseAttempts)
	}
}
