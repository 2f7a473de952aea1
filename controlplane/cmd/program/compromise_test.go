package program

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"

	"github.com/oapi-codegen/nullable"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// TestCompromisedCSRKey tests that a compromised key from a customer's CSR gets no new certificate:
// no order is placed until the customer sends a CSR with another key. Then the renewal is
// automatic.
func TestCompromisedCSRKey(t *testing.T) {
	t.Parallel()
	s := startStack(t, DevConfig{EmbeddedRedis: true})
	const name = "customer.example.com"
	s.delegate(name)
	request := certificateRequest(t, name)
	d, err := s.api.CreateDomain(t.Context(),
		client.DomainCreate{Name: name, CsrPem: nullable.NewNullableWithValue(request)})
	if err != nil {
		t.Fatal(err)
	}
	d = s.waitActive(d.Id)
	compromised, _ := d.CertificateId.Get()
	if _, _, err := s.App.lifecycle.RevokeCertificate(t.Context(), controlplane.System("test"),
		s.OrgID, compromised, "keyCompromise", false); err != nil {
		t.Fatal(err)
	}
	s.waitDomain(d.Id,
		"revoked", func(d *client.Domain) bool {
			return strings.Contains(toJSON(d.Conditions),
				`"revoked"`)
		})

	orders := query[int](s, `SELECT count(*) FROM acme_orders`)
	// as older versions of the program left it
	s.exec(`UPDATE domains SET renew_at = now() WHERE id = $1`, d.Id)
	if n, err := s.App.lifecycle.Sweep(t.Context()); err != nil || n != 1 {
		t.Fatalf("Sweep() = %d, %v, want 1", n, err)
	}
	s.eventually("the renewal to fail", func() error {
		if j := s.latestJob(d.Id, "renewal"); j.Status != client.JobStatusFailed ||
			j.Reason != "csr-key-compromised" {
			return errNotYet
		}
		return nil
	})
	for what, call := range map[string][3]string{
		"issue": {"POST", "/api/domains/" + name + "/issue", ""},
		"renew": {"POST", "/api/domains/" + name + "/renew", ""},
		"patch": {"PATCH", "/api/domains/" + name, toJSON(map[string]string{"csr_pem": request})},
	} {
		resp, body := s.call(call[0], call[1], call[2])
		if resp.StatusCode != http.StatusUnprocessableEntity ||
			!strings.Contains(body, `"pointer":"/csr_pem"`) ||
			!strings.Contains(body, `"code":"csr-key-compromised"`) {
			t.Errorf("%s with the compromised key = %d: %s, want 422 csr-key-compromised", what,
				resp.StatusCode, body)
		}
	}
	if n := query[int](s, `SELECT count(*) FROM acme_orders`); n != orders {
		t.Errorf("orders for the compromised key = %d, want 0", n-orders)
	}

	if _, err := s.api.UpdateDomain(t.Context(), d.Id,
		client.DomainUpdate{CsrPem: nullable.NewNullableWithValue(certificateRequest(t,
			name))}); err != nil {
		t.Fatal(err)
	}
	if n, err := s.App.lifecycle.Sweep(t.Context()); err != nil || n != 1 {
		t.Fatalf("Sweep() = %d, %v, want 1", n, err)
	}
	s.waitDomain(d.Id, "renewed", func(d *client.Domain) bool {
		now, _ := d.CertificateId.Get()
		return now != compromised && !strings.Contains(toJSON(d.Conditions), "csr-key-compromised")
	})
}

// certificateRequest returns a CSR with a new key, in PEM.
func certificateRequest(t *testing.T, name string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader,
		&x509.CertificateRequest{DNSNames: []string{name}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}
