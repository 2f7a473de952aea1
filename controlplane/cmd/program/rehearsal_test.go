package program

import (
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

// TestRehearsalFindsDrift tests that the daily check of an active domain detects a missing CNAME
// before the renewal is due. The domain stays active, and one event reports the problem. When the
// record is back, the renewal is on track again.
func TestRehearsalFindsDrift(t *testing.T) {
	t.Parallel()
	s := startStack(t, DevConfig{EmbeddedRedis: true})
	d := s.waitActive(s.add("drift.example.com").Id)
	rehearse := func() {
		t.Helper()
		s.exec(`UPDATE domains SET rehearse_at = now()`)
		if n, err := s.App.lifecycle.Rehearse(t.Context()); err != nil || n != 1 {
			t.Fatalf("Rehearse() = %d, %v, want 1", n, err)
		}
	}
	onTrack := func(status, reason string) func(*client.Domain) bool {
		return func(d *client.Domain) bool {
			for _, c := range d.Conditions {
				if c.Type == "RenewalOnTrack" {
					return d.Status == client.DomainStatusActive && string(c.Status) == status &&
						c.Reason == reason
				}
			}
			return false
		}
	}
	if _, err := s.Playground.Remove(d.Delegation.Name, "CNAME"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		rehearse()
		s.waitDomain(d.Id, "off track", onTrack("false", "cname-missing"))
		s.eventually("the end of the check", func() error {
			if job := s.latestJob(d.Id, "dns_check"); job.Status != client.JobStatusSucceeded {
				return errNotYet
			}
			return nil
		})
	}
	if n := query[int](s,
		`SELECT count(*) FROM audit_logs WHERE action = 'domain.delegation_broken' AND entity_id = $1`, d.Id); n != 1 {
		t.Errorf("domain.delegation_broken events = %d, want 1", n)
	}
	s.delegate("drift.example.com")
	rehearse()
	s.waitDomain(d.Id, "on track", onTrack("true", "scheduled"))
}
