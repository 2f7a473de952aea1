package controlplane_test

import (
	"crypto/x509"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

func TestKeyTypes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		alg  x509.PublicKeyAlgorithm
		bits int
		want controlplane.KeyType
	}{
		{x509.ECDSA, 256, controlplane.KeyEC256}, {x509.ECDSA, 384, controlplane.KeyEC384}, {x509.RSA, 2048, controlplane.KeyRSA2048},
		{x509.RSA, 4096, controlplane.KeyRSA4096}, {x509.RSA, 3072, ""}, {x509.RSA, 256, ""}, {x509.ECDSA, 521, ""}, {x509.Ed25519, 256, ""},
	} {
		got := controlplane.KeyTypeOf(tt.alg, tt.bits)
		if got != tt.want || got.Valid() != (tt.want != "") {
			t.Errorf("%s %d: %q, valid %v", tt.alg, tt.bits, got, got.Valid())
		}
	}
	if (&controlplane.Certificate{}).HasKey() || !(&controlplane.Certificate{SealedKey: []byte{1}}).HasKey() {
		t.Error("HasKey")
	}
}
