package program

import (
	"context"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

// TestDevKeepsItsState tests that domains, records, the token, and certificates survive a restart
// of the development stack.
func TestDevKeepsItsState(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start := func() *Dev {
		d, err := StartDev(t.Context(), DevConfig{Dir: dir, FreePorts: true, Fast: true,
			Logs: &testLog{t: t}})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	stop := func(d *Dev) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		d.Stop(ctx)
	}
	first := start()
	api, err := client.New(client.Options{Endpoint: first.Env()["DCVAAS_ENDPOINT"],
		Token: first.Token})
	if err != nil {
		t.Fatal(err)
	}
	s := &stack{Dev: first, t: t, api: api}
	d := s.waitActive(s.add("kept.example.com").Id)
	for _, printed := range []string{first.Config.Database, first.Config.Redis} {
		if u, err := url.Parse(printed); err != nil || u.User == nil ||
			!strings.Contains(first.describe(0), printed) {
			t.Errorf("describe() lacks the URL %s with its password: %v", u.Redacted(), err)
		}
	}
	stop(first)

	second := start()
	defer stop(second)
	for what, stays := range map[string]bool{
		"Postgres": passwordIn(first.Config.Database) == passwordIn(second.Config.Database),
		"Redis":    passwordIn(first.Config.Redis) == passwordIn(second.Config.Redis)} {
		if !stays {
			t.Errorf("the password of %s changed after a restart, so copied URLs no longer work",
				what)
		}
	}
	if second.Token != first.Token || second.OrgID != first.OrgID {
		t.Errorf("organization %s and token changed after a restart, want %s and the same token",
			second.OrgID, first.OrgID)
	}
	if s.api, err = client.New(client.Options{Endpoint: second.Env()["DCVAAS_ENDPOINT"],
		Token: first.Token}); err != nil {
		t.Fatal(err)
	}
	s.Dev = second
	again, err := s.api.Domain(t.Context(), "kept.example.com")
	if err != nil {
		t.Fatal(err)
	}
	if toJSON(again.CertificateId) != toJSON(d.CertificateId) {
		t.Errorf("certificate after a restart = %s, want %s", toJSON(again.CertificateId),
			toJSON(d.CertificateId))
	}
	// The restarted test CAs have lost the account. A renewal must still work.
	if _, err := s.api.RenewDomain(t.Context(), d.Id); err != nil {
		t.Fatal(err)
	}
	s.waitDomain(d.Id,
		"renewed", func(now *client.Domain) bool {
			return toJSON(now.CertificateId) != toJSON(
				d.CertificateId)
		})
}

func passwordIn(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	password, _ := u.User.Password()
	return password
}

// TestDevRetriesOtherPorts tests that the stack starts even if another program takes a port after
// it was chosen.
func TestDevRetriesOtherPorts(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	attempts := 0
	s := startStack(t, DevConfig{EmbeddedRedis: true, Configure: func(c *Config) {
		if attempts++; attempts == 1 {
			c.OpsListen = taken.Addr().String()
		}
	}})
	if attempts != 2 {
		t.Errorf("start attempts = %d, want 2", attempts)
	}
	s.waitActive(s.add("quick.example.com").Id)
}
