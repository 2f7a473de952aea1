package program

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// admin runs a command of the operator in a process of its own, on the stack's configuration.
func (s *stack) admin(args ...string) *exec.Cmd {
	s.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	c := s.Config
	cmd := exec.Command(exe, append([]string{"admin"}, args...)...)
	cmd.Env = append(os.Environ(), asProgram+"=1", "DCVAAS_DATABASE_URL="+c.Database, "DCVAAS_KEYSET="+c.Keyset, "DCVAAS_CAS="+c.ACME.CAs,
		"DCVAAS_SECRET_KEY="+c.SecretKey, "DCVAAS_PUBLIC_URL="+c.PublicURL)
	return cmd
}

// said runs it and returns what it printed.
func (s *stack) said(want bool, args ...string) string {
	s.t.Helper()
	out, err := s.admin(args...).CombinedOutput()
	if (err == nil) != want {
		s.t.Errorf("%q: %v: %s", args, err, out)
	}
	return string(out)
}

// The account's key is rolled over while workers run, they go on with the new one, and a
// rollover that is killed when the CA has heard of it is finished by the next.
func TestRollAccountKey(t *testing.T) {
	t.Parallel()
	g := newGate(true, pathHas("/rollover-account-key"))
	s := startStack(t, DevConfig{EmbeddedRedis: true, WrapCA: primaryOnly(g)})
	s.waitActive(s.add("before.example.com").Id)
	key := func() []byte {
		return query[[]byte](s, `SELECT sealed_key FROM acme_accounts WHERE directory_url = $1`, s.Primary.DirectoryURL())
	}
	planned := func() bool {
		return query[bool](s, `SELECT bool_or(next_sealed_key IS NOT NULL) FROM acme_accounts`)
	}
	first := key()

	killed := s.admin("roll-account-key", "--ca", "primary")
	if err := killed.Start(); err != nil {
		t.Fatal(err)
	}
	<-g.reached
	if err := killed.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = killed.Wait()
	if !planned() || !bytes.Equal(key(), first) {
		t.Error("the rollover was not cut off in the middle")
	}
	if out := s.said(true, "roll-account-key", "--ca", "primary"); !strings.Contains(out, "an earlier rollover") {
		t.Errorf("it said %q", out)
	}
	second := key()
	if planned() || bytes.Equal(second, first) {
		t.Error("the rollover was not finished")
	}
	s.waitActive(s.add("between.example.com").Id)

	if out := s.said(true, "roll-account-key", "--ca", "primary"); out != "The account at primary has a new key.\n" {
		t.Errorf("it said %q", out)
	}
	if planned() || bytes.Equal(key(), second) {
		t.Error("the key is the same")
	}
	s.waitActive(s.add("after.example.com").Id)
	if n := query[int](s, `SELECT count(*) FROM certificates WHERE ca <> 'primary'`); n != 0 {
		t.Errorf("%d certificates are not the first CA's", n)
	}
	if n := query[int](s, `SELECT count(*) FROM acme_accounts WHERE directory_url = $1`, s.Primary.DirectoryURL()); n != 1 {
		t.Errorf("there are %d accounts", n)
	}

	if out := s.said(false, "roll-account-key", "--ca", "elsewhere"); !strings.Contains(out, "primary, backup") {
		t.Errorf("it said %q", out)
	}
	s.Primary.SetDown(true)
	if out := s.said(false, "roll-account-key", "--ca", "primary"); !strings.Contains(out, "primary") || strings.Contains(out, "acme:") {
		t.Errorf("it said %q", out)
	}
}
