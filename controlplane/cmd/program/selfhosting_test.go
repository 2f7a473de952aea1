package program

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres/postgrestest"
	"github.com/dcvaas/terraform-provider-dcvaas/docs/doctest"
)

// world is what a reader of the guide has before it: Postgres, Redis, a CA, DNS. Its ports and
// folders differ from those in the guide.
type world struct {
	t          *testing.T
	dir        string
	playground *devstack.Playground
	env        []string
	replace    *strings.Replacer
}

// The commands of the guide, and nothing else, set up a split deployment that issues a certificate,
// and rotate its keyset while it runs. The test replaces only names that are the reader's own:
// addresses, ports, and folders.
func TestSelfHostingGuide(t *testing.T) {
	t.Parallel()
	blocks, err := doctest.Parse(selfHosting, readText(t, selfHosting))
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	var script strings.Builder
	script.WriteString("set -euo pipefail\n" + w.replace.Replace(restartParts))
	run, marked, outputs := 0, 0, []*doctest.Block{}
	for _, b := range blocks {
		switch {
		case b.Language != "shell":
			continue
		case strings.Contains(b.Text, "dig ") && b.NotRun == "":
			if _, err := exec.LookPath("dig"); err != nil {
				b.NotRun = "dig is not installed"
			}
		}
		if b.NotRun != "" {
			t.Logf("not run: %s: %s", b.At(), b.NotRun)
			marked++
			continue
		}
		run++
		if b.Option("before") != "" {
			fmt.Fprintf(&script, "%s\n", b.Option("before"))
		}
		fmt.Fprintf(&script, "echo '== %s'\n%s", b.At(), w.replace.Replace(b.Text))
		if len(b.Outputs) > 0 {
			outputs = append(outputs, b)
		}
	}
	script.WriteString("echo '== end'\n")
	if strings.Contains(script.String(), " /etc/") || strings.Contains(script.String(), " /usr/") {
		t.Fatalf("the script changes the machine:\n%s", script.String())
	}
	out := w.run(script.String())
	t.Logf("%s: %d blocks run, %d not run, %d outputs compared", selfHosting, run, marked,
		len(outputs))
	if run < 14 || len(outputs) < 2 {
		t.Errorf("%s: %d blocks run and %d outputs compared, want at least 14 and 2", selfHosting,
			run, len(outputs))
	}
	for _, b := range outputs {
		_, got, _ := strings.Cut(out, "== "+b.At()+"\n")
		got, _, _ = strings.Cut(got, "== ")
		if got, want := masked(got), masked(b.Outputs[0].Text); got != want {
			t.Errorf("%s prints:\n%s\nwant, as in the guide:\n%s", b.At(), got, want)
		}
	}
}

// restartParts defines a command that restarts serve and work with the database roles of the guide,
// and waits until they are ready.
const restartParts = `restart-parts() {
  local pids; pids=$(jobs -l | awk '/dcvaas (serve|work)/ {print $2}')
  kill $pids; wait $pids || true
  DCVAAS_DATABASE_URL_FILE=/etc/dcvaas/database-url-serve DCVAAS_OPS_LISTEN=127.0.0.1:9090 dcvaas serve &
  DCVAAS_DATABASE_URL_FILE=/etc/dcvaas/database-url-work DCVAAS_OPS_LISTEN=127.0.0.1:9091 dcvaas work &
  for port in 9090 9091; do
    curl -fsS --retry 60 --retry-all-errors --retry-delay 1 -o /dev/null "http://127.0.0.1:$port/readyz"
  done
}
`

var maskedTarget = regexp.MustCompile(`[a-z2-7]{32}\.`)

// masked replaces what differs from run to run.
func masked(s string) string {
	return strings.TrimSpace(strings.ReplaceAll(maskedTarget.ReplaceAllString(s, "{hash}."), "\n\n", "\n"))
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	admin, err := url.Parse(postgrestest.DSN(t))
	if err != nil {
		t.Fatal(err)
	}
	ports := make([]int, 5) // web, three operator listeners, name server
	for i := range ports {
		if ports[i], err = (&DevConfig{FreePorts: true}).knownPort(0); err != nil {
			t.Fatal(err)
		}
	}
	w.startServices(loopback(ports[4]))
	password, _ := admin.User.Password()
	w.env = append(w.env, "PGHOST="+admin.Hostname(), "PGPORT="+admin.Port(),
		"PGUSER="+admin.User.Username(), "PGPASSWORD="+password, "PGDATABASE=postgres",
		"DCVAAS_LISTEN="+loopback(ports[0]), "DCVAAS_SWEEP_EVERY=1s", "DCVAAS_SWEEP_SPREAD=0s")
	w.replace = strings.NewReplacer("/etc/dcvaas", w.dir+"/etc/dcvaas", "/usr/local/bin",
		w.dir+"/path", "@127.0.0.1:5432/", "@"+admin.Host+"/",
		"203.0.113.1:53", loopback(ports[4]), "@203.0.113.1",
		fmt.Sprintf("-p %d @127.0.0.1", ports[4]),
		"https://dcvaas.example.net", "http://"+loopback(ports[0]),
		"127.0.0.1:8080/", loopback(ports[0])+"/",
		"9090", fmt.Sprint(ports[1]), "9091", fmt.Sprint(ports[2]), "9092", fmt.Sprint(ports[3]),
		"redis://127.0.0.1:6379/0", w.redis())
	w.programs()
	return w
}

// startServices starts a CA and the DNS of the customers, in which the validation zone is delegated
// to the name server. The guide describes the settings for another CA and other resolvers.
func (w *world) startServices(nameServer string) {
	var err error
	w.playground, err = devstack.StartPlayground(context.WithoutCancel(w.t.Context()),
		devstack.PlaygroundConfig{DNSListen: loopback(0), HTTPListen: loopback(0),
			Zone: "acme.example.net", StateFile: filepath.Join(w.dir, "playground.json")})
	if err != nil {
		w.t.Fatal(err)
	}
	w.playground.SetZoneDNS(nameServer)
	ca, err := devstack.StartCA(devstack.CAConfig{Name: "letsencrypt", Listen: loopback(0),
		Management: loopback(0), Resolver: w.playground.DNSAddr(), StateDir: w.dir})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = ca.Stop(ctx)
		_ = w.playground.Stop(ctx)
	})
	roots, cas := filepath.Join(w.dir, "ca-root.pem"), filepath.Join(w.dir, "cas.json")
	list, err := json.Marshal([]caConfig{{Name: "letsencrypt", Directory: ca.DirectoryURL(),
		RootsFile: roots}})
	if err != nil {
		w.t.Fatal(err)
	}
	must(w.t, os.WriteFile(roots, ca.TLSRootPEM(), 0o600))
	must(w.t, os.WriteFile(cas, list, 0o600))
	w.env = append(w.env, "DCVAAS_CAS_FILE="+cas, "DCVAAS_AUTHORITY="+w.playground.DNSAddr(),
		"DCVAAS_RESOLVERS=playground="+w.playground.DoHURL())
}

// redis starts Redis and returns its URL.
func (w *world) redis() string {
	r, err := devstack.StartRedis(w.t.Context(), devstack.RedisConfig{Dir: filepath.Join(w.dir,
		"redis"), Embedded: true})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = r.Stop(context.Background()) })
	return r.URL() + "/0"
}

// programs writes the programs of the reader's machine: make, which puts the test binary into bin,
// sudo without another user, and one that creates the record as the DNS host would.
func (w *world) programs() {
	self, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	for name, text := range map[string]string{
		"make": "mkdir bin; printf '#!/bin/sh\\n" + asProgram + "=1 exec " + self +
			` "$@"\n' >bin/dcvaas; chmod 755 bin/dcvaas`,
		"sudo": `[ "$1" = -u ] && shift 2; exec "$@"`,
		"create-record": `name=_acme-challenge.shop.example.com
target=$(curl -fsS -H "$AUTH" "$API/domains/shop.example.com" | jq -r .delegation.target)
curl -fsS -X PUT ` + w.playground.URL() + `/records -d '{"name": "'$name'", "type": "CNAME", "values": ["'$target'"], "ttl": 1}' >/dev/null`,
	} {
		must(w.t, os.MkdirAll(filepath.Join(w.dir, "path"), 0o755))
		must(w.t, os.WriteFile(filepath.Join(w.dir, "path", name), []byte("#!/bin/bash\nset -e\n"+
			text+"\n"), 0o755))
	}
}

// run runs the script, stops what it started, and returns its output.
func (w *world) run(script string) string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 3*time.Minute)
	defer cancel()
	// create-record is a program, and does not see the variables of the shell.
	script = strings.Replace(script, "create-record\n", "AUTH=\"$auth\" API=$api create-record\n", 1)
	cmd := exec.CommandContext(ctx, "bash", "-c", "trap 'kill $(jobs -p); wait' EXIT\n"+script)
	cmd.Dir = w.dir
	cmd.Env = append(os.Environ(), "PATH="+filepath.Join(w.dir, "path")+":"+os.Getenv("PATH"))
	cmd.Env = append(cmd.Env, w.env...)
	var out, logs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &logs
	if err := cmd.Run(); err != nil {
		w.t.Fatalf("the commands of the guide fail: %v\n%s\n%s", err, out.String(), logs.String())
	}
	return out.String()
}
