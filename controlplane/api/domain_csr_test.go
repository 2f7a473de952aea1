package api

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"
)

func requestPEM(t *testing.T, template *x509.CertificateRequest, key crypto.Signer) string {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

// newCSR returns a CSR for names with a new key.
func newCSR(t *testing.T, names ...string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return requestPEM(t, &x509.CertificateRequest{DNSNames: names}, key)
}

// CSRs that CAs would reject are rejected with the field, the reason, and a fix, when they are sent
// alone and in bulk.
func TestCSRs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsa3072, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		t.Fatal(err)
	}
	named := func(name string) *x509.CertificateRequest {
		return &x509.CertificateRequest{DNSNames: []string{name}}
	}
	pss := named("pss.example.com")
	pss.SignatureAlgorithm = x509.SHA256WithRSAPSS
	staple := named("staple.example.com")
	staple.ExtraExtensions = []pkix.Extension{{
		Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}, Value: []byte{0x30, 3, 2, 1, 5}}}
	spoken := named("m.example.com")
	spoken.Subject.CommonName = "m\u00fcller.example.com"
	spoken.DNSNames = []string{"xn--mller-kva.example.com"}
	for _, tt := range []struct{ name, csr, code, says string }{
		{"github.io", requestPEM(t, named("github.io"), ec), "", ""},
		{"rsa.example.com", requestPEM(t, named("rsa.example.com"), rsa3072), "", ""},
		{"bom.example.com", "\ufeff" + requestPEM(t, named("bom.example.com"), ec), "", ""},
		{"pss.example.com", requestPEM(t, pss, rsa3072), "csr-signature", "RSASSA-PSS"},
		{"staple.example.com", requestPEM(t, staple, ec), "csr-extension", "must-staple"},
		{"m\u00fcller.example.com", requestPEM(t, spoken, ec), "csr-names", "in Unicode"},
		{"escaped.example.com", strings.ReplaceAll(requestPEM(t, named("escaped.example.com"), ec),
			"\n", `\n`), "csr-malformed", "in place of line breaks"},
	} {
		body := map[string]any{"name": tt.name, "csr_pem": tt.csr}
		bulk := w.do("POST", "/api/domains/bulk", map[string]any{"domains": []any{body}}).is(200)
		if tt.code == "" {
			if text := bulk.body; !strings.Contains(text, `"created"`) {
				t.Errorf("%s in bulk: %s, want it created", tt.name, text)
			}
			continue
		}
		if text := bulk.body; !strings.Contains(text, tt.code) {
			t.Errorf("%s in bulk: %s, want the code %s", tt.name, text, tt.code)
		}
		a := w.do("POST", "/api/domains", body)
		a.problem(422, tt.code)
		var problem struct {
			Detail, Fix string
			Errors      []struct{ Pointer string }
		}
		if err := json.Unmarshal([]byte(a.body), &problem); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(problem.Detail, tt.says) || problem.Fix == "" ||
			len(problem.Errors) != 1 || problem.Errors[0].Pointer != "/csr_pem" {
			t.Errorf("%s: problem = %+v, want %q at /csr_pem and a fix", tt.name, problem, tt.says)
		}
	}
	found := w.do("GET", "/api/domains?q=git", nil).is(200)
	if text := found.body; !strings.Contains(text, `"key_type":"ec256"`) {
		t.Errorf("GET /api/domains?q=git = %s, want github.io with the key type of its CSR", text)
	}
	listed := w.do("GET", "/api/domains?q=rsa", nil).is(200)
	if text := listed.body; !strings.Contains(text, `"key_type":"rsa3072"`) {
		t.Errorf("GET /api/domains?q=rsa = %s, want the key type rsa3072", text)
	}
}

func TestSearchInUnicode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.newDomain(w.org, "xn--mller-kva.example.com")
	w.newDomain(w.org, "other.example.com")
	for query, want := range map[string]bool{"m%C3%BCller": true, "M%C3%9CLL": true,
		"xn--mller": true, "m%C3%A4ller": false} {
		text := w.do("GET", "/api/domains?q="+query, nil).is(200).body
		if strings.Contains(text, "xn--mller-kva") != want || strings.Contains(text, "other.") {
			t.Errorf("GET /api/domains?q=%s = %s, want the domain: %v", query, text, want)
		}
	}
}
