package provider

import (
	"context"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

// invoke runs an action as Terraform 1.14 does: what it says on its way, and what it ends with.
func (r *rpc) invoke(ctx context.Context, kind string, given map[string]any) (said []string, diags []*tfprotov6.Diagnostic) {
	r.Helper()
	server, ok := r.ProviderServer.(tfprotov6.ActionServer)
	if !ok {
		r.Fatal("the server has no actions")
	}
	config := r.value(r.schemas.ActionSchemas[kind].Schema.ValueType(), given)
	valid, err := server.ValidateActionConfig(ctx, &tfprotov6.ValidateActionConfigRequest{ActionType: kind, Config: config})
	if err != nil {
		r.Fatal(err)
	}
	r.ok(valid.Diagnostics)
	plan, err := server.PlanAction(ctx, &tfprotov6.PlanActionRequest{ActionType: kind, Config: config})
	if err != nil {
		r.Fatal(err)
	}
	r.ok(plan.Diagnostics)
	stream, err := server.InvokeAction(ctx, &tfprotov6.InvokeActionRequest{ActionType: kind, Config: config})
	if err != nil {
		r.Fatal(err)
	}
	completed := false
	for event := range stream.Events {
		switch e := event.Type.(type) {
		case tfprotov6.ProgressInvokeActionEventType:
			said = append(said, e.Message)
		case tfprotov6.CompletedInvokeActionEventType:
			diags, completed = e.Diagnostics, true
		}
	}
	if !completed {
		r.Error("the action does not end")
	}
	return said, diags
}

func TestVerifyAction(t *testing.T) {
	a := newAcc(t)
	d := a.added(a.domain())
	r := a.rpc()
	_, diags := r.invoke(t.Context(), "dcvaas_verify", map[string]any{"domain": d.Id})
	if len(diags) != 1 || diags[0].Severity != tfprotov6.DiagnosticSeverityWarning || !strings.Contains(diags[0].Summary, "is not delegated yet") ||
		!strings.Contains(diags[0].Detail, "Cause: cname-missing") || !strings.Contains(diags[0].Detail, d.Delegation.Target) {
		t.Fatalf("without the record: %v", diags)
	}
	a.delegate(d.Name)
	said, diags := r.invoke(t.Context(), "dcvaas_verify", map[string]any{"domain": strings.ToUpper(d.Name) + "."})
	if len(diags) != 0 || len(said) != 2 || said[1] != d.Name+" is delegated" {
		t.Errorf("with it: %v, %v", said, diags)
	}
	_, diags = r.invoke(t.Context(), "dcvaas_verify", map[string]any{"domain": a.domain()})
	if len(diags) != 1 || diags[0].Attribute.String() != `AttributeName("domain")` || !strings.Contains(diags[0].Detail, "Status: 404") {
		t.Errorf("of no domain: %v", diags)
	}
}

func TestRenewAction(t *testing.T) {
	a := newAcc(t)
	d := a.added(a.domain())
	before := a.activate(d.Id).CertificateId.MustGet()
	r := a.rpc()
	said, diags := r.invoke(t.Context(), "dcvaas_renew", map[string]any{"domain": d.Name})
	if len(diags) != 0 || len(said) < 2 || said[len(said)-1] != d.Name+" has a new certificate" {
		t.Fatalf("it says %v, %v", said, diags)
	}
	now, err := a.client.Domain(t.Context(), d.Id)
	if err != nil || now.CertificateId.MustGet() == before {
		t.Errorf("the certificate is still %s, %v", before, err)
	}
	said, diags = r.invoke(t.Context(), "dcvaas_renew", map[string]any{"domain": d.Name})
	if len(said) != 0 || len(diags) != 1 || !strings.Contains(diags[0].Detail, "Status: 429 renewed-recently") || !strings.Contains(diags[0].Detail, "Retry at ") {
		t.Errorf("renewed again at once: it says %v, %v", said, diags)
	}
}

// A renewal that cannot come in time says so, and one that nobody waits for any more is left alone.
func TestRenewAction_inVain(t *testing.T) {
	a := newAcc(t)
	d := a.added(a.domain())
	a.activate(d.Id)
	a.setRecord(d.Delegation.Name, "CNAME", "elsewhere.example")
	r := a.rpc()
	said, diags := r.invoke(t.Context(), "dcvaas_renew", map[string]any{"domain": d.Id, "timeout": "3s"})
	if len(diags) != 1 || diags[0].Severity != tfprotov6.DiagnosticSeverityError || diags[0].Attribute.String() != `AttributeName("domain")` {
		t.Fatalf("it says %v, %v", said, diags)
	}
	t.Logf("%v: %s: %s", said, diags[0].Summary, diags[0].Detail)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, diags := r.invoke(ctx, "dcvaas_renew", map[string]any{"domain": d.Id}); len(diags) != 1 || diags[0].Detail != "The operation was interrupted." {
		t.Errorf("interrupted: %v", diags)
	}
	now, err := a.client.Domain(t.Context(), d.Id)
	if err != nil || now.Status != client.DomainStatusActive {
		t.Errorf("the domain is %s, %v", now.Status, err)
	}
	none := a.added(a.domain())
	if _, diags := r.invoke(t.Context(), "dcvaas_renew", map[string]any{"domain": none.Id}); len(diags) != 1 || !strings.Contains(diags[0].Detail, "Request ID: ") {
		t.Errorf("without a certificate: %v", diags)
	}
}
