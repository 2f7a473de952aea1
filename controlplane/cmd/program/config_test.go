package program

import (
	"bytes"
	"strings"
	"testing"
)

// TestInvalidSettings tests that each part rejects an invalid setting at its start, and names it.
func TestInvalidSettings(t *testing.T) {
	t.Parallel()
	valid := map[string]string{"database-url": "postgres://x@127.0.0.1:1/x",
		"zone": "acme.example.net", "redis-url": "redis://127.0.0.1:1",
		"secret-key": strings.Repeat("A", 43) + "=", "dns-servers": "127.0.0.1:53"}
	for _, c := range []struct{ command, flag, value, want string }{
		{"serve", "database-url", "", "DCVAAS_DATABASE_URL"},
		{"serve", "zone", "", "DCVAAS_ZONE"},
		{"work", "zone", "", "DCVAAS_ZONE"},
		{"dns", "zone", "", "DCVAAS_ZONE"},
		{"all", "zone", "", "DCVAAS_ZONE"},
		{"dns", "zone", "acme..example.net", "DCVAAS_ZONE"},
		{"dns", "zone", "acme", "DCVAAS_ZONE"},
		{"dns", "zone", "*.example.net", "DCVAAS_ZONE"},
		{"dns", "zone", "Acme.example.net", "DCVAAS_ZONE"},
		{"dns", "zone", "acme.example.net/24", "DCVAAS_ZONE"},
		{"work", "dns-servers", "203.0.113.1", "DCVAAS_DNS_SERVERS"},
		{"work", "dns-servers", "203.0.113.1:53,ns2.example.net", "DCVAAS_DNS_SERVERS"},
		{"work", "dns-servers", "203.0.113.1:dns", "DCVAAS_DNS_SERVERS"},
		{"dns", "dns-listen", "203.0.113.1", "DCVAAS_DNS_LISTEN"},
		{"serve", "drain-delay", "-1s", "DCVAAS_DRAIN_DELAY"},
		{"serve", "grace-period", "-1s", "DCVAAS_GRACE_PERIOD"},
		{"work", "database-connections", "5", "DCVAAS_DATABASE_CONNECTIONS"},
		{"work", "secret-key", "", "DCVAAS_SECRET_KEY"},
		{"serve", "secret-key", "abc", "DCVAAS_SECRET_KEY"},
		{"serve", "redis-url", "127.0.0.1:1", "DCVAAS_REDIS_URL"},
	} {
		args := []string{c.command, "--ops-listen="}
		for flag, value := range valid {
			if flag != c.flag {
				args = append(args, "--"+flag+"="+value)
			}
		}
		var out bytes.Buffer
		code := Main("test", append(args, "--"+c.flag+"="+c.value), &out, &out)
		if code == 0 || !strings.Contains(out.String(), c.want) {
			t.Errorf("%s --%s=%q = status %d: %s, want an error with %s", c.command, c.flag, c.value,
				code, out.String(), c.want)
		}
	}
}
