package controlplane_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

func TestValidateCSR(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"example.com", "*.example.com"}
	request := func(change func(*x509.CertificateRequest)) string {
		template := x509.CertificateRequest{DNSNames: names}
		change(&template)
		der, err := x509.CreateCertificateRequest(rand.Reader, &template, key)
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
	}
	for name, change := range map[string]func(*x509.CertificateRequest){
		"names": func(*x509.CertificateRequest) {},
		"other order": func(r *x509.CertificateRequest) {
			r.DNSNames = []string{names[1],
				names[0]}
		},
		"uppercase": func(r *x509.CertificateRequest) {
			r.DNSNames = []string{"Example.COM",
				names[1]}
		},
		"common name": func(r *x509.CertificateRequest) { r.Subject.CommonName = "Example.com" },
		"organization": func(r *x509.CertificateRequest) {
			r.Subject = pkix.Name{
				Organization: []string{"ACME"}}
		},
	} {
		text := request(change)
		der, kt, err := controlplane.ValidateCSR(text, names)
		if err != nil || kt != controlplane.KeyEC256 {
			t.Errorf("%s: ValidateCSR returns the key type %q, %v, want %q", name, kt, err,
				controlplane.KeyEC256)
			continue
		}
		if block, _ := pem.Decode([]byte(text)); !bytes.Equal(der, block.Bytes) {
			t.Errorf("%s: ValidateCSR returns other DER than the CSR's", name)
		}
	}

	plain := request(func(*x509.CertificateRequest) {})
	rejected := map[string]struct{ text, code string }{
		"not PEM": {"hello", "csr-malformed"},
		"private key": {strings.ReplaceAll(plain, "CERTIFICATE REQUEST", "PRIVATE KEY"),
			"csr-has-private-key"},
	}
	for name, change := range map[string]func(*x509.CertificateRequest){
		"missing name": func(r *x509.CertificateRequest) { r.DNSNames = names[:1] },
		"additional name": func(r *x509.CertificateRequest) {
			r.DNSNames = append(
				[]string{"evil.test"}, names...)
		},
		"other names": func(r *x509.CertificateRequest) {
			r.DNSNames = []string{"evil.test",
				"*.evil.test"}
		},
		"other common name": func(r *x509.CertificateRequest) { r.Subject.CommonName = "evil.test" },
		"no names":          func(r *x509.CertificateRequest) { r.DNSNames = nil },
		"only common name": func(r *x509.CertificateRequest) {
			r.DNSNames,
				r.Subject.CommonName = nil, names[0]
		},
		"IP address": func(r *x509.CertificateRequest) {
			r.IPAddresses = []net.IP{{192, 0, 2,
				1}}
		},
		"email address": func(r *x509.CertificateRequest) {
			r.EmailAddresses = []string{
				"a@example.com"}
		},
		"URI": func(r *x509.CertificateRequest) {
			r.URIs = []*url.URL{
				{Scheme: "https", Host: "example.com"}}
		},
	} {
		rejected[name] = struct{ text, code string }{request(change), "csr-names"}
	}
	for name, tt := range rejected {
		der, kt, err := controlplane.ValidateCSR(tt.text, names)
		if der != nil || kt != "" || !controlplane.HasCode(err, tt.code) {
			t.Errorf("%s: ValidateCSR = %x, %q, %v, want the code %s", name, der, kt, err, tt.code)
			continue
		}
		e := controlplane.AsError(err)
		if e.Kind != controlplane.KindInvalid || e.Fix == "" || len(e.Fields) != 1 ||
			e.Fields[0].Pointer != "/csr_pem" {
			t.Errorf("%s: ValidateCSR returns %+v, want a KindInvalid error for /csr_pem with a fix", name, e)
		}
	}

	one := request(func(r *x509.CertificateRequest) {
		r.DNSNames, r.Subject.CommonName = nil,
			"example.com"
	})
	if _, _, err := controlplane.ValidateCSR(one, names[:1]); !controlplane.HasCode(err,
		"csr-names") {
		t.Errorf("only a common name, for one name: ValidateCSR returns %v, want the code csr-names", err)
	}
}
