package controlplane_test

import (
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

func TestKeyType_Valid(t *testing.T) {
	t.Parallel()
	for kt, want := range map[controlplane.KeyType]bool{controlplane.KeyEC256: true,
		controlplane.KeyRSA4096: true, controlplane.KeyRSA3072: true, "": false, "rsa1024": false} {
		if got := kt.Valid(); got != want {
			t.Errorf("KeyType(%q).Valid() = %v, want %v", kt, got, want)
		}
	}
}

func TestCertificate_HasKey(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]bool{"": false, "sealed": true} {
		if got := (&controlplane.Certificate{SealedKey: []byte(key)}).HasKey(); got != want {
			t.Errorf("HasKey() with the sealed key %q = %v, want %v", key, got, want)
		}
	}
}
