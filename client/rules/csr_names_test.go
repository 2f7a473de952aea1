package rules_test

import (
	"bytes"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

func TestCheckCSRNames(t *testing.T) {
	t.Parallel()
	key := ecKey(t, elliptic.P256())
	names := []string{"example.com", "*.example.com"}
	long := strings.Repeat("a", 61) + ".example.com" // 73 characters
	san := func(tag int, value string) func(*x509.CertificateRequest) {
		return func(r *x509.CertificateRequest) {
			entries := []asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: 2,
				Bytes: []byte("example.com")}, {Class: asn1.ClassContextSpecific, Tag: 2,
				Bytes: []byte("*.example.com")}, {Class: asn1.ClassContextSpecific, Tag: tag,
				IsCompound: tag == 0 || tag == 4, Bytes: []byte(value)}}
			der, err := asn1.Marshal(entries)
			if err != nil {
				t.Fatal(err)
			}
			r.DNSNames = nil
			r.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17},
				Value: der}}
		}
	}
	subject := func(names ...string) func(*x509.CertificateRequest) {
		return func(r *x509.CertificateRequest) {
			for _, name := range names {
				r.Subject.ExtraNames = append(r.Subject.ExtraNames, pkix.AttributeTypeAndValue{
					Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: name})
			}
		}
	}
	dns := func(names ...string) func(*x509.CertificateRequest) {
		return func(r *x509.CertificateRequest) { r.DNSNames = names }
	}
	for name, tt := range map[string]struct {
		change func(*x509.CertificateRequest)
		want   string // in the message; "": accepted
	}{
		"names":       {dns(names...), ""},
		"other order": {dns(names[1], names[0]), ""},
		"uppercase":   {dns("Example.COM", "*.EXAMPLE.com"), ""},
		"twice":       {dns(names[0], names[1], names[0]), ""},
		"common name": {subject("Example.com"), ""},
		"organization": {func(r *x509.CertificateRequest) {
			r.Subject.Organization = []string{"ACME"}
		}, ""},
		"missing name":      {dns(names[0]), "missing *.example.com"},
		"additional name":   {dns("evil.test", names[0], names[1]), `also contains "evil.test"`},
		"no names":          {dns(), "missing example.com, *.example.com"},
		"trailing dot":      {dns("example.com.", names[1]), `contains "example.com.", which`},
		"other common name": {subject("evil.test"), `also contains "evil.test"`},
		"two common names":  {subject("evil.test", "example.com"), `also contains "evil.test"`},
		"IP as common name": {subject("192.0.2.1"), `also contains "192.0.2.1"`},
		"IP address": {func(r *x509.CertificateRequest) {
			r.IPAddresses = []net.IP{{192, 0, 2, 1}}
		}, "contains an IP address"},
		"email address": {func(r *x509.CertificateRequest) {
			r.EmailAddresses = []string{"a@example.com"}
		}, "contains an email address"},
		"URI": {func(r *x509.CertificateRequest) {
			r.URIs = []*url.URL{{Scheme: "https", Host: "example.com"}}
		}, "contains a URI"},
		"registered ID":  {san(8, "*"), "contains a registered ID"},
		"other name":     {san(0, "\x06\x01*\xa0\x02\x05\x00"), "contains another name (otherName)"},
		"directory name": {san(4, "\x30\x00"), "contains a directory name"},
	} {
		template := &x509.CertificateRequest{DNSNames: names}
		tt.change(template)
		req, err := rules.ParseCSR(csrPEM(t, template, key))
		if err != nil {
			t.Errorf("%s: ParseCSR = %v", name, err)
			continue
		}
		err = rules.CheckCSRNames(req, names)
		if tt.want == "" && err != nil || tt.want != "" &&
			(!hasCode(err, "csr-names") || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: CheckCSRNames = %v, want a message with %q", name, err, tt.want)
		}
	}

	for name, tt := range map[string]struct {
		names  []string
		change func(*x509.CertificateRequest)
		want   string
	}{
		"only a common name": {names[:1], func(r *x509.CertificateRequest) {
			r.DNSNames, r.Subject.CommonName = nil, "example.com"
		}, "only as the common name, which CAs ignore"},
		"one name only as common name": {names, func(r *x509.CertificateRequest) {
			r.DNSNames, r.Subject.CommonName = names[1:], "example.com"
		}, "contains example.com only as the common name"},
		"U-label as common name": {[]string{"xn--mller-kva.example"},
			subject("Müller.example"), `contains "Müller.example" in Unicode`},
		"A-label as common name": {[]string{"xn--mller-kva.example"},
			subject("xn--mller-kva.example"), ""},
		"long common name": {[]string{long}, subject(long), "more than 64 characters"},
		"long name":        {[]string{long}, subject(), ""},
		"64 characters":    {[]string{long[9:]}, subject(long[9:]), ""},
		"65 characters":    {[]string{long[8:]}, subject(long[8:]), "more than 64 characters"},
	} {
		template := &x509.CertificateRequest{DNSNames: tt.names}
		tt.change(template)
		req, err := rules.ParseCSR(csrPEM(t, template, key))
		if err != nil {
			t.Errorf("%s: ParseCSR = %v", name, err)
			continue
		}
		err = rules.CheckCSRNames(req, tt.names)
		if tt.want == "" && err != nil || tt.want != "" &&
			(!hasCode(err, "csr-names") || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: CheckCSRNames = %v, want a message with %q", name, err, tt.want)
		}
	}
}

// A CSR's wildcard in Unicode keeps its "*." in the fix.
func TestParseCSR_wildcardInUnicode(t *testing.T) {
	t.Parallel()
	text := replaceDER(t, csrPEM(t, &x509.CertificateRequest{DNSNames: []string{"*.muller.test"}},
		ecKey(t, elliptic.P256())), "*.muller.test", "*.m\xfcller.test")
	_, err := rules.ParseCSR(text)
	if !hasCode(err, "csr-names") || !bytes.Contains([]byte(err.Error()),
		[]byte("Write it as *.xn--mller-kva.test.")) {
		t.Errorf("ParseCSR = %v, want the fix *.xn--mller-kva.test", err)
	}
}
