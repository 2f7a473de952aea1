package rules_test

import (
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"
)

// Extensions that CSRs request.
var (
	mustStaple = pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24},
		Value: []byte{0x30, 3, 2, 1, 5}} // status_request
	mustStapleV2 = pkix.Extension{Id: mustStaple.Id, Value: []byte{0x30, 3, 2, 1, 17}}
	caFalse      = pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Value: []byte{0x30, 0}}
	caTrue       = pkix.Extension{Id: caFalse.Id, Value: []byte{0x30, 3, 1, 1, 0xff}}
	caMalformed  = pkix.Extension{Id: caFalse.Id, Value: []byte{0x30, 3}}
	keyUsage     = pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 15},
		Value: []byte{3, 2, 5, 0xa0}, Critical: true}
	nameConstraints = pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 30},
		Value: []byte{0x30, 0}}
)

func withExtensions(t *testing.T, extensions ...pkix.Extension) string {
	t.Helper()
	return csrPEM(t, &x509.CertificateRequest{DNSNames: []string{"example.com"},
		ExtraExtensions: extensions}, ecKey(t, elliptic.P256()))
}
