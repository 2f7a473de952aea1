package provider

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

// addedMany adds domains to the organization in parallel.
func (a *acc) addedMany(n int) []*client.Domain {
	a.Helper()
	out := make([]*client.Domain, n)
	var wg sync.WaitGroup
	for i := range out {
		wg.Go(func() {
			d, err := a.client.CreateDomain(a.Context(), client.DomainCreate{Name: a.domain()})
			if err != nil {
				a.Error(err)
				return
			}
			out[i] = d
		})
	}
	if wg.Wait(); a.Failed() {
		a.FailNow()
	}
	return out
}

// readDomain reads a domain like a refresh. It returns the status, empty if the domain is gone.
func (r *rpc) readDomain(id string) string {
	r.Helper()
	typ := r.schemas.ResourceSchemas["dcvaas_domain"].ValueType()
	resp, err := r.ReadResource(r.Context(),
		&tfprotov6.ReadResourceRequest{TypeName: "dcvaas_domain", CurrentState: r.value(typ,
			map[string]any{"id": id, "name": "unread.example"}), Private: r.private()})
	if err != nil {
		r.Error(err)
		return ""
	}
	for _, d := range resp.Diagnostics {
		r.Errorf("ReadResource returns %s: %s", d.Summary, d.Detail)
	}
	if v, err := resp.NewState.Unmarshal(typ); err != nil || v.IsNull() {
		return ""
	}
	return r.attribute(resp.NewState, typ, "status")
}

// private returns the private state of a resource of the test's organization.
func (r *rpc) private() []byte {
	r.Helper()
	id, err := r.client.Identify(r.Context())
	if err != nil {
		r.Error(err)
	}
	raw, err := json.Marshal(map[string][]byte{privateOrganization: fmt.Appendf(nil, "%q", id)})
	if err != nil {
		r.Error(err)
	}
	return raw
}

// A token that lost access to an object does not show whether the object exists: it stays in the
// state.
func TestReadWithoutAccessIsAnError(t *testing.T) {
	a := newAcc(t)
	mine, other := a.added(a.domain()), a.added(a.domain())
	otherToken, err := a.client.CreateToken(t.Context(),
		client.TokenCreate{Name: "unrestricted", Scopes: []client.Scope{client.ScopeDomainsRead}})
	if err != nil {
		t.Fatal(err)
	}
	narrowed, err := a.client.CreateToken(t.Context(),
		client.TokenCreate{Name: "narrowed", DomainIds: &[]string{mine.Id},
			Scopes: []client.Scope{client.ScopeDomainsRead, client.ScopeDomainsWrite,
				client.ScopeTokensRead, client.ScopeTokensWrite, client.ScopeWebhooksRead}})
	if err != nil {
		t.Fatal(err)
	}
	a.token = narrowed.Token
	r := a.rpc()
	for name, state := range map[string]map[string]any{
		"dcvaas_domain":            {"id": other.Id, "name": other.Name},
		"dcvaas_domain_validation": {"id": other.Id, "domain_id": other.Id},
		"dcvaas_api_token":         {"id": otherToken.Id, "name": "unrestricted"},
		"dcvaas_webhook": {"id": "whk_01k9z5w7r8e4bs6v0q1d2m3n4p",
			"url": "https://example.com"},
	} {
		typ := r.schemas.ResourceSchemas[name].ValueType()
		resp, err := r.ReadResource(t.Context(),
			&tfprotov6.ReadResourceRequest{TypeName: name, CurrentState: r.value(typ, state)})
		if err != nil {
			t.Fatal(err)
		}
		if len(resp.Diagnostics) != 1 ||
			!strings.Contains(resp.Diagnostics[0].Detail, "Status: 403") {
			t.Errorf("ReadResource(%s) = diagnostics %v, want one with status 403", name,
				resp.Diagnostics)
		}
		if v, err := resp.NewState.Unmarshal(typ); err != nil || v.IsNull() {
			t.Errorf("ReadResource(%s) removed the state, %v", name, err)
		}
	}
	typ := r.schemas.ResourceSchemas["dcvaas_domain"].ValueType()
	resp, err := r.ApplyResourceChange(t.Context(),
		&tfprotov6.ApplyResourceChangeRequest{TypeName: "dcvaas_domain", PriorState: r.value(typ,
			map[string]any{"id": other.Id, "name": other.Name}),
			PlannedState: r.null(typ), Config: r.null(typ)})
	if err != nil {
		t.Fatal(err)
	}
	if len(resp.Diagnostics) != 1 || !strings.Contains(resp.Diagnostics[0].Detail,
		"domain-not-allowed") {
		t.Errorf("deletion = diagnostics %v, want domain-not-allowed", resp.Diagnostics)
	}
}

// A refresh of many domains takes a few calls, in any order. A missing domain is detected.
func TestRefreshReadsByTheList(t *testing.T) {
	a := newAcc(t).organization(t)
	domains := a.addedMany(210)
	if err := a.client.DeleteDomain(t.Context(), domains[7].Id); err != nil {
		t.Fatal(err)
	}
	p := a.proxy(nil)
	a.endpoint = p.URL
	r := a.rpc()
	turn := make(chan struct{}, 10) // Terraform's default parallelism
	var wg sync.WaitGroup
	for i, d := range domains {
		turn <- struct{}{}
		wg.Go(func() {
			defer func() { <-turn }()
			if status := r.readDomain(d.Id); (status == "") != (i == 7) {
				t.Errorf("%s is %q", d.Name, status)
			}
		})
	}
	wg.Wait()
	// The organization, two pages, the requests before the first page, and the missing domain.
	if n := p.count("GET "); n > 1+2+readsAlone+10+1 {
		t.Errorf("the refresh makes %d calls for %d domains", n, len(domains))
	}
}

// A few domains are read individually, because the list of a large organization costs more.
func TestRefreshOfAFewReadsNoList(t *testing.T) {
	a := newAcc(t).organization(t)
	domains := a.addedMany(readsAlone)
	p := a.proxy(nil)
	a.endpoint = p.URL
	r := a.rpc()
	for _, d := range domains {
		r.readDomain(d.Id)
	}
	if lists := p.count("GET /api/domains") - p.count("GET /api/domains/"); lists != 0 ||
		p.count("GET ") != readsAlone+1 { // and the organization
		t.Errorf("the refresh makes %d calls, of them %d for the list", p.count("GET "), lists)
	}
}

// A read after a write of this provider does not return the old state.
func TestRefreshAfterAWrite(t *testing.T) {
	a := newAcc(t).organization(t)
	domains := a.addedMany(20)
	r := a.rpc()
	for _, d := range domains {
		r.readDomain(d.Id)
	}
	typ := r.schemas.ResourceSchemas["dcvaas_domain"].ValueType()
	last := domains[19]
	current, err := r.ReadResource(t.Context(),
		&tfprotov6.ReadResourceRequest{TypeName: "dcvaas_domain", CurrentState: r.value(typ,
			map[string]any{"id": last.Id})})
	if err != nil {
		t.Fatal(err)
	}
	null := r.null(typ)
	resp, err := r.ApplyResourceChange(t.Context(),
		&tfprotov6.ApplyResourceChangeRequest{TypeName: "dcvaas_domain",
			PriorState: current.NewState, PlannedState: null, Config: null})
	if err != nil {
		t.Fatal(err)
	}
	r.ok(resp.Diagnostics)
	if status := r.readDomain(last.Id); status != "" {
		t.Errorf("the deleted domain has the status %s, want none", status)
	}
}

// If the list is not available, each domain is read individually.
func TestRefreshWithoutTheList(t *testing.T) {
	a := newAcc(t).organization(t)
	domains := a.addedMany(20)
	p := a.proxy(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/api/domains" {
			return false
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusForbidden)
		_, _ = fmt.Fprint(w,
			`{"type":"about:blank","title":"Forbidden","status":403,"code":"scope-missing"}`)
		return true
	})
	a.endpoint = p.URL
	r := a.rpc()
	for _, d := range domains {
		if status := r.readDomain(d.Id); status != "pending_cname" {
			t.Errorf("%s is %q", d.Name, status)
		}
	}
	if n := p.count("GET /api/domains/"); n != 20 || p.count("GET ") != 22 {
		t.Errorf("the refresh makes %d calls for 20 domains: %s", n, strings.Join(p.calls, ", "))
	}
}
