package controlplane_test

import (
	"encoding/base32"
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const (
	orgOne = "org_01h455vb4pex5vsknk084sn02q"
	orgTwo = "org_01h455vb4pex5vsknk084sn02r"
)

// The target must never change for a key, an organization and a name: customers' CNAMEs
// point at it. The vector was computed with Python's hmac and base64.
func TestTargetKnownVector(t *testing.T) {
	t.Parallel()
	key := []byte("0123456789abcdef0123456789abcdef")
	if got, want := controlplane.Target(key, orgOne, "example.com"),
		"42r42auzrcydr52ttdj3tinuhjjd6pvw"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestTargetDiffersByKeyOrganizationAndName(t *testing.T) {
	t.Parallel()
	a, b := []byte("0123456789abcdef"), []byte("0123456789abcdeg")
	seen := map[string]string{}
	for what, target := range map[string]string{
		"base":                 controlplane.Target(a, orgOne, "example.com"),
		"other key":            controlplane.Target(b, orgOne, "example.com"),
		"other organization":   controlplane.Target(a, orgTwo, "example.com"),
		"other name":           controlplane.Target(a, orgOne, "example.org"),
		"boundary to the left": controlplane.Target(a, orgOne+"e", "xample.com"),
	} {
		if other, taken := seen[target]; taken {
			t.Errorf("%s and %s have the same target", what, other)
		}
		seen[target] = what
		if raw, err := base32.StdEncoding.DecodeString(strings.ToUpper(target)); err != nil ||
			len(raw) != 20 || len(target) != 32 || target != strings.ToLower(target) {
			t.Errorf("%s: Target() = %q, want 160 bits in lower-case base32", what, target)
		}
	}
}

func TestNewRecord(t *testing.T) {
	t.Parallel()
	want := controlplane.Record{Name: "_acme-challenge.example.com", Type: "CNAME",
		Target: "abc.acme.dcvaas-verify.com"}
	if got := controlplane.NewRecord("example.com", "abc",
		"acme.dcvaas-verify.com"); got != want {
		t.Errorf("NewRecord(example.com) = %+v, want %+v", got, want)
	}
}
