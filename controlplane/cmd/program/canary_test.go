package program

import (
	"bytes"
	"encoding/base64"
	"io"
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/seal"
)

// TestMismatchedSecrets starts processes with another secret key, keyset, or zone than the others:
// they do not start, and name the setting, with canaries and with only the data of an installation.
func TestMismatchedSecrets(t *testing.T) {
	t.Parallel()
	s := startStack(t, DevConfig{EmbeddedRedis: true})
	s.waitActive(s.add("sealed.example.com").Id)
	keyset, err := seal.New()
	must(t, err)
	changes := map[string]func(*Config){
		"DCVAAS_SECRET_KEY": func(c *Config) {
			c.SecretKey = base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("x"), 32))
		},
		"DCVAAS_KEYSET": func(c *Config) { c.Keyset = string(keyset) },
		"DCVAAS_ZONE":   func(c *Config) { c.Zone = "other.example.net" },
	}
	start := func(parts Parts, change func(*Config)) error {
		c := s.Config
		c.OpsListen, c.HTTP.Listen, c.DNS.Listen = "", loopback(0), []string{loopback(0)}
		change(&c)
		app, err := NewApp(t.Context(), c, parts, io.Discard)
		must(t, err)
		defer app.Stop(t.Context())
		return app.Start(t.Context())
	}
	for _, canaries := range []bool{true, false} {
		for name, change := range changes {
			if !canaries {
				if name == "DCVAAS_ZONE" {
					continue // is not stored elsewhere
				}
				s.exec(`DELETE FROM canaries`)
			}
			if err := start(Parts{Serve: true}, change); err == nil ||
				!strings.Contains(err.Error(), name) {
				t.Errorf("Start() with another %s, canaries %v = %v, want an error that names it",
					name, canaries, err)
			}
		}
	}
	if got := query[int](s, `SELECT count(*) FROM canaries`); got != 0 {
		t.Errorf("processes with the wrong secrets wrote %d canaries, want 0", got)
	}
	if err := start(Parts{Work: true}, func(*Config) {}); err != nil {
		t.Errorf("Start() with the same settings = %v, want nil", err)
	}
	if got := query[int](s, `SELECT count(*) FROM canaries`); got != 3 {
		t.Errorf("canaries = %d, want 3", got)
	}
	if err := start(Parts{DNS: true}, changes["DCVAAS_ZONE"]); err == nil {
		t.Error("Start() of a name server with another zone = nil, want an error")
	}
	if err := start(Parts{DNS: true}, func(*Config) {}); err != nil {
		t.Errorf("Start() of a name server = %v, want nil", err)
	}
}
