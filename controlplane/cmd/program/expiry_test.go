package program

import (
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

// TestCertificateExpires tests a certificate that expires while both CAs are down: the domain is no
// longer active, one event reports it, and a new certificate is issued automatically when a CA is
// available again.
func TestCertificateExpires(t *testing.T) {
	t.Parallel()
	s := startStack(t, DevConfig{EmbeddedRedis: true})
	d := s.waitActive(s.add("expired.example.com").Id)
	s.Primary.SetDown(true)
	s.Backup.SetDown(true)
	s.exec(`UPDATE domains SET expires_at = now() - interval '1 second', renew_at = now() - interval '1 hour'`)
	for range 2 {
		if _, err := s.App.lifecycle.Expire(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s.waitDomain(d.Id, "in error", func(d *client.Domain) bool {
		return d.Status == client.DomainStatusError && d.StatusReason == "certificate-expired"
	})
	if n := query[int](s,
		`SELECT count(*) FROM audit_logs WHERE action = 'domain.certificate_expired'`); n != 1 {
		t.Errorf("domain.certificate_expired events = %d, want 1", n)
	}
	if n, err := s.App.lifecycle.Sweep(t.Context()); err != nil || n != 1 {
		t.Fatalf("Sweep() = %d, %v, want 1", n, err)
	}
	s.eventually("the renewal to wait for the CAs", func() error {
		if job := s.latestJob(d.Id, "renewal"); job.Reason != "ca-unreachable" {
			return errNotYet
		}
		return nil
	})
	s.Primary.SetDown(false)
	s.waitActive(d.Id)
	if job := s.latestJob(d.Id, "renewal"); job.Attempts != 0 {
		t.Errorf("job = %s, want no failures", toJSON(job))
	}
}
