package provider

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

// The record is known at plan time and equals that of the domain. No domain is added. The state is
// that of the delegation, if there is one.
func TestAccDelegationDataSource(t *testing.T) {
	a := newAcc(t)
	name := a.domain()
	const address = "data.dcvaas_delegation.test"
	is := func(name string, check knownvalue.Check) statecheck.StateCheck {
		return statecheck.ExpectKnownValue(address, at(name), check)
	}
	config := func(name string) string {
		return a.config("data \"dcvaas_delegation\" \"test\" {\n  domain = %q\n}", name)
	}
	target := statecheck.CompareValue(same{})
	step := func(spelling string) resource.TestStep {
		return resource.TestStep{
			Config:           config(spelling),
			ConfigPlanChecks: pre(),
			ConfigStateChecks: []statecheck.StateCheck{
				is("name", knownvalue.StringExact("_acme-challenge."+name)),
				is("fqdn", knownvalue.StringExact("_acme-challenge."+name+".")),
				is("type", knownvalue.StringExact("CNAME")),
				target.AddStateValue(address, at("target")),
				is("id", knownvalue.Null()), is("pinned", knownvalue.Null()),
				is("state", knownvalue.Null()), is("cause", knownvalue.Null()),
				is("last_checked_at", knownvalue.Null()),
			},
		}
	}
	a.run(step(name), step(strings.ToUpper(name)+"."))
	if _, err := a.client.Domain(t.Context(), name); !client.IsNotFound(err) {
		t.Errorf("reading the delegation added the domain: %v", err)
	}
	a.run(
		step(name),
		resource.TestStep{
			Config: config(name) +
				fmt.Sprintf("\nresource \"dcvaas_domain\" \"test\" {\n  name = %q\n}", name),
			ConfigStateChecks: []statecheck.StateCheck{target.AddStateValue(address, at("target")),
				target.AddStateValue("dcvaas_domain.test", at("delegation", "target"))},
		},
		resource.TestStep{
			Config: config(strings.ToUpper(name)) +
				fmt.Sprintf("\nresource \"dcvaas_domain\" \"test\" {\n  name = %q\n}", name),
			ConfigStateChecks: []statecheck.StateCheck{target.AddStateValue(address, at("target")),
				is("id", knownvalue.StringRegexp(delegationIDText)),
				is("pinned", knownvalue.Bool(false)), is("state", knownvalue.NotNull())},
		},
	)
	a.run(
		resource.TestStep{Config: config("*." + name), ExpectError: message("is a wildcard")},
		resource.TestStep{Config: config("co.uk"), ExpectError: message("is a public suffix")},
		// the list of top-level domains is that of the API
		resource.TestStep{Config: config("nas.lan"), ExpectError: message("Status: 422")},
		resource.TestStep{Config: a.config("# an error must not come last")},
	)
}

// All filters apply. No match is an empty list.
func TestAccDomainsDataSource(t *testing.T) {
	a := newAcc(t)
	a = a.organization(t)
	parent := a.domain()
	add := func(name string, labels client.Labels) *client.Domain {
		d, err := a.client.CreateDomain(t.Context(),
			client.DomainCreate{Name: name, Labels: &labels})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = a.client.DeleteDomain(context.Background(), d.Id) })
		return d
	}
	add("c.one."+parent, client.Labels{"team": "shop"})
	b := add("b.one."+parent, client.Labels{"team": "shop", "env": "test"})
	add("a.two."+parent, client.Labels{"team": "mail"})
	a.activate("c.one." + parent)

	const address = "data.dcvaas_domains.test"
	step := func(filters string, names ...string) resource.TestStep {
		checks := []knownvalue.Check{}
		for _, n := range names {
			checks = append(checks, knownvalue.StringExact(n+"."+parent))
		}
		return resource.TestStep{
			Config:           a.config("data \"dcvaas_domains\" \"test\" {\n%s\n}", filters),
			ConfigPlanChecks: pre(),
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue(address, at("names"), knownvalue.ListExact(checks)),
				statecheck.ExpectKnownValue(address, at("domains"),
					knownvalue.ListSizeExact(len(names))),
			},
		}
	}
	one := step(`label = "env"`, "b.one")
	for name, check := range map[string]knownvalue.Check{
		"id": knownvalue.StringExact(b.Id), "status": knownvalue.StringExact("pending_cname"),
		"certificate_id": knownvalue.Null(),
		"labels": knownvalue.MapExact(
			map[string]knownvalue.Check{"team": knownvalue.StringExact("shop"),
				"env": knownvalue.StringExact("test")}),
		"delegation": knownvalue.ObjectPartial(
			map[string]knownvalue.Check{"target": knownvalue.StringExact(b.Delegation.Target)}),
	} {
		one.ConfigStateChecks = append(one.ConfigStateChecks,
			statecheck.ExpectKnownValue(address, at("domains").AtSliceIndex(0).AtMapKey(name),
				check))
	}
	bad := func(filter, want string) resource.TestStep {
		return resource.TestStep{Config: a.config("data \"dcvaas_domains\" \"test\" {\n%s\n}",
			filter), ExpectError: message(want)}
	}
	a.run(
		step("", "a.two", "b.one", "c.one"),
		one,
		step(`label = "team=shop"`, "b.one", "c.one"),
		step(`label = "team=other"`),
		step(`q = "one"`, "b.one", "c.one"),
		step(`status = "active"`, "c.one"),
		step("status = \"pending_cname\"\nlabel = \"team=shop\"\nq = \"one\"", "b.one"),
		bad(`status = "pending"`, "value must be one of"),
		bad(`label = ""`, "between 1 and 319"),
		bad(`q = ""`, "between 1 and 253"),
		step("", "a.two", "b.one", "c.one"),
	)
}

// At page boundaries, no domain is lost or repeated. Each page is requested once.
func TestAccDomainsDataSource_pages(t *testing.T) {
	a := newAcc(t)
	a = a.organization(t)
	const limit = 2
	p := a.proxy(func(_ http.ResponseWriter, r *http.Request) bool {
		if q := r.URL.Query(); q.Has("limit") { // small pages
			q.Set("limit", fmt.Sprint(limit))
			r.URL.RawQuery = q.Encode()
		}
		return false
	})
	c, err := client.New(client.Options{Endpoint: p.URL, Token: a.token})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	parent := a.domain()
	for n := range 2*limit + 2 {
		if n > 0 {
			name := fmt.Sprintf("n%d.%s", n, parent)
			a.added(name)
			names = append(names, name)
		}
		before := p.count("GET /api/domains")
		got, err := c.AllDomains(t.Context(),
			client.ListDomainsParams{Sort: new(client.ListDomainsParamsSortName),
				Cursor: new("not used"), Limit: new(1)})
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		for _, d := range got {
			found = append(found, d.Name)
		}
		if !slices.Equal(found, names) {
			t.Errorf("the data source returns %[2]v, want %[1]d domains", n, found)
		}
		if calls, want := p.count("GET /api/domains")-before,
			max(1, (n+limit-1)/limit); calls != want {
			t.Errorf("%d domains took %d calls, want %d", n, calls, want)
		}
	}
	var want []knownvalue.Check
	for _, n := range names {
		want = append(want, knownvalue.StringExact(n))
	}
	a.run(resource.TestStep{
		Config:           a.configAt(p.URL, a.token, "data \"dcvaas_domains\" \"test\" {\n}"),
		ConfigPlanChecks: pre(),
		ConfigStateChecks: []statecheck.StateCheck{
			statecheck.ExpectKnownValue("data.dcvaas_domains.test", at("names"),
				knownvalue.ListExact(want))},
	})
}

func TestAccOrganizationDataSource(t *testing.T) {
	a := newAcc(t)
	a = a.organization(t)
	a.added(a.domain())
	o, err := a.client.Organization(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const address = "data.dcvaas_organization.test"
	is := func(check knownvalue.Check, names ...string) statecheck.StateCheck {
		return statecheck.ExpectKnownValue(address, at(names...), check)
	}
	weak, err := a.client.CreateToken(t.Context(),
		client.TokenCreate{Name: "weak", Scopes: []client.Scope{client.ScopeDomainsRead}})
	if err != nil {
		t.Fatal(err)
	}
	const config = "data \"dcvaas_organization\" \"test\" {\n}"
	a.run(
		resource.TestStep{Config: a.configAt(a.endpoint, weak.Token, config),
			ExpectError: message("Status: 403")},
		resource.TestStep{
			Config:           a.config(config),
			ConfigPlanChecks: pre(),
			ConfigStateChecks: []statecheck.StateCheck{
				is(knownvalue.StringExact(o.Id), "id"),
				is(knownvalue.StringExact(t.Name()), "name"),
				is(knownvalue.StringExact("agency"), "tier"),
				is(knownvalue.Int64Exact(1), "domains", "used"),
				is(knownvalue.Int64Exact(int64(o.Domains.Limit)), "domains", "limit"),
				is(knownvalue.Int64Exact(int64(o.Delegations.Limit)), "delegations", "limit"),
				is(knownvalue.NotNull(), "delegations", "used"),
				is(knownvalue.Int64Exact(int64(o.RateLimit.Requests)), "rate_limit", "requests"),
				is(knownvalue.Int64Exact(int64(o.RateLimit.WindowSeconds)), "rate_limit",
					"window_seconds"),
				is(knownvalue.NotNull(), "created_at"),
			},
		},
	)
}
