package provider

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

// namesConfig is the configuration of a domain with additional names.
func (a *acc) namesConfig(name, attributes string, additional ...string) string {
	return a.config(`resource "dcvaas_domain" "test" {
  name             = %q
  additional_names = [%s]
%s
}`, name, `"`+strings.Join(additional, `", "`)+`"`, attributes)
}

// setOf expects a set of texts.
func setOf(texts ...string) knownvalue.Check {
	checks := make([]knownvalue.Check, len(texts))
	for i, s := range texts {
		checks[i] = knownvalue.StringExact(s)
	}
	return knownvalue.SetExact(checks)
}

// recordOf expects the record of a name.
func (a *acc) recordOf(name string) knownvalue.Check {
	a.Helper()
	d, err := a.client.Delegation(a.Context(), name)
	if err != nil {
		a.Fatal(err)
	}
	return knownvalue.ObjectExact(map[string]knownvalue.Check{
		"name": knownvalue.StringExact(d.Name), "fqdn": knownvalue.StringExact(d.Name + "."),
		"type": knownvalue.StringExact("CNAME"), "target": knownvalue.StringExact(d.Target)})
}

// recordsOf expects the records of names.
func (a *acc) recordsOf(names ...string) knownvalue.Check {
	a.Helper()
	checks := map[string]knownvalue.Check{}
	for _, name := range names {
		checks[name] = a.recordOf(name)
	}
	return knownvalue.MapExact(checks)
}

// The records of all names are known at plan time, with one call. A change of the spelling plans
// nothing, and a change of the names reads only new records. Terraform plans twice, and applies.
func TestAccDomain_additionalNames(t *testing.T) {
	a := newAcc(t)
	name, wild, idn := a.domain(), a.domain(), "bücher-"+a.domain()
	ascii, err := rules.ParseName(idn)
	if err != nil {
		t.Fatal(err)
	}
	p := a.proxy(nil)
	config := func(additional ...string) string {
		return strings.Replace(a.namesConfig(name, "", additional...), a.endpoint, p.URL, 1)
	}
	calls, id := 0, ""
	asked := func(want int) func() {
		return func() {
			if got := p.count("GET /api/delegation?") - calls; got != want {
				t.Errorf("the last step sent %d requests for records, want %d", got, want)
			}
			calls = p.count("GET /api/delegation?")
		}
	}
	written := []string{strings.ToUpper(idn) + ".", "*." + wild, wild}
	nothing := func(additional ...string) resource.TestStep {
		return resource.TestStep{Config: config(additional...),
			ConfigPlanChecks: resource.ConfigPlanChecks{
				PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}}
	}
	a.run(
		resource.TestStep{
			Config: config(written...),
			ConfigPlanChecks: pre(planned(plancheck.ResourceActionCreate),
				known("additional_names", setOf(written...)),
				known("issue_partial", knownvalue.Bool(false)),
				known("delegation", a.recordOf(name)),
				known("delegations", a.recordsOf(name, wild, ascii))),
			ConfigStateChecks: []statecheck.StateCheck{
				state("additional_names", setOf(written...)),
				state("delegations", a.recordsOf(name, wild, ascii))},
			Check: idOf(domainAddress, &id),
		},
		nothing(ascii, strings.ToUpper(wild), "*."+wild+"."),
		resource.TestStep{
			PreConfig: asked(2),
			Config:    config(ascii, "*."+wild, "www."+name),
			ConfigPlanChecks: pre(planned(plancheck.ResourceActionUpdate),
				unknown("options_revision"), unknown("status"),
				known("id", knownvalue.NotNull()), known("delegation", a.recordOf(name)),
				known("delegations", a.recordsOf(name, wild, ascii, "www."+name))),
		},
		resource.TestStep{
			PreConfig: asked(2),
			Config:    config("*."+wild, "www."+name),
			ConfigPlanChecks: pre(
				known("delegations", a.recordsOf(name, wild, "www."+name))),
			ConfigStateChecks: []statecheck.StateCheck{
				state("additional_names", setOf("*."+wild, "www."+name))},
		},
		resource.TestStep{PreConfig: asked(0), ResourceName: domainAddress, ImportState: true,
			ImportStateVerify: true, ImportStateVerifyIgnore: []string{"status_reason"}},
		resource.TestStep{ // changed outside Terraform
			PreConfig: func() {
				names := []string{"*." + wild, "other." + name}
				if _, err := a.client.UpdateDomain(t.Context(), id,
					client.DomainUpdate{AdditionalNames: &names}); err != nil {
					t.Fatal(err)
				}
			},
			Config: config("*."+wild, "www."+name),
			ConfigPlanChecks: pre(planned(plancheck.ResourceActionUpdate),
				known("delegations", a.recordsOf(name, wild, "www."+name))),
		},
	)
}

// Without additional names, null and an empty set are kept. Names that are known only after apply
// leave only the records unknown that depend on them.
func TestAccDomain_additionalNamesNullAndUnknown(t *testing.T) {
	a := newAcc(t)
	name, other := a.domain(), a.domain()
	step := func(names string, check knownvalue.Check) resource.TestStep {
		return resource.TestStep{Config: a.config(
			"resource \"dcvaas_domain\" \"test\" {\n  name = %q\n  additional_names = %s\n}", name,
			names), ConfigPlanChecks: pre(known("delegations", knownvalue.NotNull())),
			ConfigStateChecks: []statecheck.StateCheck{state("additional_names", check)}}
	}
	one := `["` + other + `"]`
	a.run(step("null", knownvalue.Null()), step("[]", setOf()), step(one, setOf(other)),
		step("null", knownvalue.Null()))
	a.run(resource.TestStep{
		Config: a.config(`resource "terraform_data" "in" { input = %q }

resource "dcvaas_domain" "test" {
  name             = %q
  additional_names = [terraform_data.in.output, %q]
}`, other, name, "www."+name),
		ConfigPlanChecks: pre(known("delegation", a.recordOf(name)), unknown("delegations")),
		ConfigStateChecks: []statecheck.StateCheck{
			state("delegations", a.recordsOf(name, other, "www."+name))},
	})
}

// Errors of the API name the additional name. Nothing is destroyed for a replacement that would
// fail.
func TestAccDomain_additionalNamesRejected(t *testing.T) {
	a := newAcc(t).organization(t, "--tier=free", "--domain-limit=1", "--delegation-limit=2")
	name, id := a.domain(), ""
	a.run(
		resource.TestStep{Config: a.namesConfig(name, "", "ok."+name, "nas.lan"),
			ExpectError: regexp.MustCompile(
				`(?s)additional_names\s+=.*nas\.lan.*Status:\s+422\s+name-unknown-tld`)},
		resource.TestStep{Config: a.namesConfig(name, "", "www."+name),
			Check: idOf(domainAddress, &id)},
		resource.TestStep{Config: a.namesConfig(name, "", "a."+name, "b."+name),
			ExpectError: message("Status: 403 plan-limit")},
		failsToPlan(a.namesConfig(a.domain(), "", "a."+name, "b."+name),
			"Status: 403 plan-limit"),
		stays(a.namesConfig(name, "", "www."+name), domainAddress, &id),
	)
}

// A certificate covers all names, also under another registered domain, and a wait follows a change
// of them. The wait rejects a record that none of the names has.
func TestAccDomain_additionalNamesIssued(t *testing.T) {
	a := newAcc(t)
	name, other := a.domain(), strings.Replace(a.domain(), ".acceptance.", ".elsewhere.", 1)
	for _, n := range []string{name, "www." + name, other} {
		a.delegate(n)
	}
	config := func(fqdn string, additional ...string) string {
		return a.namesConfig(name, "", additional...) + fmt.Sprintf(`
resource "dcvaas_domain_validation" "test" {
  domain_id        = dcvaas_domain.test.id
  record_fqdns     = concat([for r in dcvaas_domain.test.delegations : r.fqdn], %s)
  wait_for         = "certificate"
  options_revision = dcvaas_domain.test.options_revision
}

data "dcvaas_certificate" "test" {
  domain     = dcvaas_domain_validation.test.domain_id
  depends_on = [dcvaas_domain_validation.test]
}`, fqdn)
	}
	covers := func(names ...string) []statecheck.StateCheck {
		checks := make([]knownvalue.Check, len(names))
		for i, n := range names {
			checks[i] = knownvalue.StringExact(n)
		}
		return []statecheck.StateCheck{statecheck.ExpectKnownValue("data.dcvaas_certificate.test",
			at("names"), knownvalue.ListExact(checks))}
	}
	a.run(
		resource.TestStep{Config: config(`["_acme-challenge.example.com"]`, "www."+name),
			ExpectError: message("The record is _acme-challenge.example.com, but the records of " +
				name + " are:")},
		resource.TestStep{Config: config("[]", "www."+name),
			ConfigStateChecks: covers(name, "www."+name)},
		resource.TestStep{Config: config("[]", "www."+name, "*."+other),
			ConfigStateChecks: covers(name, "*."+other, "www."+name),
			Check: func(*terraform.State) error {
				a.wantOneNotReady(name, other)
				return nil
			}},
	)
}

// wantOneNotReady breaks the record of one of a domain's names, and checks that the data source
// shows it, and no other name, before the renewal.
func (a *acc) wantOneNotReady(domain, broken string) {
	a.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	a.setRecord("_acme-challenge."+broken, "CNAME", "elsewhere.example.net.")
	if _, err := a.client.VerifyDomain(ctx, domain); err != nil {
		a.Fatal(err)
	}
	if _, err := a.client.WaitDomain(ctx, domain, func(d *client.Domain) bool {
		return d.StatusSummary.State == client.StatusSummaryStateAtRisk
	}); err != nil {
		a.Fatal(err)
	}
	r := a.rpc()
	typ := r.schemas.DataSourceSchemas["dcvaas_domain"].ValueType()
	resp, err := r.ReadDataSource(ctx, &tfprotov6.ReadDataSourceRequest{TypeName: "dcvaas_domain",
		Config: r.value(typ, map[string]any{"domain": domain})})
	if err != nil {
		a.Fatal(err)
	}
	r.ok(resp.Diagnostics)
	var conditions []tftypes.Value
	r.read(resp.State, typ, "conditions", &conditions)
	for _, v := range conditions {
		var c map[string]tftypes.Value
		var kind, message string
		var names []tftypes.Value
		if err := errors.Join(v.As(&c), c["type"].As(&kind), c["message"].As(&message),
			c["names"].As(&names)); err != nil {
			a.Fatal(err)
		}
		var got []string
		for _, n := range names {
			var one map[string]tftypes.Value
			var text, fix string
			if err := errors.Join(n.As(&one), one["name"].As(&text),
				one["fix"].As(&fix)); err != nil || fix == "" {
				a.Errorf("%s has the name %s, %v, without a fix", kind, n, err)
			}
			got = append(got, text)
		}
		want := []string{broken}
		if kind == "CertificateReady" {
			want = nil
		}
		if !slices.Equal(got, want) || (want != nil && !strings.Contains(message, broken)) ||
			strings.Contains(message, "www."+domain) {
			a.Errorf("%s has the names %q and the message %q, want %q", kind, got, message, want)
		}
	}
}

// A wait that times out names the records that are missing, and no others.
func TestAccDomainValidation_missingNames(t *testing.T) {
	a := newAcc(t)
	name := a.domain()
	a.delegate(name)
	a.delegate("www." + name)
	config := a.namesConfig(name, "", "www."+name, "shop."+name) + `
resource "dcvaas_domain_validation" "test" {
  domain_id = dcvaas_domain.test.id
  timeouts  = { create = "5s" }
}`
	missing, err := a.client.Delegation(t.Context(), "shop."+name)
	if err != nil {
		t.Fatal(err)
	}
	a.run(
		resource.TestStep{Config: config, ExpectError: message("Required record: " + missing.Name +
			" CNAME " + missing.Target)},
		resource.TestStep{Config: a.config("# an error must not come last")},
	)
}

// The data sources have the records and the results of their checks.
func TestAccDomain_additionalNamesDataSources(t *testing.T) {
	a := newAcc(t).organization(t)
	name := a.domain()
	config := a.namesConfig(name, "  issue_partial = true", "WWW."+name) + `
data "dcvaas_domain" "test" {
  domain = dcvaas_domain.test.id
}

data "dcvaas_domains" "test" {
  depends_on = [dcvaas_domain.test]
}`
	const address = "data.dcvaas_domain.test"
	is := func(check knownvalue.Check, names ...string) statecheck.StateCheck {
		return statecheck.ExpectKnownValue(address, at(names...), check)
	}
	a.run(resource.TestStep{Config: config, ConfigStateChecks: []statecheck.StateCheck{
		is(setOf("www."+name), "additional_names"), is(knownvalue.Bool(true), "issue_partial"),
		is(knownvalue.StringExact("_acme-challenge.www."+name+"."), "delegations", "www."+name,
			"fqdn"),
		is(knownvalue.NotNull(), "delegations", "www."+name, "state"),
		statecheck.ExpectKnownValue("data.dcvaas_domains.test",
			at("domains").AtSliceIndex(0).AtMapKey("additional_names"), setOf("www."+name)),
	}})
}

// A domain in a state of an earlier version of the provider, which had neither additional names nor
// records by name, gets its records from the plan, also without a refresh.
func TestDomainOfEarlierVersion(t *testing.T) {
	a := newAcc(t)
	d := a.added(a.domain())
	r := a.rpc()
	const kind = "dcvaas_domain"
	typ := r.schemas.ResourceSchemas[kind].ValueType()
	imported := r.imported(kind, d.Id)
	read, err := r.ReadResource(t.Context(), &tfprotov6.ReadResourceRequest{TypeName: kind,
		CurrentState: imported.State, Private: imported.Private})
	if err != nil {
		t.Fatal(err)
	}
	r.ok(read.Diagnostics)
	old := r.changed(read.NewState, typ, map[string]any{"delegations": nil, "issue_partial": nil})
	resp, err := r.PlanResourceChange(t.Context(), &tfprotov6.PlanResourceChangeRequest{
		TypeName: kind, PriorState: old, Config: r.value(typ, map[string]any{"name": d.Name}),
		ProposedNewState: old})
	if err != nil {
		t.Fatal(err)
	}
	r.ok(resp.Diagnostics)
	if len(resp.RequiresReplace) > 0 {
		t.Errorf("PlanResourceChange requires a replacement because of %v", resp.RequiresReplace)
	}
	decoded, err := resp.PlannedState.Unmarshal(typ)
	if err != nil {
		t.Fatal(err)
	}
	if !decoded.IsFullyKnown() {
		t.Errorf("PlanResourceChange plans %s, want it known", decoded)
	}
	var records map[string]tftypes.Value
	r.read(resp.PlannedState, typ, "delegations", &records)
	if own, ok := records[d.Name]; len(records) != 1 || !ok || !own.IsFullyKnown() {
		t.Errorf("PlanResourceChange plans the records %v, want that of %s", records, d.Name)
	}
}

func TestSameNames(t *testing.T) {
	set := func(names ...string) types.Set {
		elements := make([]attr.Value, len(names))
		for i, s := range names {
			elements[i] = types.StringValue(s)
		}
		return types.SetValueMust(types.StringType, elements)
	}
	null, unknown := types.SetNull(types.StringType), types.SetUnknown(types.StringType)
	for _, c := range []struct {
		a, b types.Set
		want bool
	}{
		{null, null, true}, {null, set(), true}, {unknown, unknown, false}, {null, unknown, false},
		{set("a.example", "*.b.example"), set("*.B.example.", "A.example"), true},
		{set("bücher.example"), set("xn--bcher-kva.example"), true},
		{set("*.a.example"), set("a.example"), false},
		{set("a.example"), set("a.example", "b.example"), false},
		{types.SetValueMust(types.StringType, []attr.Value{types.StringUnknown()}), set(), false},
	} {
		if got := sameNames(c.a, c.b); got != c.want {
			t.Errorf("sameNames(%s, %s) = %t, want %t", c.a, c.b, got, c.want)
		}
		if got := sameNames(c.b, c.a); got != c.want {
			t.Errorf("sameNames(%s, %s) = %t, want %t", c.b, c.a, got, c.want)
		}
	}
	got := textsOf(namesFromAPI([]string{"*.b.example", "a.example", "c.example"},
		set("A.example.", "d.example", "*.B.example")))
	if want := []string{"*.B.example", "A.example.", "c.example"}; !slices.Equal(got, want) {
		t.Errorf("namesFromAPI = %q, want %q", got, want)
	}
}

// Without an answer of the service, or with one of an older version, a wait names the record of the
// domain's name.
func TestRequiredRecords(t *testing.T) {
	record := client.DelegationRecord{Name: "_acme-challenge.a.example", Type: "CNAME", Target: "t"}
	d := &client.Domain{Name: "a.example", Delegation: record}
	if got, want := requiredRecords(d),
		"Required record: _acme-challenge.a.example CNAME t"; got != want {
		t.Errorf("requiredRecords = %q, want %q", got, want)
	}
	d.Delegations = map[string]client.DomainDelegation{}
	for i := range recordsShown + 2 {
		name := fmt.Sprintf("n%02d.example", i)
		d.Delegations[name] = client.DomainDelegation{Name: "_acme-challenge." + name,
			Type: "CNAME", Target: "t"}
	}
	got := requiredRecords(d)
	if lines := strings.Split(got, "\n"); len(lines) != recordsShown+2 ||
		lines[0] != "Required records:" || lines[recordsShown+1] != "and 2 more" ||
		lines[1] != "_acme-challenge.n00.example CNAME t" {
		t.Errorf("requiredRecords = %q, want the first %d records", got, recordsShown)
	}
}
