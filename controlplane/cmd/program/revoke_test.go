package program

import (
	"encoding/json"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// TestRevokeCompromisedKey tests that a certificate with a compromised key is revoked at the CA and
// automatically replaced by one with a new key.
func TestRevokeCompromisedKey(t *testing.T) {
	t.Parallel()
	s := startStack(t, DevConfig{EmbeddedRedis: true})
	d := s.waitActive(s.add("revoked.example.com").Id)
	old, err := d.CertificateId.Get()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := s.api.Certificate(t.Context(), old)
	if err != nil {
		t.Fatal(err)
	}
	started := 0
	for range 3 {
		_, ok, err := s.App.lifecycle.RevokeCertificate(t.Context(), controlplane.System("test"),
			s.OrgID, old, "keyCompromise", false)
		if err == nil && ok {
			started++
		}
	}
	if started != 1 {
		t.Errorf("three requests started the revocation %d times, want 1", started)
	}
	s.waitDomain(d.Id, "with a new certificate",
		func(d *client.Domain) bool { return toJSON(d.CertificateId) != toJSON(old) })
	s.eventually("the revocation", func() error {
		_, _, err := s.App.lifecycle.RevokeCertificate(t.Context(), controlplane.System("test"),
			s.OrgID, old, "superseded", false)
		if !controlplane.HasCode(err, "certificate-revoked") {
			return errNotYet
		}
		return nil
	})
	if got := s.statusAtCA(cert.Serial); got != "Revoked" {
		t.Errorf("status of the certificate at the CA = %s, want Revoked", got)
	}
}

// statusAtCA returns the primary CA's status of a certificate.
func (s *stack) statusAtCA(serial string) string {
	s.t.Helper()
	resp, err := s.Primary.HTTPClient().Get(s.Primary.ManagementURL() + "/cert-status-by-serial/" +
		serial)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var cert struct{ Status string }
	if err := json.NewDecoder(resp.Body).Decode(&cert); err != nil {
		s.t.Fatal(err)
	}
	return cert.Status
}
