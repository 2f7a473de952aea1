package controlplane_test

import (
	"encoding/hex"
	"regexp"
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// knownSecret's checksum was computed with Python's zlib.
const knownSecret = "dcv_A1b2C3d4E5f6G7h8I9j0K1l2M3n4O51aEExU"

func TestNewSecretHasTheDocumentedForm(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^dcv_[0-9A-Za-z]{36}$`)
	seen := map[string]bool{}
	used := map[rune]bool{}
	for range 500 {
		s := controlplane.NewSecret()
		if !form.MatchString(s) || !controlplane.WellFormed(s) {
			t.Fatalf("NewSecret() = %q, want the form %s and a valid checksum", s, form)
		}
		if seen[s] {
			t.Fatalf("NewSecret() = %q twice, want different secrets", s)
		}
		seen[s] = true
		for _, c := range s[4:34] {
			used[c] = true
		}
	}
	if len(used) != 62 {
		t.Errorf("500 secrets use %d characters of base62, want 62", len(used))
	}
}

func TestWellFormedKnowsForeignChecksums(t *testing.T) {
	t.Parallel()
	if !controlplane.WellFormed(knownSecret) {
		t.Errorf("WellFormed(%q) = false, want true", knownSecret)
	}
	for _, s := range []string{"", "dcv_", knownSecret[:39], knownSecret + "0",
		"dcx_" + knownSecret[4:], " " + knownSecret[:39], strings.ToLower(knownSecret), "Bearer " +
			knownSecret} {
		if controlplane.WellFormed(s) {
			t.Errorf("WellFormed(%q) = true, want false", s)
		}
	}
}

// Every change of one character, at any place and to any other byte, is caught.
func TestWellFormedCatchesAnyMistypedCharacter(t *testing.T) {
	t.Parallel()
	b := []byte(knownSecret)
	for i := range b {
		for c := range 256 {
			if old := b[i]; byte(c) != old {
				if b[i] = byte(c); controlplane.WellFormed(string(b)) {
					t.Errorf("WellFormed with place %d changed to %q = true, want false", i,
						rune(c))
				}
				b[i] = old
			}
		}
	}
	for i := 4; i < len(b)-1; i++ {
		if b[i] == b[i+1] {
			continue
		}
		b[i], b[i+1] = b[i+1], b[i]
		if controlplane.WellFormed(string(b)) {
			t.Errorf("WellFormed with places %d and %d swapped = true, want false", i, i+1)
		}
		b[i], b[i+1] = b[i+1], b[i]
	}
}

func FuzzWellFormed(f *testing.F) {
	f.Add(knownSecret)
	f.Add("dcv_")
	f.Fuzz(func(t *testing.T, s string) {
		if controlplane.WellFormed(s) && (len(s) != 40 || !strings.HasPrefix(s, "dcv_")) {
			t.Errorf("WellFormed(%q) = true, want false", s)
		}
		if p := controlplane.SecretPrefix(s); len(p) > 10 || !strings.HasPrefix(s, p) {
			t.Errorf("SecretPrefix = %q of %q, want a prefix of 10 characters", p, s)
		}
	})
}

func TestHashAndPrefixOfASecret(t *testing.T) {
	t.Parallel()
	if got := hex.EncodeToString(controlplane.HashSecret(
		"abc")); got != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" {
		t.Errorf("HashSecret(abc) = %s, want its SHA-256", got)
	}
	if got := controlplane.SecretPrefix(knownSecret); got != knownSecret[:10] {
		t.Errorf("SecretPrefix(%q) = %q, want %q", knownSecret, got, knownSecret[:10])
	}
}

func TestTokenAllows(t *testing.T) {
	t.Parallel()
	all := (&controlplane.Token{Scopes: controlplane.Scopes()}).Grant()
	none := (&controlplane.Token{}).Grant()
	for _, s := range controlplane.Scopes() {
		if !all.Allows(s) {
			t.Errorf("token with all scopes: Allows(%s) = false, want true", s)
		}
		if none.Allows(s) {
			t.Errorf("token without scopes: Allows(%s) = true, want false", s)
		}
	}
	if !all.AllowsDomain("dom_a") {
		t.Error("token without restriction: AllowsDomain(dom_a) = false, want true")
	}
	one := (&controlplane.Token{DomainIDs: []string{"dom_a"}}).Grant()
	if !one.AllowsDomain("dom_a") || one.AllowsDomain("dom_b") || one.AllowsDomain("") {
		t.Error("token restricted to dom_a: AllowsDomain is not true for dom_a and false for others")
	}
}
