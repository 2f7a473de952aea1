package program

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// isCode reports whether err is an API error with the code.
func isCode(err error, code string) bool {
	e, ok := errors.AsType[*client.Error](err)
	return ok && e.Code == code
}

// TestAddIssueDeleteIsBounded tests the order budget: an organization that repeatedly adds a
// domain, gets a certificate, and deletes the domain is limited to its budget even if Redis loses
// its counts. The next job waits. Another organization is not affected.
func TestAddIssueDeleteIsBounded(t *testing.T) {
	t.Parallel()
	s := startStack(t, DevConfig{EmbeddedRedis: true})
	limit := 3
	org, err := s.App.lifecycle.CreateOrganization(t.Context(), controlplane.System("test"),
		lifecycle.NewOrganization{Name: "Noisy", Tier: controlplane.TierFree, DomainLimit: &limit})
	if err != nil {
		t.Fatal(err)
	}
	_, secret, err := s.App.lifecycle.CreateToken(t.Context(), controlplane.System("test"), nil,
		org.ID, lifecycle.NewToken{Name: "noisy", Scopes: controlplane.Scopes()})
	if err != nil {
		t.Fatal(err)
	}
	api, err := client.New(client.Options{Endpoint: s.Env()["DCVAAS_ENDPOINT"], Token: secret})
	if err != nil {
		t.Fatal(err)
	}
	noisy := &stack{Dev: s.Dev, t: t, api: api}
	issued := 0
	var last *client.Domain
	for n := range 25 {
		if n == 6 {
			if err := s.Redis.Flush(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		d := noisy.waitDomain(noisy.add(fmt.Sprintf("noisy%d.example.com", n)).Id,
			"active or waiting", func(d *client.Domain) bool {
				c := conditionOf(d, client.ConditionTypeCertificateReady)
				return d.Status == client.DomainStatusActive ||
					c.Reason == controlplane.ReasonOrderBudget
			})
		if last = d; d.Status != client.DomainStatusActive {
			break
		}
		issued++
		if err := api.DeleteDomain(t.Context(), d.Id); err != nil {
			t.Fatal(err)
		}
	}
	if issued != 12 || s.Primary.Orders() != 12 {
		t.Errorf("issued certificates = %d, orders = %d, want 12 each", issued, s.Primary.Orders())
	}
	job := noisy.latestJob(last.Id, "start_issuance")
	if job.Status != client.JobStatusQueued || job.Reason != controlplane.ReasonOrderBudget ||
		job.RunAt.Before(time.Now().Add(23*time.Hour)) {
		t.Errorf("job over budget = %s, want queued for %s in about 24 hours", toJSON(job),
			controlplane.ReasonOrderBudget)
	}
	s.waitActive(s.add("quiet.example.com").Id)
}
