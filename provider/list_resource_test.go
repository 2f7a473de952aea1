package provider

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

// list lists objects like terraform query.
func (r *rpc) list(
	kind string, given map[string]any, limit int64, whole bool,
) []tfprotov6.ListResourceResult {
	r.Helper()
	server, ok := r.ProviderServer.(tfprotov6.ListResourceServer)
	if !ok {
		r.Fatal("the provider server does not support lists")
	}
	config := r.value(r.schemas.ListResourceSchemas[kind].ValueType(), given)
	valid, err := server.ValidateListResourceConfig(r.Context(),
		&tfprotov6.ValidateListResourceConfigRequest{TypeName: kind, Config: config})
	if err != nil {
		r.Fatal(err)
	}
	r.ok(valid.Diagnostics)
	stream, err := server.ListResource(r.Context(),
		&tfprotov6.ListResourceRequest{TypeName: kind, Config: config, Limit: limit,
			IncludeResource: whole})
	if err != nil {
		r.Fatal(err)
	}
	return slices.Collect(stream.Results)
}

// asRead checks that a listed object equals the object that is imported by its identity, except for
// attributes that change without an apply.
func (r *rpc) asRead(kind, id string, result tfprotov6.ListResourceResult, moving ...string) {
	r.Helper()
	r.ok(result.Diagnostics)
	if got := r.attribute(result.Identity.IdentityData, identityType, "id"); got != id {
		r.Errorf("the identity is %s, want %s", got, id)
	}
	typ := r.schemas.ResourceSchemas[kind].ValueType()
	read, err := r.ReadResource(r.Context(),
		&tfprotov6.ReadResourceRequest{TypeName: kind,
			CurrentState: r.value(typ, map[string]any{"id": id})})
	if err != nil {
		r.Fatal(err)
	}
	r.ok(read.Diagnostics)
	listed, err := result.Resource.Unmarshal(typ)
	if err != nil {
		r.Fatal(err)
	}
	alone, err := read.NewState.Unmarshal(typ)
	if err != nil {
		r.Fatal(err)
	}
	differences, err := listed.Diff(alone)
	if err != nil {
		r.Fatal(err)
	}
	for _, d := range differences {
		if !slices.ContainsFunc(moving,
			func(name string) bool { return strings.Contains(d.Path.String(), name) }) {
			r.Errorf("listed and read differ: %s", d)
		}
	}
}

func displayNames(results []tfprotov6.ListResourceResult) []string {
	var out []string
	for _, r := range results {
		out = append(out, r.DisplayName)
	}
	return out
}

func TestDomainListResource(t *testing.T) {
	a := newAcc(t)
	a = a.organization(t)
	var names []string
	for i := range 3 {
		names = append(names, fmt.Sprintf("%c.%s", 'a'+i, a.domain()))
		a.added(names[i])
	}
	accented := "d.münchen." + a.domain()
	idn := a.added(accented)
	labels := client.Labels{"team": "shop"}
	marked, err := a.client.UpdateDomain(t.Context(), names[1],
		client.DomainUpdate{Labels: &labels, Wildcard: new(true)})
	if err != nil {
		t.Fatal(err)
	}
	r := a.rpc()
	const kind = "dcvaas_domain"
	for name, c := range map[string]struct {
		given map[string]any
		limit int64
		want  []string
	}{
		"all":    {nil, 1000, append(slices.Clone(names), idn.Name)},
		"some":   {nil, 2, names[:2]},
		"label":  {map[string]any{"label": "team=shop"}, 100, names[1:2]},
		"part":   {map[string]any{"q": "c.d"}, 100, names[2:]},
		"IDN":    {map[string]any{"q": "Münch"}, 100, []string{idn.Name}},
		"status": {map[string]any{"status": "active"}, 100, nil},
	} {
		if got := displayNames(r.list(kind, c.given, c.limit, false)); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}

	// The resource equals the one that is imported by identity.
	r.asRead(kind, marked.Id, r.list(kind, map[string]any{"label": "team"}, 100, true)[0],
		"status_reason")
}

// A webhook is listed under its description, and equals the one that is imported by identity.
func TestWebhookListResource(t *testing.T) {
	a := newAcc(t).organization(t)
	if _, err := a.client.CreateWebhook(t.Context(),
		client.WebhookCreate{Url: webhookURL}); err != nil {
		t.Fatal(err)
	}
	made, err := a.client.CreateWebhook(t.Context(),
		client.WebhookCreate{Url: webhookURL, Description: new("Shop"),
			Events: &[]string{"domain.renewed"}})
	if err != nil {
		t.Fatal(err)
	}
	r := a.rpc()
	const kind = "dcvaas_webhook"
	results := r.list(kind, nil, 100, true)
	if got := displayNames(results); !slices.Equal(got, []string{"Shop", webhookURL}) {
		t.Fatalf("the list returns %v", got)
	}
	r.asRead(kind, made.Id, results[0])
}

// A member is listed under the login, and equals the one that is imported by identity.
func TestMemberListResource(t *testing.T) {
	a := newAcc(t).organization(t)
	first, second := a.invited(a.login(), client.RoleAdmin), a.invited(a.login(), client.RoleMember)
	r := a.rpc()
	const kind = "dcvaas_organization_member"
	results := r.list(kind, nil, 100, true)
	if got := displayNames(results); !slices.Equal(got, []string{first.Login, second.Login}) {
		t.Fatalf("the list returns %v", got)
	}
	r.asRead(kind, first.Id, results[0])
	r.asRead(kind, second.Id, results[1])
	if got := displayNames(r.list(kind, nil, 1, false)); !slices.Equal(got, []string{first.Login}) {
		t.Errorf("a list with the limit 1 returns %v", got)
	}
}

// A page is requested only if Terraform needs more results, up to the last page.
func TestListResourcePages(t *testing.T) {
	a := newAcc(t)
	a = a.organization(t)
	ctx := context.Background()
	for i := range 205 {
		if _, err := a.client.CreateToken(ctx,
			client.TokenCreate{Name: fmt.Sprintf("list %d", i),
				Scopes: []client.Scope{client.ScopeDomainsRead}}); err != nil {
			t.Fatal(err)
		}
	}
	p := a.proxy(nil)
	a.endpoint = p.URL
	r := a.rpc()
	results := r.list("dcvaas_api_token", nil, 1000, true)
	if len(results) != 206 || results[0].DisplayName != "list 204" ||
		p.count("GET /api/tokens") != 2 {
		t.Errorf("the list returns %d results with %d calls", len(results),
			p.count("GET /api/tokens"))
	}
	typ := r.schemas.ResourceSchemas["dcvaas_api_token"].ValueType()
	for _, result := range results {
		r.ok(result.Diagnostics)
		v, err := result.Resource.Unmarshal(typ)
		if err != nil {
			t.Fatal(err)
		}
		var object map[string]tftypes.Value
		if err := v.As(&object); err != nil || !object["token"].IsNull() {
			t.Fatalf("the secret is %v, %v", object["token"], err)
		}
	}
	if results := r.list("dcvaas_api_token", nil, 200, false); len(results) != 200 ||
		p.count("GET /api/tokens") != 3 {
		t.Errorf("the list returns %d results with %d calls in total", len(results),
			p.count("GET /api/tokens"))
	}
	if results := r.list("dcvaas_api_token", nil, 1, false); len(results) != 1 ||
		p.count("GET /api/tokens") != 4 {
		t.Errorf("the list returns %d results with %d calls in total", len(results),
			p.count("GET /api/tokens"))
	}
}

// An API error ends the list with a diagnostic that contains the request ID.
func TestListResourceRefused(t *testing.T) {
	a := newAcc(t)
	token, err := a.client.CreateToken(t.Context(),
		client.TokenCreate{Name: "cannot list", Scopes: []client.Scope{client.ScopeJobsRead}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.client.DeleteToken(context.Background(), token.Id) })
	a.token = token.Token
	r := a.rpc()
	for kind, scope := range map[string]string{"dcvaas_domain": "domains:read",
		"dcvaas_api_token": "tokens:read", "dcvaas_webhook": "webhooks:read",
		"dcvaas_organization_member": "members:read"} {
		results := r.list(kind, nil, 10, false)
		if len(results) != 1 || len(results[0].Diagnostics) != 1 {
			t.Fatalf("the list of %s returns %v, want one result with one error", kind, results)
		}
		if d := results[0].Diagnostics[0]; d.Severity != tfprotov6.DiagnosticSeverityError ||
			!strings.Contains(d.Detail, scope) || !strings.Contains(d.Detail, "Request ID: ") {
			t.Errorf("the list of %s returns %s: %s, want an error about the scope %s with the request ID", kind, d.Summary, d.Detail, scope)
		}
	}
}
