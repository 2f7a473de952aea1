package program

import (
	"errors"
	"fmt"
	"regexp"
	"testing"
	"time"
)

// TestCertificateExpiringSoon tests the event and the metric for a certificate that expires soon,
// and that its renewal resets the metric. It also tests the metrics for domains that wait for the
// validation zone, and for an unavailable CA.
func TestCertificateExpiringSoon(t *testing.T) {
	t.Parallel()
	s := startStack(t, DevConfig{EmbeddedRedis: true,
		Configure: func(c *Config) { c.Work.SweepEvery = 100 * time.Millisecond }})
	d := s.waitActive(s.add("ending.example.com").Id)
	s.waitMetric(`dcvaas_certificates_expiring{auto_renew="true",lifetime="long"} 0`)
	s.exec(`UPDATE certificates SET not_before = now() - interval '85 days', not_after = now() + interval '5 days'`)
	s.exec(`UPDATE domains SET expires_at = c.not_after, warn_at = now() FROM certificates c WHERE c.id = certificate_id`)
	s.waitMetric(`dcvaas_certificates_expiring{auto_renew="true",lifetime="long"} 1`)
	s.waitMetric(`dcvaas_certificates_expiring{auto_renew="false",lifetime="long"} 0`)
	s.waitMetric(`dcvaas_certificates_expiring{auto_renew="true",lifetime="short"} 0`)
	if days := query[float64](s,
		`SELECT (details ->> 'days_left')::float8 FROM audit_logs WHERE action = 'domain.certificate_expiring' AND entity_id = $1`, d.Id); days != 4 {
		t.Errorf("days_left of the event = %v, want 4", days)
	}
	if _, err := s.api.RenewDomain(t.Context(), d.Id); err != nil {
		t.Fatal(err)
	}
	s.waitMetric(`dcvaas_certificates_expiring{auto_renew="true",lifetime="long"} 0`)

	s.waitMetric(`dcvaas_zone_unserved_domains 0`)
	s.exec(`INSERT INTO jobs (id, org_id, domain_id, type, slot, queue, status, reason, run_at)
		SELECT 'job_unserved', org_id, id, 'dns_check', 'dns', 'bulk', 'queued', 'target-not-served', now() + interval '1 hour'
		FROM domains WHERE id = $1`, d.Id)
	s.waitMetric(`dcvaas_zone_unserved_domains 1`)

	s.waitMetric(`dcvaas_ca_up{ca="primary"} 1`)
	s.Primary.SetDown(true)
	for i := range 5 {
		s.waitActive(s.add(fmt.Sprintf("down%d.example.com", i)).Id)
	}
	s.waitMetric(`dcvaas_ca_up{ca="primary"} 0`)
	s.waitMetric(`dcvaas_ca_up{ca="backup"} 1`)
	list := func(want string) {
		t.Helper()
		s.eventually("admin ca list with "+want, func() error {
			if out := s.adminOutput(true, "ca", "list"); !regexp.MustCompile(want).MatchString(out) {
				return errors.New(out)
			}
			return nil
		})
	}
	list(`primary +allowed +open in 1 worker since 20\S+Z, next attempt at 20\S+Z: \S`)
	list(`backup +allowed +closed +usable`)
	s.Primary.SetDown(false) // the check of its directory detects it, without an order
	s.waitMetric(`dcvaas_ca_up{ca="primary"} 1`)
	list(`primary +allowed +closed +usable`)
}
