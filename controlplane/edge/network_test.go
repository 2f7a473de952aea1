package edge

import (
	"net/http/httptest"
	"testing"
)

func TestClientIP(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		trusted         bool
		peer, forwarded string
		want            string
	}{
		{false, "192.0.2.1:5", "203.0.113.9", "192.0.2.1"},
		{true, "192.0.2.1:5", "198.51.100.1, 203.0.113.9", "203.0.113.9"},
		{true, "192.0.2.1:5", "", "192.0.2.1"},
		{true, "192.0.2.1:5", "203.0.113.9, nonsense", "192.0.2.1"},
		{true, "[2001:db8::1]:5", "2001:db8::2", "2001:db8::2"},
		{false, "@", "", ""},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.peer
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		if got := ClientIP(r, c.trusted); got != c.want {
			t.Errorf("ClientIP(peer %s, X-Forwarded-For %q, %v) = %q, want %q", c.peer, c.forwarded,
				c.trusted, got, c.want)
		}
	}
}

func TestNetwork(t *testing.T) {
	t.Parallel()
	for ip, want := range map[string]string{
		"192.0.2.1":              "192.0.2.1",
		"::ffff:192.0.2.1":       "192.0.2.1",
		"2001:db8:1:2:3:4:5:6":   "2001:db8:1:2::/64",
		"2001:db8:1:2::":         "2001:db8:1:2::/64",
		"2001:db8:1:3::1":        "2001:db8:1:3::/64",
		"fe80::1%eth0":           "fe80::/64",
		"":                       "unknown",
		"example.com":            "unknown",
		"2001:db8:1:2:3:4:5:6:7": "unknown",
	} {
		if got := Network(ip); got != want {
			t.Errorf("Network(%q) = %q, want %q", ip, got, want)
		}
	}
}
