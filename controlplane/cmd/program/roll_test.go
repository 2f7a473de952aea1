package program

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// admin returns an admin command, which runs in a separate process with the stack's configuration.
func (s *stack) admin(args ...string) *exec.Cmd {
	s.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.Command(exe, append([]string{"admin"}, args...)...)
	cmd.Env = append(s.environ(), asProgram+"=1")
	return cmd
}

// adminOutput runs an admin command and returns its output. It fails the test if the command's
// success differs from want.
func (s *stack) adminOutput(want bool, args ...string) string {
	s.t.Helper()
	out, err := s.admin(args...).CombinedOutput()
	if (err == nil) != want {
		s.t.Errorf("dcvaas admin %q = %v: %s, want success %v", args, err, out, want)
	}
	return string(out)
}

// TestRollAccountKey tests that an account's key is changed while workers run, that the workers use
// the new key, and that a rollover that was killed after the CA received it is completed by the
// next one.
func TestRollAccountKey(t *testing.T) {
	t.Parallel()
	g := newGate(true, pathHas("/rollover-account-key"))
	s := startStack(t, DevConfig{EmbeddedRedis: true, WrapCA: primaryOnly(g)})
	s.waitActive(s.add("before.example.com").Id)
	key := func() []byte {
		return query[[]byte](s, `SELECT sealed_key FROM acme_accounts WHERE directory_url = $1`,
			s.Primary.DirectoryURL())
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
		t.Error("the rollover was not interrupted")
	}
	if out := s.adminOutput(true, "roll-account-key", "--ca", "primary"); !strings.Contains(out,
		"an interrupted rollover") {
		t.Errorf("roll-account-key after an interruption = %q, want a message about it", out)
	}
	second := key()
	if planned() || bytes.Equal(second, first) {
		t.Error("the rollover was not completed")
	}
	s.waitActive(s.add("between.example.com").Id)

	if out := s.adminOutput(true, "roll-account-key", "--ca",
		"primary"); out != "The account at primary has a new key.\n" {
		t.Errorf("roll-account-key = %q, want a message about the new key", out)
	}
	if planned() || bytes.Equal(key(), second) {
		t.Error("the account's key did not change")
	}
	s.waitActive(s.add("after.example.com").Id)
	if n := query[int](s, `SELECT count(*) FROM certificates WHERE ca <> 'primary'`); n != 0 {
		t.Errorf("certificates from other CAs = %d, want 0", n)
	}
	if n := query[int](s, `SELECT count(*) FROM acme_accounts WHERE directory_url = $1`,
		s.Primary.DirectoryURL()); n != 1 {
		t.Errorf("accounts at the primary CA = %d, want 1", n)
	}

	if out := s.adminOutput(false, "roll-account-key", "--ca", "elsewhere"); !strings.Contains(out,
		"primary, backup") {
		t.Errorf("roll-account-key of an unknown CA = %q, want the configured CAs", out)
	}
	s.Primary.SetDown(true)
	if out := s.adminOutput(false, "roll-account-key", "--ca", "primary"); !strings.Contains(out,
		"primary") || strings.Contains(out, "acme:") {
		t.Errorf("roll-account-key of an unavailable CA = %q, want its name and no prefix acme:",
			out)
	}
}
