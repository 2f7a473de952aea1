package controlplane_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

func TestObserved(t *testing.T) {
	t.Parallel()
	many := strings.Split(strings.Repeat("v,", 1000), ",")[:1000]
	long := strings.Repeat("é", 256)
	for _, tt := range []struct {
		what   string
		values []string
		want   string
	}{
		{"none", nil, ""},
		{"one", []string{"a"}, "a"},
		{"ten", many[:10], "v; v; v; v; v; v; v; v; v; v"},
		{"eleven", many[:11], "v; v; v; v; v; v; v; v; v; v; and 1 more"},
		{"a thousand", many, "v; v; v; v; v; v; v; v; v; v; and 990 more"},
		{"255 characters", []string{long[2:]}, long[2:]},
		{"256 characters", []string{long}, strings.Repeat("é", 254) + "…"},
		{"not UTF-8", []string{strings.Repeat("\xff", 300)}, strings.Repeat("\xff", 254) + "…"},
	} {
		if got := controlplane.Observed(tt.values, "; "); got != tt.want {
			t.Errorf("Observed(%s) = %q, want %q", tt.what, got, tt.want)
		}
	}
}

func TestSeenBy(t *testing.T) {
	t.Parallel()
	if got := controlplane.SeenBy("a", []string{"b", "c"}); got != "a [b, c]" {
		t.Errorf("SeenBy(a, b c) = %q, want %q", got, "a [b, c]")
	}
	for _, who := range [][]string{{"b"}, {strings.Repeat("w", 5000)}} {
		got := controlplane.SeenBy(strings.Repeat("é", 1000), who)
		if n := utf8.RuneCountInString(got); n != 255 || !strings.HasPrefix(got, "é") ||
			!strings.HasSuffix(got, "]") {
			t.Errorf("SeenBy(a long value, %d of them) = %q, %d characters, want 255 with who at the end", len(who), got, n)
		}
	}
}
