package controlplane_test

import (
	"crypto/x509"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

func TestRenewalAndWarningTimesByLifetime(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name                          string
		life, renewBefore, warnBefore time.Duration
	}{
		{"90 days", 90 * day, 30 * day, 7 * day},
		{"45 days", 45 * day, 15 * day, 7 * day},
		{"6 days", 6 * day, 3 * day, 36 * time.Hour},
		{"160 hours, shortlived", 160 * time.Hour, 80 * time.Hour, 40 * time.Hour},
		{"a second under 10 days", 10*day - time.Second, 5*day - time.Second/2, (10*day - time.Second) / 4},
		{"10 days", 10 * day, 80 * time.Hour, 60 * time.Hour},
		{"a second under 21 days", 21*day - time.Second, (21*day - time.Second) / 3, (21*day - time.Second) / 4},
		{"21 days", 21 * day, 7 * day, 7 * day},
		{"398 days", 398 * day, 398 * day / 3, 7 * day},
		{"nothing", 0, 0, 0},
	} {
		end := start.Add(tt.life)
		if got := end.Sub(controlplane.RenewAt(start, end)); got != tt.renewBefore {
			t.Errorf("%s: renewed %s before the end, want %s", tt.name, got, tt.renewBefore)
		}
		if got := end.Sub(controlplane.ExpiryWarningAt(start, end)); got != tt.warnBefore {
			t.Errorf("%s: alarm %s before the end, want %s", tt.name, got, tt.warnBefore)
		}
		if tt.life > 0 && tt.life < 300*day && controlplane.ExpiryWarningAt(start, end).Before(controlplane.RenewAt(start, end)) {
			t.Errorf("%s: the alarm comes before the renewal is due", tt.name)
		}
	}
}

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
