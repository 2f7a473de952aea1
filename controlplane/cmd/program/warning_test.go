package program

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestCertificateExpiringSoon tests the event and the metric for a certificate that expires soon,
// and that its renewal resets the metric. It also tests the metric for an unavailable CA.
func TestCertificateExpiringSoon(t *testing.T) {
	t.Parallel()
	s := startStack(t, DevConfig{EmbeddedRedis: true,
		Configure: func(c *Config) { c.Work.SweepEvery = 100 * time.Millisecond }})
	d := s.waitActive(s.add("ending.example.com").Id)
	metric := func(want string) {
		t.Helper()
		s.eventually(want, func() error {
			if all := string(s.get(s.Env()["DCVAAS_OPS_URL"]+"/metrics", nil)); !strings.Contains(
				all, "\n"+want+"\n") {
				return fmt.Errorf("not in %s", all)
			}
			return nil
		})
	}
	metric(`dcvaas_certificates_expiring{auto_renew="true",lifetime="long"} 0`)
	s.exec(`UPDATE certificates SET not_before = now() - interval '85 days', not_after = now() + interval '5 days'`)
	s.exec(`UPDATE domains SET expires_at = c.not_after, warn_at = now() FROM certificates c WHERE c.id = certificate_id`)
	metric(`dcvaas_certificates_expiring{auto_renew="true",lifetime="long"} 1`)
	metric(`dcvaas_certificates_expiring{auto_renew="false",lifetime="long"} 0`)
	metric(`dcvaas_certificates_expiring{auto_renew="true",lifetime="short"} 0`)
	if days := query[float64](s,
		`SELECT (details ->> 'days_left')::float8 FROM audit_logs WHERE action = 'domain.certificate_expiring' AND entity_id = $1`, d.Id); days != 4 {
		t.Errorf("days_left of the event = %v, want 4", days)
	}
	if _, err := s.api.RenewDomain(t.Context(), d.Id); err != nil {
		t.Fatal(err)
	}
	metric(`dcvaas_certificates_expiring{auto_renew="true",lifetime="long"} 0`)

	metric(`dcvaas_ca_up{ca="primary"} 1`)
	s.Primary.SetDown(true)
	for i := range 5 {
		s.waitActive(s.add(fmt.Sprintf("down%d.example.com", i)).Id)
	}
	metric(`dcvaas_ca_up{ca="primary"} 0`)
	metric(`dcvaas_ca_up{ca="backup"} 1`)
	s.Primary.SetDown(false) // the check of its directory detects it, without an order
	metric(`dcvaas_ca_up{ca="primary"} 1`)
}
