package provider

import (
	"context"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

// invoke runs an action like Terraform 1.14, and returns its progress messages and diagnostics.
func (r *rpc) invoke(
	ctx context.Context, kind string, given map[string]any,
) (said []string, diags []*tfprotov6.Diagnostic) {
	r.Helper()
	server, ok := r.ProviderServer.(tfprotov6.ActionServer)
	if !ok {
		r.Fatal("the provider server does not support actions")
	}
	config := r.value(r.schemas.ActionSchemas[kind].Schema.ValueType(), given)
	valid, err := server.ValidateActionConfig(ctx,
		&tfprotov6.ValidateActionConfigRequest{ActionType: kind, Config: config})
	if err != nil {
		r.Fatal(err)
	}
	r.ok(valid.Diagnostics)
	plan, err := server.PlanAction(ctx, &tfprotov6.PlanActionRequest{ActionType: kind,
		Config: config})
	if err != nil {
		r.Fatal(err)
	}
	r.ok(plan.Diagnostics)
	stream, err := server.InvokeAction(ctx,
		&tfprotov6.InvokeActionRequest{ActionType: kind, Config: config})
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
		r.Error("the action does not complete")
	}
	return said, diags
}

func TestVerifyAction(t *testing.T) {
	a := newAcc(t)
	d := a.added(a.domain())
	r := a.rpc()
	_, diags := r.invoke(t.Context(), "dcvaas_verify", map[string]any{"domain": d.Id})
	if len(diags) != 1 || diags[0].Severity != tfprotov6.DiagnosticSeverityWarning ||
		!strings.Contains(diags[0].Summary, "is not delegated yet") ||
		!strings.Contains(diags[0].Detail, "Cause: cname-missing") ||
		!strings.Contains(diags[0].Detail, d.Delegation.Target) {
		t.Fatalf("verify without the record returns %v, want one warning", diags)
	}
	a.delegate(d.Name)
	said, diags := r.invoke(t.Context(),
		"dcvaas_verify", map[string]any{"domain": strings.ToUpper(d.Name) + "."})
	if len(diags) != 0 || len(said) != 2 || said[1] != d.Name+" is delegated" {
		t.Errorf("verify with the record reports %v and returns %v, want no diagnostics", said,
			diags)
	}
	_, diags = r.invoke(t.Context(), "dcvaas_verify", map[string]any{"domain": a.domain()})
	if len(diags) != 1 || diags[0].Attribute.String() != `AttributeName("domain")` ||
		!strings.Contains(diags[0].Detail, "Status: 404") {
		t.Errorf("verify of an unknown domain returns %v, want one error", diags)
	}
}

func TestRenewAction(t *testing.T) {
	a := newAcc(t)
	d := a.added(a.domain())
	before := a.activate(d.Id).CertificateId.MustGet()
	r := a.rpc()
	said, diags := r.invoke(t.Context(), "dcvaas_renew", map[string]any{"domain": d.Name})
	if len(diags) != 0 || len(said) < 2 || said[len(said)-1] != d.Name+" has a new certificate" {
		t.Fatalf("renew reports %v and returns %v", said, diags)
	}
	now, err := a.client.Domain(t.Context(), d.Id)
	if err != nil || now.CertificateId.MustGet() == before {
		t.Errorf("renew keeps the certificate %s, %v, want a new one", before, err)
	}
	said, diags = r.invoke(t.Context(), "dcvaas_renew", map[string]any{"domain": d.Name})
	if len(said) != 0 || len(diags) != 1 ||
		!strings.Contains(diags[0].Detail, "Status: 429 renewed-recently") ||
		!strings.Contains(diags[0].Detail, "Retry at ") {
		t.Errorf("a second renewal reports %v and returns %v, want one error", said, diags)
	}
}

// A renewal that exceeds the timeout is reported, and an interrupted wait does not stop it.
func TestRenewAction_inVain(t *testing.T) {
	a := newAcc(t)
	d := a.added(a.domain())
	a.activate(d.Id)
	a.setRecord(d.Delegation.Name, "CNAME", "elsewhere.example")
	r := a.rpc()
	said, diags := r.invoke(t.Context(),
		"dcvaas_renew", map[string]any{"domain": d.Id, "timeout": "3s"})
	if len(diags) != 1 || diags[0].Severity != tfprotov6.DiagnosticSeverityError ||
		diags[0].Attribute.String() != `AttributeName("domain")` {
		t.Fatalf("renew reports %v and returns %v", said, diags)
	}
	t.Logf("%v: %s: %s", said, diags[0].Summary, diags[0].Detail)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, diags := r.invoke(ctx, "dcvaas_renew", map[string]any{"domain": d.Id}); len(diags) != 1 ||
		diags[0].Detail != "The operation was interrupted." {
		t.Errorf("an interrupted renewal returns %v, want one error", diags)
	}
	now, err := a.client.Domain(t.Context(), d.Id)
	if err != nil || now.Status != client.DomainStatusActive {
		t.Errorf("the domain has the status %s, %v after the interruption, want a running renewal",
			now.Status, err)
	}
	none := a.added(a.domain())
	if _, diags := r.invoke(t.Context(),
		"dcvaas_renew", map[string]any{"domain": none.Id}); len(diags) != 1 ||
		!strings.Contains(diags[0].Detail, "Request ID: ") {
		t.Errorf("renew without a certificate returns %v, want one error", diags)
	}
}
