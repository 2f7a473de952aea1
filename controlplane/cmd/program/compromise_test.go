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

// A customer's key that was compromised is not certified again: the CA hears of no order until a
// request with another key comes, and then the renewal follows by itself.
func TestCompromisedKeyOfACustomer(t *testing.T) {
	t.Parallel()
	s := startStack(t, DevConfig{EmbeddedRedis: true})
	const name = "customer.example.com"
	s.delegate(name)
	request := certificateRequest(t, name)
	d, err := s.api.CreateDomain(t.Context(), client.DomainCreate{Name: name, CsrPem: nullable.NewNullableWithValue(request)})
	if err != nil {
		t.Fatal(err)
	}
	d = s.waitActive(d.Id)
	compromised, _ := d.CertificateId.Get()
	if _, _, err := s.App.lifecycle.RevokeCertificate(t.Context(), controlplane.System("test"), s.OrgID, compromised, "keyCompromise", false); err != nil {
		t.Fatal(err)
	}
	s.waitDomain(d.Id, "revoked", func(d *client.Domain) bool { return strings.Contains(toJSON(d.Conditions), `"revoked"`) })

	orders := query[int](s, `SELECT count(*) FROM acme_orders`)
	s.exec(`UPDATE domains SET renew_at = now() WHERE id = $1`, d.Id) // as a version had left it that knew of none of this
	if n, err := s.App.lifecycle.Sweep(t.Context()); err != nil || n != 1 {
		t.Fatalf("%d renewals were queued: %v", n, err)
	}
	s.eventually("the renewal to end", func() error {
		if j := s.latestJob(d.Id, "renewal"); j.Status != client.JobStatusFailed || j.Reason != "csr-key-compromised" {
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
		if resp.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(body, `"pointer":"/csr_pem"`) || !strings.Contains(body, `"code":"csr-key-compromised"`) {
			t.Errorf("%s: %d %s", what, resp.StatusCode, body)
		}
	}
	if n := query[int](s, `SELECT count(*) FROM acme_orders`); n != orders {
		t.Errorf("%d orders were spent on the compromised key", n-orders)
	}

	if _, err := s.api.UpdateDomain(t.Context(), d.Id, client.DomainUpdate{CsrPem: nullable.NewNullableWithValue(certificateRequest(t, name))}); err != nil {
		t.Fatal(err)
	}
	if n, err := s.App.lifecycle.Sweep(t.Context()); err != nil || n != 1 {
		t.Fatalf("%d renewals were queued: %v", n, err)
	}
	s.waitDomain(d.Id, "renewed", func(d *client.Domain) bool {
		now, _ := d.CertificateId.Get()
		return now != compromised && !strings.Contains(toJSON(d.Conditions), "csr-key-compromised")
	})
}

// certificateRequest returns a request with a new key.
func certificateRequest(t *testing.T, name string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{name}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}
