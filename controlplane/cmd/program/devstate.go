package program

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/seal"
)

// secretState has the secrets that the development stack keeps between runs.
type secretState struct {
	SecretKey string `json:"secret_key"`
	Keyset    string `json:"keyset"`
	// of the key for dynamic updates of the playground DNS
	PlaygroundKey string `json:"playground_key"`
}

// devSecrets reads the stack's secrets, and generates those that it does not have.
func devSecrets(dir string) (secretState, error) {
	path := filepath.Join(dir, "secrets.json")
	var s secretState
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s, fmt.Errorf("malformed %s: %w", path, err)
	}
	before := s
	for _, secret := range []*string{&s.SecretKey, &s.PlaygroundKey} {
		if *secret == "" {
			key := make([]byte, 32)
			if _, err := rand.Read(key); err != nil {
				return s, err
			}
			*secret = base64.StdEncoding.EncodeToString(key)
		}
	}
	if s.Keyset == "" {
		keyset, err := seal.New()
		if err != nil {
			return s, err
		}
		s.Keyset = string(keyset)
	}
	if s == before {
		return s, nil
	}
	if b, err = json.Marshal(s); err != nil {
		return s, err
	}
	return s, os.WriteFile(path, b, 0o600)
}

// Env returns the environment variables with which other programs use the stack.
func (d *Dev) Env() map[string]string {
	return map[string]string{
		"DCVAAS_ENDPOINT":            "http://" + d.App.webAddr,
		"DCVAAS_API_TOKEN":           d.Token,
		"DCVAAS_OPS_URL":             "http://" + d.App.opsAddr,
		"DCVAAS_DNS_ADDR":            d.Config.DNS.Listen[0],
		"DCVAAS_PLAYGROUND_DNS_ADDR": d.Playground.DNSAddr(),
		"DCVAAS_PLAYGROUND_KEY":      d.secrets.PlaygroundKey,
		"DCVAAS_PLAYGROUND_URL":      d.Playground.URL(),
		"DCVAAS_CA_ROOTS":            d.CARoots(),
	}
}

// CARoots returns the path of a file with the test CAs' root certificates.
func (d *Dev) CARoots() string { return filepath.Join(d.dir, "ca-roots.pem") }

// writeEnv writes dev.env, which shells can source, and the CAs' roots.
func (d *Dev) writeEnv() error {
	if err := os.WriteFile(d.CARoots(), append(d.Primary.RootsPEM(), d.Backup.RootsPEM()...),
		0o644); err != nil {
		return err
	}
	env := d.Env()
	names := make([]string, 0, len(env))
	for name := range env {
		names = append(names, name)
	}
	sort.Strings(names)
	var b strings.Builder
	for _, name := range names {
		fmt.Fprintf(&b, "export %s=%s\n", name, shellQuote(env[name]))
	}
	return os.WriteFile(filepath.Join(d.dir, "dev.env"), []byte(b.String()), 0o600)
}

// shellQuote quotes a value for a shell if it contains special characters.
func shellQuote(s string) string {
	if strings.IndexFunc(s, func(r rune) bool {
		return !strings.ContainsRune(
			"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:/._-", r)
	}) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// describe returns the addresses of all parts as text.
func (d *Dev) describe(took time.Duration) string {
	redis := "child process"
	if d.Redis.Embedded() {
		redis = "in-process"
	}
	env := d.Env()
	return fmt.Sprintf(
		`dcvaas dev is running (started in %s). Press Ctrl-C to stop; state is kept in %s.

  API and dashboard   %s
  Operator            %s   metrics, health, /queues
  Validation zone     %s           dig @%s
  Playground DNS      %s           records at %s
                      DNS connection %q, key %s
  Test CAs            %s
                      %s
  GitHub stand-in     %s
  Postgres            %s
  Redis               %s (%s)

  For a shell:        . %s
`, took.Round(time.Millisecond), d.dir, env["DCVAAS_ENDPOINT"], env["DCVAAS_OPS_URL"],
		env["DCVAAS_DNS_ADDR"], digArgs(env["DCVAAS_DNS_ADDR"]), env["DCVAAS_PLAYGROUND_DNS_ADDR"],
		env["DCVAAS_PLAYGROUND_URL"], devConnection, devPlaygroundKey,
		d.Primary.DirectoryURL(), d.Backup.DirectoryURL(), d.GitHub.URL(), d.Config.Database,
		d.Config.Redis, redis, filepath.Join(d.dir, "dev.env"))
}

func digArgs(addr string) string {
	host, port, _ := strings.Cut(addr, ":")
	return host + " -p " + port
}
