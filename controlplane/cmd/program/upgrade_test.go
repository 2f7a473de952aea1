package program

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
)

var upgradeFrom = flag.String("upgrade.from", "",
	"path of the previous version of dcvaas; by default, this version replaces itself")

// upgrade is a deployment of separate processes, which are replaced one after the other.
type upgrade struct {
	*stack
	ca      *unruly
	targets map[string]string // of domains, by ID
	logs    lockedBuffer      // of all processes
}

// lockedBuffer is a buffer that several processes write to.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// linesWith returns the lines that contain text.
func (b *lockedBuffer) linesWith(text string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var lines []string
	for line := range strings.Lines(b.text.String()) {
		if strings.Contains(line, text) {
			lines = append(lines, line)
		}
	}
	return lines
}

// startUpgrade starts everything but the program. The database is empty.
func startUpgrade(t *testing.T) *upgrade {
	t.Helper()
	u := &upgrade{ca: newUnruly(), targets: map[string]string{}}
	d, err := StartDev(t.Context(), DevConfig{Dir: t.TempDir(), FreePorts: true, Fast: true,
		NoApp: true, WrapCA: func(string) func(http.Handler) http.Handler { return u.ca.wrap },
		Configure: func(c *Config) {
			c.Work.Lease, c.Work.RetryBase = 2*time.Second, 100*time.Millisecond
			// Earlier versions require it. A deployment keeps its settings.
			c.DNS.Servers = c.DNS.Listen
		}})
	if err != nil {
		t.Fatalf("starting the stack: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
		defer cancel()
		d.Stop(ctx)
	})
	u.stack = &stack{Dev: d, t: t}
	return u
}

// command returns a command of the program, or of this one if the path is empty.
func (u *upgrade) command(path string, args ...string) *exec.Cmd {
	u.t.Helper()
	env := append(u.environ(), "DCVAAS_OPS_LISTEN=")
	if path == "" {
		var err error
		if path, err = os.Executable(); err != nil {
			u.t.Fatal(err)
		}
		env = append(env, asProgram+"=1")
	}
	cmd := exec.Command(path, args...)
	cmd.Env = env
	return cmd
}

// output runs a command of the program and returns what it prints.
func (u *upgrade) output(path string, args ...string) string {
	u.t.Helper()
	cmd := u.command(path, args...)
	var problems strings.Builder
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		u.t.Fatalf("dcvaas %q: %v: %s", args, err, problems.String())
	}
	return string(out)
}

// start runs a part of the program. The result stops it as a deployment does, and fails the test if
// it does not stop without an error.
func (u *upgrade) start(version, path string, args ...string) (stop func()) {
	u.t.Helper()
	cmd := u.command(path, args...)
	log := &testLog{t: u.t, prefix: version + " " + args[0] + ": "}
	out := io.MultiWriter(log, &u.logs)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		u.t.Fatal(err)
	}
	ended, done := make(chan error, 1), make(chan struct{})
	go func() { ended <- cmd.Wait(); close(done) }()
	u.t.Cleanup(func() { _ = cmd.Process.Kill(); <-done })
	return func() {
		u.t.Helper()
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-ended:
			if err != nil {
				u.t.Errorf("the stopped dcvaas %s = %v, want no error", args[0], err)
			}
		case <-time.After(time.Minute):
			u.t.Fatalf("waited a minute for dcvaas %s to stop", args[0])
		}
	}
}

// serve runs dcvaas serve, and returns a client of it when it responds.
func (u *upgrade) serve(
	version, path string, flags ...string,
) (api *client.Client, stop func()) {
	u.t.Helper()
	port, err := devstack.PortOr(0)
	if err != nil {
		u.t.Fatal(err)
	}
	stop = u.start(version, path, append([]string{"serve", "--listen=" + loopback(port)}, flags...)...)
	if api, err = client.New(client.Options{Endpoint: "http://" + loopback(port),
		Token: u.Token}); err != nil {
		u.t.Fatal(err)
	}
	u.eventually(version+" serve to respond", func() error {
		_, err := api.Domains(u.t.Context(), client.ListDomainsParams{})
		return err
	})
	return api, stop
}

// addActive adds a domain and waits for its certificate.
func (u *upgrade) addActive(name string) *client.Domain {
	u.t.Helper()
	d := u.waitActive(u.add(name).Id)
	u.targets[d.Id] = d.Delegation.Target
	return d
}

// wantTargets checks that no domain's target has changed.
func (u *upgrade) wantTargets(when string) {
	u.t.Helper()
	for id, want := range u.targets {
		d, err := u.api.Domain(u.t.Context(), id)
		if err != nil {
			u.t.Fatalf("%s: Domain(%s) = %v", when, id, err)
		}
		if d.Delegation.Target != want {
			u.t.Errorf("%s: target of %s = %s, want %s", when, d.Name, d.Delegation.Target, want)
		}
	}
}

// TestUpgrade replaces a deployment's processes in the documented order (migrate, dns, work,
// serve), while both versions serve. Domains in every state, and an order in progress, continue:
// every target stays, and nothing is ordered twice. Several names work when the new version serves.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	u, old := startUpgrade(t), *upgradeFrom
	u.output(old, "migrate")
	org := strings.Fields(u.output(old, "admin", "create-org", "--tier=agency", "Upgraded"))
	at := slices.IndexFunc(org, func(word string) bool { return strings.HasPrefix(word, "org_") })
	if at < 0 {
		t.Fatalf("create-org printed no ID: %q", org)
	}
	u.Token = strings.TrimSpace(u.output(old, "admin", "create-token", "--org="+org[at]))
	stopDNS, stopWork := u.start("old", old, "dns"), u.start("old", old, "work")
	api, stopServe := u.serve("old", old)
	u.api = api

	issued := u.addActive("issued.example.com")
	first := issued.CertificateId.MustGet()
	const held = "held.example.com" // its order is in progress during the upgrade
	u.ca.on(held, forFinalize, rewrite(processing))
	u.ca.on(held, forOrder, rewrite(processing))
	inProgress := u.add(held)
	waiting, err := u.api.CreateDomain(t.Context(), client.DomainCreate{Name: "later.example.com"})
	must(t, err)
	u.targets[inProgress.Id] = inProgress.Delegation.Target
	u.targets[waiting.Id] = waiting.Delegation.Target
	u.eventually("an order in progress", func() error {
		if u.ca.requests(held, forFinalize) == 0 {
			return errNotYet
		}
		return nil
	})

	u.output("", "migrate")
	u.addActive("migrated.example.com")
	u.wantTargets("after migrate")

	stopDNS()
	u.start("new", "", "dns")
	u.addActive("dns.example.com")
	u.wantTargets("with the new dns")

	u.start("new", "", "work")
	for i := range 4 { // with both versions
		u.addActive(fmt.Sprintf("work%d.example.com", i))
	}
	u.eventually("a renewal", func() error {
		_, err := u.api.RenewDomain(t.Context(), issued.Id)
		return err
	})
	u.waitDomain(issued.Id, "renewed", func(d *client.Domain) bool {
		return d.Status == client.DomainStatusActive && d.CertificateId.MustGet() != first
	})
	stopWork()
	u.wantTargets("with the new work")

	previous := u.api
	u.api, _ = u.serve("new", "")
	u.wantTargets("with the new serve")
	u.ca.on(held, forOrder, nil)
	_, err = u.api.IssueDomain(t.Context(), inProgress.Id)
	must(t, err)
	u.waitActive(inProgress.Id)
	several := u.addSeveral("several.example.com")
	u.delegate("later.example.com")
	for _, id := range []string{several.Id, waiting.Id} {
		u.waitActive(id)
	}
	names, err := u.api.UpdateDomain(t.Context(), issued.Id, client.DomainUpdate{
		AdditionalNames: &[]string{"www.issued.example.com"}})
	must(t, err)
	u.delegate("www.issued.example.com")
	u.waitDomain(names.Id, "issued for both names", func(d *client.Domain) bool {
		revision, _ := d.CertificateRevision.Get()
		return d.Status == client.DomainStatusActive && revision == d.OptionsRevision
	})
	u.api = previous // the old version reads what the new one wrote
	u.wantTargets("in the old serve")
	stopServe()

	for name, want := range map[string]int{held: 1, "migrated.example.com": 1, "dns.example.com": 1,
		"work0.example.com": 1, "later.example.com": 1, "several.example.com": 1,
		"issued.example.com": 3} {
		if n := u.Primary.OrdersFor(name) + u.Backup.OrdersFor(name); n != want {
			t.Errorf("orders for %s = %d, want %d", name, n, want)
		}
	}
	if n := query[int](u.stack, `SELECT count(*) FROM jobs WHERE status = 'failed'`); n != 0 {
		t.Errorf("failed jobs = %d, want 0", n)
	}
}
