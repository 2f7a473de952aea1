package provider

import (
	"context"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

// A saved plan that is applied with another organization's token creates nothing: Terraform
// compares what is known of the planned objects, and the provider's organization_id guards
// everything.
func TestCLISavedPlan(t *testing.T) {
	a := newAcc(t).organization(t)
	b := a.organization(t)
	id, err := a.client.Identify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const organization = ".organization_id"
	domain := `
resource "dcvaas_domain" "test" {
  name = "` + a.domain() + `"
}
`
	for what, c := range map[string]struct{ config, want string }{
		"a domain": {domain, "delegation.target"},
		"a domain whose name is known only now": {`
resource "terraform_data" "name" {
  input = "` + a.domain() + `"
}

resource "dcvaas_domain" "test" {
  name = terraform_data.name.output
}
`, organization},
		"a delegation": {`
resource "dcvaas_delegation" "test" {
  name = "` + a.domain() + `"
}
`, ".target"},
		"a webhook": {`
resource "dcvaas_webhook" "test" {
  url = "` + webhookURL + `"
}
`, organization},
		"a token": {`
resource "dcvaas_api_token" "test" {
  name   = "saved"
  scopes = ["domains:read"]
}
`, organization},
		"a member": {`
resource "dcvaas_organization_member" "test" {
  login = "` + a.login() + `"
  role  = "member"
}
`, organization},
		"organization_id": {`
provider "dcvaas" {
  organization_id = "` + id + `"
}

resource "dcvaas_webhook" "test" {
  url = "` + webhookURL + `"
}
`, "not to " + id},
	} {
		tf := a.workspace(map[string]string{"main.tf": requiresDCVaaS + c.config})
		tf.run("plan", "-out=saved")
		tf.env = append(tf.env, envAPIToken+"="+b.token)
		out, err := tf.command("apply", "saved").CombinedOutput()
		if text := strings.Join(strings.Fields(strings.ReplaceAll(string(out), "│", "")),
			" "); err == nil || !strings.Contains(text, c.want) {
			t.Errorf("applying a plan of %s with another token returns %v, want an error with %q:\n%s",
				what, err, c.want, out)
		}
	}
	for kind, want := range map[string]int{"dcvaas_domain": 0, "dcvaas_webhook": 0,
		"dcvaas_api_token": 1, "dcvaas_organization_member": 0} { // the token is the test's own
		if got := len(b.rpc().list(kind, nil, 10, false)); got != want {
			t.Errorf("the other organization has %d of %s, want %d", got, kind, want)
		}
	}
}

// A creation that was planned for another organization creates nothing, even if it is not planned
// again before.
func TestCreationPlannedElsewhere(t *testing.T) {
	e := newEstate(t)
	b := e.organization(t)
	r := b.rpc()
	for kind, config := range e.creations() {
		if kind == "dcvaas_domain_validation" { // it creates nothing
			continue
		}
		typ := r.schemas.ResourceSchemas[kind].ValueType()
		planned := map[string]any{"organization_id": someOrganization}
		for name, v := range config {
			planned[name] = v
		}
		created, err := r.ApplyResourceChange(t.Context(), &tfprotov6.ApplyResourceChangeRequest{
			TypeName: kind, PriorState: r.null(typ), Config: r.value(typ, config),
			PlannedState: r.value(typ, planned)})
		if err != nil {
			t.Fatal(err)
		}
		fails(t, "creating "+kind, created.Diagnostics, "The plan was made for the organization "+
			someOrganization)
	}
}

// An update does not undo what was changed since its plan: it fails, and changes nothing. Changes
// of other attributes do not matter.
func TestUpdateAfterAnotherChange(t *testing.T) {
	e := newEstate(t)
	ctx := t.Context()
	r := e.rpc()
	id := func(o object) string {
		return r.attribute(o.state, r.schemas.ResourceSchemas[o.kind].ValueType(), "id")
	}
	type change struct {
		planned map[string]any
		at      string
		by      func(id string) error // the change since the plan
		kept    func(id string) (bool, error)
	}
	changes := map[string]change{
		"dcvaas_domain": {map[string]any{"labels": textMap("team", "b")}, "labels",
			func(id string) error {
				labels := client.Labels{"team": "c"}
				_, err := e.client.UpdateDomain(ctx, id, client.DomainUpdate{Labels: &labels,
					AutoRenew: new(false)})
				return err
			}, func(id string) (bool, error) {
				d, err := e.client.Domain(ctx, id)
				return err == nil && d.Labels["team"] == "c" && !d.AutoRenew, err
			}},
		"dcvaas_webhook": {map[string]any{"description": "b"}, "description",
			func(id string) error {
				_, err := e.client.UpdateWebhook(ctx, id, client.WebhookUpdate{
					Description: new("c"), Enabled: new(false)})
				return err
			}, func(id string) (bool, error) {
				w, err := e.client.Webhook(ctx, id)
				return err == nil && w.Description == "c" && !w.Enabled, err
			}},
		"dcvaas_dns_connection": {map[string]any{"name": "b"}, "name",
			func(id string) error {
				_, err := e.client.UpdateDNSConnection(ctx, id,
					client.DNSConnectionUpdate{Name: new("c")})
				return err
			}, func(id string) (bool, error) {
				c, err := e.client.DNSConnection(ctx, id)
				return err == nil && c.Name == "c", err
			}},
		"dcvaas_acmedns_account": {map[string]any{"description": "b"}, "description",
			func(id string) error {
				_, err := e.client.UpdateACMEDNSAccount(ctx, id, client.ACMEDNSAccountUpdate{
					Description: new("c"), AllowFrom: &[]string{"192.0.2.0/24"}})
				return err
			}, func(id string) (bool, error) {
				a, err := e.client.ACMEDNSAccount(ctx, id)
				return err == nil && a.Description == "c" && len(a.AllowFrom) == 1, err
			}},
		"dcvaas_api_token": {map[string]any{"name": "b"}, "name",
			func(id string) error {
				_, err := e.client.UpdateToken(ctx, id, client.TokenUpdate{Name: "c"})
				return err
			}, func(id string) (bool, error) {
				t, err := e.client.Token(ctx, id)
				return err == nil && t.Name == "c", err
			}},
		"dcvaas_organization_member": {map[string]any{"role": "owner"}, "role",
			func(id string) error {
				_, err := e.client.UpdateMember(ctx, id,
					client.MemberUpdate{Role: client.RoleAdmin})
				return err
			}, func(id string) (bool, error) {
				m, err := e.client.Member(ctx, id)
				return err == nil && m.Role == client.RoleAdmin, err
			}},
	}
	for _, o := range e.objects {
		c, ok := changes[o.kind]
		if !ok {
			// The only update of a delegation pins it, so that it has nothing to undo.
			if o.exists != nil && o.kind != "dcvaas_delegation" {
				t.Errorf("no change of %s", o.kind)
			}
			continue
		}
		typ := r.schemas.ResourceSchemas[o.kind].ValueType()
		if err := c.by(id(o)); err != nil {
			t.Fatal(err)
		}
		planned := r.changed(o.state, typ, c.planned)
		updated, err := r.ApplyResourceChange(ctx, &tfprotov6.ApplyResourceChangeRequest{
			TypeName: o.kind, PriorState: o.state, PlannedState: planned, Config: planned,
			PlannedPrivate: o.private})
		if err != nil {
			t.Fatal(err)
		}
		fails(t, "updating "+o.kind, updated.Diagnostics,
			"The attribute "+c.at+" was changed outside Terraform since the plan was made.")
		if ok, err := c.kept(id(o)); !ok {
			t.Errorf("the update of %s undid a change: %v", o.kind, err)
		}
	}
}

// A rotation that was planned before another one changes nothing, because with
// rotation_overlap = "0s" it would end the secret of the other one. A repeated update, whose
// response was lost, succeeds.
func TestUpdateRepeated(t *testing.T) {
	e := newEstate(t)
	ctx := t.Context()
	r := e.rpc()
	apply := func(o object, planned map[string]any) []*tfprotov6.Diagnostic {
		typ := r.schemas.ResourceSchemas[o.kind].ValueType()
		config := r.changed(o.state, typ, planned)
		resp, err := r.ApplyResourceChange(ctx, &tfprotov6.ApplyResourceChangeRequest{
			TypeName: o.kind, PriorState: o.state, PlannedState: config, Config: config,
			PlannedPrivate: o.private})
		if err != nil {
			t.Fatal(err)
		}
		return resp.Diagnostics
	}
	for _, o := range e.objects {
		switch o.kind {
		case "dcvaas_webhook", "dcvaas_domain", "dcvaas_delegation":
			for range 2 {
				r.ok(apply(o, o.change))
			}
		case "dcvaas_api_token":
			rotation := map[string]any{"rotation_overlap": "0s", "token": tftypes.UnknownValue,
				"token_prefix": tftypes.UnknownValue, "secret_version": tftypes.UnknownValue,
				"rotated_at": tftypes.UnknownValue, "previous_valid_until": tftypes.UnknownValue}
			r.ok(apply(o, rotation))
			fails(t, "rotating a rotated token", apply(o, rotation),
				"The attribute secret_version was changed outside Terraform")
		case "dcvaas_acmedns_account":
			for range 2 {
				r.ok(apply(o, o.change))
			}
			rotation := map[string]any{"password": tftypes.UnknownValue,
				"password_version": tftypes.UnknownValue}
			r.ok(apply(o, rotation))
			fails(t, "rotating a rotated password", apply(o, rotation),
				"The attribute password_version was changed outside Terraform")
		}
	}
}

// A saved plan whose object was changed since is not applied. A new plan shows the change.
func TestCLIStaleSavedPlan(t *testing.T) {
	a := newAcc(t).organization(t)
	config := requiresDCVaaS + `
variable "description" {}

resource "dcvaas_webhook" "test" {
  url         = "` + webhookURL + `"
  description = var.description
}

output "id" {
  value = dcvaas_webhook.test.id
}
`
	tf := a.workspace(map[string]string{"main.tf": config})
	tf.env = append(tf.env, "TF_VAR_description=a")
	tf.run("apply", "-auto-approve", "-input=false")
	id := tf.outputs()["id"].(string)
	tf.env = append(tf.env, "TF_VAR_description=b")
	tf.run("plan", "-out=saved")
	if _, err := a.client.UpdateWebhook(context.Background(), id,
		client.WebhookUpdate{Description: new("c")}); err != nil {
		t.Fatal(err)
	}
	out, err := tf.command("apply", "saved").CombinedOutput()
	if text := strings.Join(strings.Fields(strings.ReplaceAll(string(out), "│", "")),
		" "); err == nil || !strings.Contains(text, "since the plan was made") {
		t.Errorf("applying a stale plan returns %v:\n%s", err, out)
	}
	if w, err := a.client.Webhook(t.Context(), id); err != nil || w.Description != "c" {
		t.Errorf("the webhook is %+v, %v, want the description c", w, err)
	}
	tf.run("apply", "-auto-approve", "-input=false")
	if w, err := a.client.Webhook(t.Context(), id); err != nil || w.Description != "b" {
		t.Errorf("the webhook is %+v, %v, want the description b", w, err)
	}
}
