package program

import (
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

// A certificate that ends while both CAs are down: the domain is no longer active, says so
// once, and has a certificate again, by itself, when a CA is back.
func TestCertificateEnds(t *testing.T) {
	t.Parallel()
	s := startStack(t, DevConfig{EmbeddedRedis: true})
	d := s.waitActive(s.add("ended.example.com").Id)
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
	if n := query[int](s, `SELECT count(*) FROM audit_logs WHERE action = 'domain.certificate_expired'`); n != 1 {
		t.Errorf("the end was told %d times", n)
	}
	if n, err := s.App.lifecycle.Sweep(t.Context()); err != nil || n != 1 {
		t.Fatalf("%d renewals were queued: %v", n, err)
	}
	s.eventually("the dead letter", func() error {
		if job := s.latestJob(d.Id, "renewal"); job.DeadLetteredAt.IsNull() {
			return errNotYet
		}
		return nil
	})
	if again := query[bool](s, `SELECT renew_at > now() AND NOT renewal_queued FROM domains`); !again {
		t.Error("the renewal is not tried again")
	}
	s.Primary.SetDown(false)
	s.exec(`UPDATE domains SET renew_at = now()`) // a day later
	if n, err := s.App.lifecycle.Sweep(t.Context()); err != nil || n != 1 {
		t.Fatalf("%d renewals were queued: %v", n, err)
	}
	s.waitActive(d.Id)
}
