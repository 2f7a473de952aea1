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

// A stop and a start of the development stack keep domains, records, token and certificates.
func TestDevKeepsItsState(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start := func() *Dev {
		d, err := StartDev(t.Context(), DevConfig{Dir: dir, FreePorts: true, Fast: true, Logs: &testLog{t: t}})
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
	api, err := client.New(client.Options{Endpoint: first.Env()["DCVAAS_ENDPOINT"], Token: first.Token})
	if err != nil {
		t.Fatal(err)
	}
	s := &stack{Dev: first, t: t, api: api}
	d := s.waitActive(s.add("kept.example.com").Id)
	for _, printed := range []string{first.Config.Database, first.Config.Redis} {
		if u, err := url.Parse(printed); err != nil || u.User == nil || !strings.Contains(first.describe(0), printed) {
			t.Errorf("what is printed lacks the URL with the password of %s: %v", u.Redacted(), err)
		}
	}
	stop(first)

	second := start()
	defer stop(second)
	for what, stays := range map[string]bool{"Postgres": passwordIn(first.Config.Database) == passwordIn(second.Config.Database), "Redis": passwordIn(first.Config.Redis) == passwordIn(second.Config.Redis)} {
		if !stays {
			t.Errorf("the password of %s is another after a restart: URLs that were copied no longer work", what)
		}
	}
	if second.Token != first.Token || second.OrgID != first.OrgID {
		t.Error("organization or token changed")
	}
	if s.api, err = client.New(client.Options{Endpoint: second.Env()["DCVAAS_ENDPOINT"], Token: first.Token}); err != nil {
		t.Fatal(err)
	}
	s.Dev = second
	again, err := s.api.Domain(t.Context(), "kept.example.com")
	if err != nil {
		t.Fatal(err)
	}
	if toJSON(again.CertificateId) != toJSON(d.CertificateId) {
		t.Errorf("the certificate was %s and is %s", toJSON(d.CertificateId), toJSON(again.CertificateId))
	}
	// The test CAs are new ones and have forgotten the account; a renewal works all the same.
	if _, err := s.api.RenewDomain(t.Context(), d.Id); err != nil {
		t.Fatal(err)
	}
	s.waitDomain(d.Id, "renewed", func(now *client.Domain) bool { return toJSON(now.CertificateId) != toJSON(d.CertificateId) })
}

func passwordIn(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	password, _ := u.User.Password()
	return password
}

// A port that is taken between the choice and the start is no reason not to start.
func TestDevChoosesOtherPortsWhereSomebodyWasQuicker(t *testing.T) {
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
		t.Errorf("it was tried %d times", attempts)
	}
	s.waitActive(s.add("quick.example.com").Id)
}
