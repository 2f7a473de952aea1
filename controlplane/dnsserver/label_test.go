package dnsserver

import (
	"crypto/rand"
	"encoding/base32"
	"strings"
	"testing"
)

func TestLabel(t *testing.T) {
	t.Parallel()
	enc := base32.StdEncoding.WithPadding(base32.NoPadding)
	for range 1000 {
		var want key
		_, _ = rand.Read(want[:])
		upper := enc.EncodeToString(want[:])
		for _, s := range []string{upper, strings.ToLower(upper)} {
			if k, ok := parseLabel(s); !ok || k != want {
				t.Fatalf("parseLabel(%s) = %x, want %x", s, k, want)
			}
		}
		expect(t, "label", want.String(), strings.ToLower(upper))
	}
	good := label(1)
	for _, s := range []string{"", good[:31], good + "a", good[:31] + "1", good[:31] +
		"=", good[:31] + "\x00", good[:31] + "\xff", "-" + good[1:]} {
		if _, ok := parseLabel([]byte(s)); ok {
			t.Errorf("parseLabel(%q) = true, want false", s)
		}
	}
}
