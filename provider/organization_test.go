package provider

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

// estate is one of everything that the provider can read, in the organization of the test.
type estate struct {
	*acc
	domain  *client.Domain
	objects []object
}

// object is a resource in Terraform's state.
type object struct {
	kind    string
	state   *tfprotov6.DynamicValue
	private []byte
	change  map[string]any                    // of an update
	exists  func(a *acc) (gone bool, e error) // at the server
}

func newEstate(t *testing.T) *estate {
	a := newAcc(t).organization(t)
	e := &estate{acc: a, domain: a.added(a.domain())}
	e.domain = a.activate(e.domain.Id)
	token, err := a.client.CreateToken(t.Context(),
		client.TokenCreate{Name: "estate", Scopes: []client.Scope{client.ScopeDomainsRead}})
	if err != nil {
		t.Fatal(err)
	}
	pinned, err := a.client.PinDelegation(t.Context(), a.domain())
	if err != nil {
		t.Fatal(err)
	}
	hook, err := a.client.CreateWebhook(t.Context(), client.WebhookCreate{Url: webhookURL})
	if err != nil {
		t.Fatal(err)
	}
	connection := a.connection(a.playgroundCredentials("acceptance.example"))
	account, err := a.client.CreateACMEDNSAccount(t.Context(), client.ACMEDNSAccountCreate{})
	if err != nil {
		t.Fatal(err)
	}
	member := a.invited(a.login(), client.RoleMember)
	r := a.rpc()
	for _, o := range []struct {
		object
		id string
	}{
		{object{kind: "dcvaas_domain", change: map[string]any{"auto_renew": false},
			exists: func(a *acc) (bool, error) {
				_, err := a.client.Domain(a.Context(), e.domain.Id)
				return err == nil, err
			}}, e.domain.Id},
		{object{kind: "dcvaas_domain_validation",
			change: map[string]any{"wait_for": waitForCertificate}}, e.domain.Id},
		{object{kind: "dcvaas_delegation", change: map[string]any{"pinned": true},
			exists: func(a *acc) (bool, error) {
				d, err := a.client.DelegationObject(a.Context(), pinned.Id)
				return err == nil && d.Pinned, err
			}}, pinned.Id},
		{object{kind: "dcvaas_api_token", change: map[string]any{"name": "renamed"},
			exists: func(a *acc) (bool, error) {
				t, err := a.client.Token(a.Context(), token.Id)
				return err == nil && t.Name == "estate", err
			}}, token.Id},
		{object{kind: "dcvaas_webhook", change: map[string]any{"enabled": false},
			exists: func(a *acc) (bool, error) {
				w, err := a.client.Webhook(a.Context(), hook.Id)
				return err == nil && w.Enabled, err
			}}, hook.Id},
		{object{kind: "dcvaas_dns_connection", change: map[string]any{"name": "renamed"},
			exists: func(a *acc) (bool, error) {
				c, err := a.client.DNSConnection(a.Context(), connection.Id)
				return err == nil && c.Name == "outside", err
			}}, connection.Id},
		{object{kind: "dcvaas_acmedns_account", change: map[string]any{"description": "renamed"},
			exists: func(a *acc) (bool, error) {
				account, err := a.client.ACMEDNSAccount(a.Context(), account.Id)
				return err == nil && account.Description == "", err
			}}, account.Id},
		{object{kind: "dcvaas_organization_member", change: map[string]any{"role": "admin"},
			exists: func(a *acc) (bool, error) {
				m, err := a.client.Member(a.Context(), member.Id)
				return err == nil && m.Role == client.RoleMember, err
			}}, member.Id},
	} {
		imported := r.imported(o.kind, o.id)
		read, err := r.ReadResource(t.Context(), &tfprotov6.ReadResourceRequest{TypeName: o.kind,
			CurrentState: imported.State, CurrentIdentity: imported.Identity,
			Private: imported.Private})
		if err != nil {
			t.Fatal(err)
		}
		r.ok(read.Diagnostics)
		o.state, o.private = read.NewState, read.Private
		e.objects = append(e.objects, o.object)
	}
	covered := func(what string, schemas, kinds []string) {
		t.Helper()
		slices.Sort(schemas)
		slices.Sort(kinds)
		if !slices.Equal(schemas, kinds) {
			t.Errorf("the estate has the %s %v, want %v", what, kinds, schemas)
		}
	}
	var kinds []string
	for _, o := range e.objects {
		kinds = append(kinds, o.kind)
	}
	covered("resources", slices.Collect(maps.Keys(r.schemas.ResourceSchemas)), kinds)
	covered("data sources", slices.Collect(maps.Keys(r.schemas.DataSourceSchemas)),
		slices.Collect(maps.Keys(e.dataSources())))
	return e
}

// dataSources returns the data sources, with their arguments.
func (e *estate) dataSources() map[string]map[string]any {
	return map[string]map[string]any{
		"dcvaas_domain":       {"domain": e.domain.Name},
		"dcvaas_domains":      {},
		"dcvaas_delegation":   {"domain": e.domain.Name},
		"dcvaas_certificate":  {"domain": e.domain.Id},
		"dcvaas_organization": {},
	}
}

// unchanged checks that everything still exists as it was.
func (e *estate) unchanged() {
	e.Helper()
	for _, o := range e.objects {
		if o.exists == nil {
			continue
		}
		if ok, err := o.exists(e.acc); !ok {
			e.Errorf("%s was changed at the server: %v", o.kind, err)
		}
	}
}

// fails checks that there is one error, whose detail contains want.
func fails(t testing.TB, what string, diags []*tfprotov6.Diagnostic, want string) {
	t.Helper()
	if len(diags) != 1 || diags[0].Severity != tfprotov6.DiagnosticSeverityError ||
		!strings.Contains(diags[0].Detail, want) {
		var got []string
		for _, d := range diags {
			got = append(got, d.Summary+": "+d.Detail)
		}
		t.Errorf("%s returns %q, want one error with %q", what, got, want)
	}
}

// kept checks that a state is not null.
func (r *rpc) kept(what, kind string, state *tfprotov6.DynamicValue) {
	r.Helper()
	if state == nil { // Terraform keeps the previous state
		return
	}
	v, err := state.Unmarshal(r.schemas.ResourceSchemas[kind].ValueType())
	if err != nil || v.IsNull() {
		r.Errorf("%s removes it from the state: %v", what, err)
	}
}

// resourcesFail reads, updates, and deletes every resource with r. Each call must fail with want,
// and keep the state. free are types whose deletion calls nothing.
func (e *estate) resourcesFail(r *rpc, want string, private bool, free ...string) {
	e.Helper()
	for _, o := range e.objects {
		typ := r.schemas.ResourceSchemas[o.kind].ValueType()
		if !private {
			o.private = nil
		}
		read, err := r.ReadResource(e.Context(), &tfprotov6.ReadResourceRequest{TypeName: o.kind,
			CurrentState: o.state, Private: o.private})
		if err != nil {
			e.Fatal(err)
		}
		fails(e, "reading "+o.kind, read.Diagnostics, want)
		r.kept("reading "+o.kind, o.kind, read.NewState)

		planned := r.changed(o.state, typ, o.change)
		updated, err := r.ApplyResourceChange(e.Context(),
			&tfprotov6.ApplyResourceChangeRequest{TypeName: o.kind, PriorState: o.state,
				PlannedState: planned, Config: planned, PlannedPrivate: o.private})
		if err != nil {
			e.Fatal(err)
		}
		fails(e, "updating "+o.kind, updated.Diagnostics, want)
		r.kept("updating "+o.kind, o.kind, updated.NewState)

		if slices.Contains(free, o.kind) {
			continue
		}
		deleted, err := r.ApplyResourceChange(e.Context(),
			&tfprotov6.ApplyResourceChangeRequest{TypeName: o.kind, PriorState: o.state,
				PlannedState: r.null(typ), Config: r.null(typ), PlannedPrivate: o.private})
		if err != nil {
			e.Fatal(err)
		}
		fails(e, "deleting "+o.kind, deleted.Diagnostics, want)
		r.kept("deleting "+o.kind, o.kind, deleted.NewState)
	}
	e.unchanged()
}

// changed returns a state with other values of some attributes.
func (r *rpc) changed(
	state *tfprotov6.DynamicValue, typ tftypes.Type, change map[string]any,
) *tfprotov6.DynamicValue {
	r.Helper()
	decoded, err := state.Unmarshal(typ)
	if err != nil {
		r.Fatal(err)
	}
	var values map[string]tftypes.Value
	if err := decoded.As(&values); err != nil {
		r.Fatal(err)
	}
	attributes := make(map[string]any, len(values))
	for name, v := range values {
		attributes[name] = v
	}
	maps.Copy(attributes, change)
	return r.value(typ, attributes)
}

// readsFail reads every other type with r, except those that are found. Each call must fail with
// want.
func (e *estate) readsFail(r *rpc, want string, found ...string) {
	e.Helper()
	for kind, given := range e.dataSources() {
		if slices.Contains(found, kind) {
			continue
		}
		resp, err := r.ReadDataSource(e.Context(), &tfprotov6.ReadDataSourceRequest{TypeName: kind,
			Config: r.value(r.schemas.DataSourceSchemas[kind].ValueType(), given)})
		if err != nil {
			e.Fatal(err)
		}
		fails(e, "reading the data source "+kind, resp.Diagnostics, want)
	}
	const key = "dcvaas_certificate_key"
	opened, err := r.OpenEphemeralResource(e.Context(),
		&tfprotov6.OpenEphemeralResourceRequest{TypeName: key,
			Config: r.value(r.schemas.EphemeralResourceSchemas[key].ValueType(),
				map[string]any{"certificate_id": e.domain.CertificateId.MustGet()})})
	if err != nil {
		e.Fatal(err)
	}
	fails(e, "opening "+key, opened.Diagnostics, want)
	for kind := range r.schemas.ActionSchemas {
		_, diags := r.invoke(e.Context(), kind, map[string]any{"domain": e.domain.Id})
		fails(e, "the action "+kind, diags, want)
	}
	for _, kind := range []string{"dcvaas_domain", "dcvaas_domain_validation"} {
		imported, err := r.ImportResourceState(e.Context(),
			&tfprotov6.ImportResourceStateRequest{TypeName: kind, ID: e.domain.Id})
		if err != nil {
			e.Fatal(err)
		}
		fails(e, "importing "+kind, imported.Diagnostics, want)
	}
}

// creations has the configuration of a new resource of each type.
func (e *estate) creations() map[string]map[string]any {
	return map[string]map[string]any{
		"dcvaas_domain":            {"name": "new." + e.domain.Name},
		"dcvaas_delegation":        {"name": "pinned." + e.domain.Name},
		"dcvaas_domain_validation": {"domain_id": e.domain.Id},
		"dcvaas_api_token":         {"name": "new", "scopes": textSet("domains:read")},
		"dcvaas_webhook":           {"url": webhookURL},
		"dcvaas_acmedns_account":   {"description": "new"},
		"dcvaas_dns_connection": {"type": "rfc2136", "name": "new",
			"credentials_wo": credentialsValue(), "credentials_wo_version": 1},
		"dcvaas_organization_member": {"login": e.login(), "role": "member"},
	}
}

// creationsFail plans a domain and a delegation, and creates every resource and an ephemeral token
// with r. Each call must fail with want.
func (e *estate) creationsFail(r *rpc, want string) {
	e.Helper()
	for kind, schema := range r.schemas.ResourceSchemas {
		config, ok := e.creations()[kind]
		if !ok {
			e.Errorf("no creation of %s", kind)
			continue
		}
		typ := schema.ValueType()
		if kind == "dcvaas_domain" || kind == "dcvaas_delegation" {
			planned, err := r.PlanResourceChange(e.Context(), &tfprotov6.PlanResourceChangeRequest{
				TypeName: kind, PriorState: r.null(typ), Config: r.value(typ, config),
				ProposedNewState: r.value(typ, config)})
			if err != nil {
				e.Fatal(err)
			}
			fails(e, "planning "+kind, planned.Diagnostics, want)
		}
		created, err := r.ApplyResourceChange(e.Context(),
			&tfprotov6.ApplyResourceChangeRequest{TypeName: kind, PriorState: r.null(typ),
				Config: r.value(typ, config), PlannedState: r.value(typ, config)})
		if err != nil {
			e.Fatal(err)
		}
		fails(e, "creating "+kind, created.Diagnostics, want)
		if v, err := created.NewState.Unmarshal(typ); err != nil || !v.IsNull() {
			e.Errorf("the state after the failed creation of %s is %v, %v, want null", kind, v, err)
		}
	}
	const token = "dcvaas_api_token"
	opened, err := r.OpenEphemeralResource(e.Context(),
		&tfprotov6.OpenEphemeralResourceRequest{TypeName: token,
			Config: r.value(r.schemas.EphemeralResourceSchemas[token].ValueType(),
				e.creations()[token])})
	if err != nil {
		e.Fatal(err)
	}
	fails(e, "opening "+token, opened.Diagnostics, want)
}

// notImported imports every resource with r. None may be found.
func (e *estate) notImported(r *rpc) {
	e.Helper()
	for _, o := range e.objects {
		typ := r.schemas.ResourceSchemas[o.kind].ValueType()
		imported, err := r.ImportResourceState(e.Context(), &tfprotov6.ImportResourceStateRequest{
			TypeName: o.kind, ID: r.attribute(o.state, typ, "id")})
		if err != nil {
			e.Fatal(err)
		}
		if len(imported.ImportedResources) == 0 {
			continue
		}
		found := imported.ImportedResources[0]
		read, err := r.ReadResource(e.Context(), &tfprotov6.ReadResourceRequest{TypeName: o.kind,
			CurrentState: found.State, CurrentIdentity: found.Identity, Private: found.Private})
		if err != nil {
			e.Fatal(err)
		}
		failed := slices.ContainsFunc(read.Diagnostics, func(d *tfprotov6.Diagnostic) bool {
			return d.Severity == tfprotov6.DiagnosticSeverityError
		})
		if v, err := read.NewState.Unmarshal(typ); !failed && (err != nil || !v.IsNull()) {
			e.Errorf("importing %s with another token finds %v, %v, want nothing", o.kind, v, err)
		}
	}
}

// With another organization's token, nothing is gone: every call fails and keeps the state.
func TestOtherOrganizationsToken(t *testing.T) {
	e := newEstate(t)
	b := e.organization(t)
	r := b.rpc()
	acting, err := b.client.Identify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	e.resourcesFail(r, "the provider's token, from the attribute api_token, belongs to "+acting,
		true)
	// An earlier version of the provider wrote the state.
	e.resourcesFail(r, "", false, "dcvaas_domain_validation")
	e.readsFail(r, "The provider acts for the organization "+acting,
		"dcvaas_domains", "dcvaas_delegation", "dcvaas_organization")
	e.notImported(r)
	for _, o := range e.objects {
		read, err := r.ReadResource(t.Context(),
			&tfprotov6.ReadResourceRequest{TypeName: o.kind, CurrentState: o.state})
		if err != nil {
			t.Fatal(err)
		}
		fails(t, "reading "+o.kind+" without its organization", read.Diagnostics,
			"terraform state rm")
	}
}

// A 404 that does not come from the API is not a missing object, however similar it is.
func TestForeign404(t *testing.T) {
	e := newEstate(t)
	type response struct{ contentType, body string }
	for name, c := range map[string]struct {
		status int
		response
	}{
		"a gateway's JSON": {404, response{"application/json", `{"code":"404"}`}},
		"another service's problem": {404, response{"application/problem+json",
			`{"type":"about:blank","title":"Not Found","status":404,"code":"not-found","request_id":"x"}`}},
		"a page":           {404, response{"text/html", "<html>404</html>"}},
		"an empty success": {204, response{}},
	} {
		t.Run(name, func(t *testing.T) {
			b := *e
			a := *e.acc
			b.acc, a.T = &a, t
			p := a.proxy(func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == "/api/organization" {
					return false // Configure succeeds
				}
				w.Header().Set("Content-Type", c.contentType)
				w.WriteHeader(c.status)
				_, _ = fmt.Fprint(w, c.body)
				return true
			})
			r := a.rpcAt(p.URL, a.token)
			const want = "without the header DCVaaS-API"
			for _, private := range []bool{true, false} {
				b.resourcesFail(r, want, private, "dcvaas_domain_validation")
			}
			b.readsFail(r, want, "dcvaas_organization")
			b.creationsFail(r, want)
			b.notImported(r)
			for kind := range r.schemas.ListResourceSchemas {
				results := r.list(kind, nil, 10, false)
				if len(results) != 1 {
					t.Fatalf("listing %s returns %d results, want an error", kind, len(results))
				}
				fails(t, "listing "+kind, results[0].Diagnostics, want)
			}
		})
	}
}
