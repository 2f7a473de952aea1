package program

import (
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// undelegate removes the domain's CNAME from the playground.
func (s *stack) undelegate(d *client.Domain) {
	s.t.Helper()
	if _, err := s.Playground.Remove(d.Delegation.Name, "CNAME"); err != nil {
		s.t.Fatal(err)
	}
}

// wantUndelegated waits until the domain reports that its CNAME is missing, and checks the number
// of its certificates.
func (s *stack) wantUndelegated(d *client.Domain, certificates int) {
	s.t.Helper()
	s.waitDomain(d.Id, "without its CNAME", func(d *client.Domain) bool {
		return conditionOf(d, client.ConditionTypeDNSReady).Reason == controlplane.CauseCNAMEMissing
	})
	if n := query[int](s, `SELECT count(*) FROM certificates WHERE domain_id = $1`,
		d.Id); n != certificates {
		s.t.Errorf("certificates of %s = %d, want %d", d.Name, n, certificates)
	}
}

// TestNoCertificateWithoutTheCNAME tests a CA with a valid authorization, which would issue without
// another validation. A domain whose CNAME was removed must not get a certificate.
func TestNoCertificateWithoutTheCNAME(t *testing.T) {
	t.Parallel()
	s := startStack(t, DevConfig{EmbeddedRedis: true, ReuseCA: true})
	d := s.waitActive(s.add("gone.example.com").Id)
	s.undelegate(d)
	job, err := s.api.RenewDomain(t.Context(), d.Id)
	if err != nil {
		t.Fatal(err)
	}
	s.wantUndelegated(d, 1)
	if n := s.Primary.OrdersFor(d.Name); n != 1 {
		t.Errorf("orders at the CA = %d, want 1", n)
	}
	s.eventually("the job to wait for the CNAME", func() error {
		if j, err := s.api.Job(t.Context(), job.Id); err != nil ||
			j.Status != client.JobStatusQueued || j.Reason != controlplane.CauseCNAMEMissing {
			return errNotYet
		}
		return nil
	})

	// With the CNAME restored, the renewal uses the valid authorization.
	s.delegate(d.Name)
	if _, err := s.api.RenewDomain(t.Context(), d.Id); err != nil {
		t.Fatal(err)
	}
	s.waitDomain(d.Id,
		"renewed", func(now *client.Domain) bool {
			return now.CertificateId.MustGet() != d.CertificateId.MustGet()
		})
	if _, err := s.api.RenewDomain(t.Context(), d.Id); !isCode(err, "renewed-recently") {
		t.Errorf("second RenewDomain() = %v, want renewed-recently", err)
	}
}

// TestInterruptedOrderIsSetAsideWithoutTheCNAME tests an order that is interrupted while its CSR is
// sent. If the CNAME is missing when the order resumes, the order is set aside, because the CA may
// have received the CSR. It continues when the CNAME is back.
func TestInterruptedOrderIsSetAsideWithoutTheCNAME(t *testing.T) {
	t.Parallel()
	g := newGate(false, pathHas("/finalize-order/"))
	s := startStack(t, DevConfig{EmbeddedRedis: true, NoWork: true, WrapCA: primaryOnly(g)})
	first := s.startWorker()
	d := s.add("waited.example.com")
	select {
	case <-g.reached:
	case <-t.Context().Done():
	}
	first.kill()
	s.undelegate(d)
	s.startWorker()
	s.wantUndelegated(d, 0)
	if step := s.orderStep(d.Id); step != controlplane.StepSetAside {
		t.Errorf("step of the order = %s, want %s", step, controlplane.StepSetAside)
	}
	s.delegate(d.Name)
	if _, err := s.api.VerifyDomain(t.Context(), d.Id); err != nil {
		t.Fatal(err)
	}
	s.waitActive(d.Id)
	if n := s.Primary.OrdersFor(d.Name); n != 1 {
		t.Errorf("orders at the CA = %d, want 1", n)
	}
	if n := query[int](s, `SELECT count(*) FROM challenges`); n != 0 {
		t.Errorf("remaining challenges = %d, want 0", n)
	}
}
