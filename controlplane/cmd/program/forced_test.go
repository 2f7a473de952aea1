package program

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

// TestForcedAttempt tests that orders are placed despite the counted limits of all CAs if their
// certificates are in the last quarter of their lifetimes: one at each CA in 5 minutes. The metric
// counts them.
func TestForcedAttempt(t *testing.T) {
	t.Parallel()
	s := startStack(t, DevConfig{EmbeddedRedis: true, Configure: func(c *Config) {
		var cas []map[string]any
		if err := json.Unmarshal([]byte(c.ACME.CAs), &cas); err != nil {
			t.Fatal(err)
		}
		for _, ca := range cas {
			ca["limits"] = map[string]string{"per_registered_domain": "2/7d"}
		}
		c.ACME.CAs = toJSON(cas)
	}})
	// They use up the limit for example.com of both CAs.
	var domains []*client.Domain
	for _, name := range []string{"a.example.com", "b.example.com", "c.example.com",
		"d.example.com"} {
		domains = append(domains, s.waitActive(s.add(name).Id))
	}
	waiting := s.add("new.example.com")
	s.wantWait(waiting.Id, outcome{waits: "ca-quota", wait: time.Hour})
	s.waitMetric(`dcvaas_forced_attempts_total{ca="primary"} 0`)
	s.waitMetric(`dcvaas_forced_attempts_total{ca="backup"} 0`)

	s.exec(`UPDATE certificates SET not_before = now() - interval '80 days', not_after = now() + interval '10 days'`)
	s.exec(`UPDATE domains SET expires_at = c.not_after FROM certificates c WHERE c.id = certificate_id`)
	for i, ca := range []string{"primary", "backup"} {
		d := domains[i]
		if _, err := s.api.RenewDomain(t.Context(), d.Id); err != nil {
			t.Fatal(err)
		}
		s.waitDomain(d.Id, "renewed", func(now *client.Domain) bool {
			return toJSON(now.CertificateId) != toJSON(d.CertificateId)
		})
		if by := query[string](s, `SELECT c.ca FROM certificates c JOIN domains d ON d.certificate_id = c.id
			WHERE d.id = $1`, d.Id); by != ca {
			t.Errorf("CA of forced renewal %d = %s, want %s", i, by, ca)
		}
		s.waitMetric(`dcvaas_forced_attempts_total{ca="` + ca + `"} 1`)
	}

	third := domains[2]
	if _, err := s.api.RenewDomain(t.Context(), third.Id); err != nil {
		t.Fatal(err)
	}
	s.eventually("the third renewal to wait for the limits", func() error {
		if job := s.latestJob(third.Id, "renewal"); job.Status != client.JobStatusQueued ||
			job.Reason != "ca-quota" {
			return errNotYet
		}
		return nil
	})
	s.exec(`UPDATE forced_attempts SET last_at = now() - interval '5 minutes' WHERE ca = 'backup'`)
	if _, err := s.api.RenewDomain(t.Context(), third.Id); err != nil {
		t.Fatal(err)
	}
	s.waitDomain(third.Id, "renewed", func(now *client.Domain) bool {
		return toJSON(now.CertificateId) != toJSON(third.CertificateId)
	})
	s.waitMetric(`dcvaas_forced_attempts_total{ca="backup"} 2`)
	if d, err := s.api.Domain(t.Context(), waiting.Id); err != nil ||
		conditionOf(d, client.ConditionTypeCertificateReady).Reason != "ca-quota" {
		t.Errorf("Domain(new.example.com) = %s, %v, want it to wait for the limits", toJSON(d), err)
	}
}
