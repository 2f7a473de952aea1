package provider

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"github.com/oapi-codegen/nullable"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

// rpc calls the provider like Terraform, for features that the installed Terraform may not have.
type rpc struct {
	*acc
	tfprotov6.ProviderServer
	schemas *tfprotov6.GetProviderSchemaResponse
}

// rpc returns the provider, configured for the control plane.
func (a *acc) rpc() *rpc {
	a.Helper()
	return a.rpcAt(a.endpoint, a.token)
}

// rpcAt returns the provider, configured for an endpoint and a token.
func (a *acc) rpcAt(endpoint, token string) *rpc {
	a.Helper()
	r := newRPC(a)
	config := r.value(r.schemas.Provider.ValueType(),
		map[string]any{"endpoint": endpoint, "api_token": token})
	resp, err := r.ConfigureProvider(context.Background(),
		&tfprotov6.ConfigureProviderRequest{TerraformVersion: "1.12.0", Config: config})
	if err != nil {
		a.Fatal(err)
	}
	r.ok(resp.Diagnostics)
	return r
}

// newRPC returns the provider before it is configured.
func newRPC(a *acc) *rpc {
	a.Helper()
	server, err := a.factories()["dcvaas"]()
	if err != nil {
		a.Fatal(err)
	}
	r := &rpc{acc: a, ProviderServer: server}
	if r.schemas, err = server.GetProviderSchema(context.Background(),
		&tfprotov6.GetProviderSchemaRequest{}); err != nil {
		a.Fatal(err)
	}
	return r
}

// value returns an object of the type. Missing attributes are null.
func (r *rpc) value(typ tftypes.Type, attributes map[string]any) *tfprotov6.DynamicValue {
	r.Helper()
	values := map[string]tftypes.Value{}
	for name, t := range typ.(tftypes.Object).AttributeTypes {
		if v, ok := attributes[name].(tftypes.Value); ok {
			values[name] = v
			continue
		}
		values[name] = tftypes.NewValue(t, attributes[name])
	}
	v, err := tfprotov6.NewDynamicValue(typ, tftypes.NewValue(typ, values))
	if err != nil {
		r.Fatal(err)
	}
	return &v
}

func (r *rpc) null(typ tftypes.Type) *tfprotov6.DynamicValue {
	r.Helper()
	v, err := tfprotov6.NewDynamicValue(typ, tftypes.NewValue(typ, nil))
	if err != nil {
		r.Fatal(err)
	}
	return &v
}

func (r *rpc) attribute(v *tfprotov6.DynamicValue, typ tftypes.Type, name string) (text string) {
	r.Helper()
	r.read(v, typ, name, &text)
	return text
}

func (r *rpc) flag(v *tfprotov6.DynamicValue, typ tftypes.Type, name string) (set bool) {
	r.Helper()
	r.read(v, typ, name, &set)
	return set
}

func (r *rpc) read(v *tfprotov6.DynamicValue, typ tftypes.Type, name string, into any) {
	r.Helper()
	decoded, err := v.Unmarshal(typ)
	if err != nil {
		r.Fatal(err)
	}
	var object map[string]tftypes.Value
	if err := decoded.As(&object); err != nil {
		r.Fatal(err)
	}
	if err := object[name].As(into); err != nil {
		r.Fatal(err)
	}
}

func (r *rpc) ok(diags []*tfprotov6.Diagnostic) {
	r.Helper()
	for _, d := range diags {
		if d.Severity == tfprotov6.DiagnosticSeverityError {
			r.Fatalf("unexpected diagnostic %s: %s", d.Summary, d.Detail)
		}
	}
}

var identityType = tftypes.Object{AttributeTypes: map[string]tftypes.Type{"id": tftypes.String}}

// Each resource is imported by its identity, which can be the name of a domain or a delegation, and
// the login of a member. Reading returns the identity.
func TestImportByIdentity(t *testing.T) {
	a := newAcc(t)
	ctx := context.Background()
	a = a.organization(t)
	d := a.added(a.domain())
	token, err := a.client.CreateToken(ctx,
		client.TokenCreate{Name: "identity", Scopes: []client.Scope{client.ScopeDomainsRead}})
	if err != nil {
		t.Fatal(err)
	}
	pinned, err := a.client.PinDelegation(ctx, a.domain())
	if err != nil {
		t.Fatal(err)
	}
	hook, err := a.client.CreateWebhook(ctx, client.WebhookCreate{Url: webhookURL})
	if err != nil {
		t.Fatal(err)
	}
	account, err := a.client.CreateACMEDNSAccount(ctx, client.ACMEDNSAccountCreate{})
	if err != nil {
		t.Fatal(err)
	}
	member := a.invited(a.login(), client.RoleMember)
	r := a.rpc()
	for _, c := range []struct{ kind, identity, id string }{
		{"dcvaas_domain", d.Id, d.Id},
		{"dcvaas_domain", d.Name, d.Id},
		{"dcvaas_domain_validation", d.Id, d.Id},
		{"dcvaas_domain_validation", d.Name, d.Id},
		{"dcvaas_delegation", pinned.Id, pinned.Id},
		{"dcvaas_delegation", strings.ToUpper(pinned.Name), pinned.Id},
		{"dcvaas_api_token", token.Id, token.Id},
		{"dcvaas_webhook", hook.Id, hook.Id},
		{"dcvaas_acmedns_account", account.Id, account.Id},
		{"dcvaas_organization_member", member.Id, member.Id},
		{"dcvaas_organization_member", member.Login, member.Id},
	} {
		typ := r.schemas.ResourceSchemas[c.kind].ValueType()
		imported, err := r.ImportResourceState(ctx,
			&tfprotov6.ImportResourceStateRequest{TypeName: c.kind,
				Identity: &tfprotov6.ResourceIdentityData{IdentityData: r.value(identityType,
					map[string]any{"id": c.identity})}})
		if err != nil {
			t.Fatal(err)
		}
		r.ok(imported.Diagnostics)
		found := imported.ImportedResources[0]
		read, err := r.ReadResource(ctx,
			&tfprotov6.ReadResourceRequest{TypeName: c.kind, CurrentState: found.State,
				CurrentIdentity: found.Identity, Private: found.Private})
		if err != nil {
			t.Fatal(err)
		}
		r.ok(read.Diagnostics)
		if got := r.attribute(read.NewState, typ, "id"); got != c.id {
			t.Errorf("%s %s has the ID %s", c.kind, c.identity, got)
		}
		if got := r.attribute(read.NewIdentity.IdentityData, identityType, "id"); got != c.id {
			t.Errorf("%s %s has the identity %s", c.kind, c.identity, got)
		}
	}
}

// imported imports a resource by its ID.
func (r *rpc) imported(kind, id string) *tfprotov6.ImportedResource {
	r.Helper()
	resp, err := r.ImportResourceState(r.Context(),
		&tfprotov6.ImportResourceStateRequest{TypeName: kind, ID: id})
	if err != nil {
		r.Fatal(err)
	}
	r.ok(resp.Diagnostics)
	return resp.ImportedResources[0]
}

// A stop by Terraform interrupts a wait immediately.
func TestWaitIsInterrupted(t *testing.T) {
	a := newAcc(t)
	d := a.added(a.domain())
	r := a.rpc()
	kind := "dcvaas_domain_validation"
	typ := r.schemas.ResourceSchemas[kind].ValueType()
	ctx, cancel := context.WithCancel(context.Background())
	null := r.null(typ)
	given := map[string]any{"domain_id": d.Id, "wait_for": "certificate"}
	planned := map[string]any{"id": tftypes.UnknownValue, "domain_id": d.Id,
		"wait_for": "certificate"}
	type result struct {
		resp *tfprotov6.ApplyResourceChangeResponse
		err  error
	}
	done := make(chan result, 1)
	go func() {
		resp, err := r.ApplyResourceChange(ctx,
			&tfprotov6.ApplyResourceChangeRequest{TypeName: kind, PriorState: null,
				Config: r.value(typ, given), PlannedState: r.value(typ, planned)})
		done <- result{resp, err}
	}()
	// The wait has started when its requested check has found nothing.
	if _, err := a.client.WaitDomain(ctx, d.Id,
		func(d *client.Domain) bool { return d.StatusReason == "cname-missing" }); err != nil {
		t.Fatal(err)
	}
	cancel()
	got := <-done
	if got.err != nil {
		t.Fatal(got.err)
	}
	if len(got.resp.Diagnostics) != 1 ||
		got.resp.Diagnostics[0].Detail != "The operation was interrupted." {
		t.Errorf("the interrupted wait returns %v, want one error", got.resp.Diagnostics)
	}
	if v, err := got.resp.NewState.Unmarshal(typ); err != nil || !v.IsNull() {
		t.Errorf("an interrupted wait is in the state: %v, %v", v, err)
	}
}

// A token that has expired, or that was rotated or revoked outside Terraform, causes a warning.
func TestTokenWarnings(t *testing.T) {
	a := newAcc(t)
	ctx := context.Background()
	token, err := a.client.CreateToken(ctx,
		client.TokenCreate{Name: "ends", Scopes: []client.Scope{client.ScopeDomainsRead},
			ExpiresAt: nullable.NewNullableWithValue(time.Now().Add(time.Hour))})
	if err != nil {
		t.Fatal(err)
	}
	a.now = func() time.Time { return time.Now().Add(2 * time.Hour) }
	r := a.rpc()
	read := func() *tfprotov6.ReadResourceResponse {
		state := r.value(r.schemas.ResourceSchemas["dcvaas_api_token"].ValueType(),
			map[string]any{"id": token.Id, "name": "ends", "expires_in": "1h",
				"token": token.Token})
		resp, err := r.ReadResource(ctx,
			&tfprotov6.ReadResourceRequest{TypeName: "dcvaas_api_token", CurrentState: state,
				Private: r.private()})
		if err != nil {
			t.Fatal(err)
		}
		r.ok(resp.Diagnostics)
		return resp
	}
	if resp := read(); len(resp.Diagnostics) != 1 ||
		resp.Diagnostics[0].Summary != "The API token ends has expired" {
		t.Errorf("reading an expired token returns %v, want one warning", resp.Diagnostics)
	}
	a.now = time.Now
	r = a.rpc()
	rotated, err := a.client.RotateToken(ctx, token.Id, client.TokenRotate{})
	if err != nil {
		t.Fatal(err)
	}
	if resp := read(); len(resp.Diagnostics) != 1 ||
		resp.Diagnostics[0].Summary != "The API token ends was rotated outside Terraform" ||
		!strings.Contains(resp.Diagnostics[0].Detail, "valid until "+
			rotated.PreviousValidUntil.MustGet().UTC().Format(time.RFC3339)) {
		t.Errorf("reading a rotated token returns %v, want one warning", resp.Diagnostics)
	}
	if err := a.client.DeleteToken(ctx, token.Id); err != nil {
		t.Fatal(err)
	}
	if resp := read(); len(resp.Diagnostics) != 1 ||
		resp.Diagnostics[0].Summary != "The API token ends is gone" {
		t.Errorf("reading a revoked token returns %v, want one warning", resp.Diagnostics)
	}
}

// A member whose GitHub login has changed causes a warning with the new login.
func TestMemberRenameWarning(t *testing.T) {
	a := newAcc(t).organization(t)
	member := a.invited(a.login(), client.RoleMember)
	r := a.rpc()
	for known, warnings := range map[string]int{member.Login: 0, strings.ToUpper(member.Login): 0,
		"former-login": 1} {
		state := r.value(r.schemas.ResourceSchemas["dcvaas_organization_member"].ValueType(),
			map[string]any{"id": member.Id, "login": known, "role": "member"})
		resp, err := r.ReadResource(t.Context(),
			&tfprotov6.ReadResourceRequest{TypeName: "dcvaas_organization_member",
				CurrentState: state})
		if err != nil {
			t.Fatal(err)
		}
		r.ok(resp.Diagnostics)
		if len(resp.Diagnostics) != warnings || warnings > 0 &&
			!strings.Contains(resp.Diagnostics[0].Detail, member.Login) {
			t.Errorf("reading the member %s returns %v, want %d warnings with the login", known,
				resp.Diagnostics, warnings)
		}
	}
}

// A certificate without the preferred chain is a warning at each refresh.
func TestChainWarning(t *testing.T) {
	a := newAcc(t)
	name := a.domain()
	a.delegate(name)
	d, err := a.client.CreateDomain(t.Context(), client.DomainCreate{Name: name,
		PreferredChain: nullable.NewNullableWithValue("No Such Root")})
	if err != nil {
		t.Fatal(err)
	}
	a.activate(d.Id)
	r := a.rpc()
	typ := r.schemas.ResourceSchemas["dcvaas_domain"].ValueType()
	resp, err := r.ReadResource(t.Context(), &tfprotov6.ReadResourceRequest{
		TypeName: "dcvaas_domain", CurrentState: r.value(typ, map[string]any{"id": d.Id})})
	if err != nil {
		t.Fatal(err)
	}
	r.ok(resp.Diagnostics)
	if len(resp.Diagnostics) != 1 ||
		resp.Diagnostics[0].Severity != tfprotov6.DiagnosticSeverityWarning ||
		!strings.Contains(resp.Diagnostics[0].Detail, "offers no chain to the root No Such Root") ||
		!strings.Contains(resp.Diagnostics[0].Detail, "Next step: Set preferred_chain to one of") {
		t.Errorf("reading the domain returns %v, want one warning about the chain",
			resp.Diagnostics)
	}
	none := nullable.NewNullNullable[string]()
	if _, err := a.client.UpdateDomain(t.Context(), d.Id,
		client.DomainUpdate{PreferredChain: none}); err != nil {
		t.Fatal(err)
	}
	r = a.rpc()
	resp, err = r.ReadResource(t.Context(), &tfprotov6.ReadResourceRequest{
		TypeName: "dcvaas_domain", CurrentState: r.value(typ, map[string]any{"id": d.Id})})
	if err != nil || len(resp.Diagnostics) != 0 {
		t.Errorf("reading a domain without a preference returns %v, %v, want no warning", resp, err)
	}
}
