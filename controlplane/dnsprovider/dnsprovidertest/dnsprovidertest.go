// Package dnsprovidertest starts the name servers with dynamic updates that DNS connections are
// for, as child processes. They must be installed.
package dnsprovidertest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// The keys of the servers, which all have the same secret. KeyLong uses HMAC-SHA512, the others use
// HMAC-SHA256.
const (
	KeySecret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTAxMjM="
	Key       = "dcvaas" // may update all of the zone
	KeyLong   = "long"   // the same
	KeyNarrow = "narrow" // may update only the CNAME of _acme-challenge.mine.example.com
	KeyReader = "reader" // may update nothing
)

// zoneFile has records that conflict with CNAMEs at names below _acme-challenge.*.example.com.
const zoneFile = `$ORIGIN example.com.
$TTL 300
@ SOA ns.example.com. admin.example.com. 1 3600 600 86400 300
@ NS ns.example.com.
ns A 127.0.0.1
_acme-challenge.txt TXT "left by another client"
_acme-challenge.two TXT "one" "two"
_acme-challenge.two A 192.0.2.1
_acme-challenge.a A 192.0.2.1
_acme-challenge.cname CNAME elsewhere.example.net.
_acme-challenge.odd LOC 51 30 12.748 N 0 7 39.612 W 0.00m
sub NS ns.sub.example.com.
ns.sub A 192.0.2.53
`

// Server is a name server of example.com that runs as a child process until the test ends.
type Server struct {
	Address string // host and port
	t       testing.TB
}

// Query returns the values in the answer to an unsigned query.
func (s *Server) Query(name string, t uint16) []string {
	s.t.Helper()
	r, _, err := (&dns.Client{Net: "tcp"}).Exchange(new(dns.Msg).SetQuestion(dns.Fqdn(name), t),
		s.Address)
	if err != nil {
		s.t.Fatalf("Query(%s %s) = %v", name, dns.TypeToString[t], err)
	}
	var values []string
	for _, rr := range r.Answer {
		values = append(values, strings.TrimPrefix(rr.String(), rr.Header().String()))
	}
	return values
}

// Servers are the functions that start each server, by its name.
func Servers() map[string]func(testing.TB) *Server {
	return map[string]func(testing.TB) *Server{"BIND": BIND, "Knot": Knot}
}

// startServer starts a name server in a new directory, which has the zone, with files. args may
// contain $DIR and $PORT, as may the files.
func startServer(t testing.TB, program string, files map[string]string, args ...string) *Server {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		if path = "/usr/sbin/" + program; !exists(path) {
			t.Fatalf("%s is not installed: run tools/install.sh test", program)
		}
	}
	dir, port := t.TempDir(), freePort(t)
	fill := strings.NewReplacer("$DIR", dir, "$PORT", port)
	files["example.com.zone"] = zoneFile
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(fill.Replace(text)),
			0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i := range args {
		args[i] = fill.Replace(args[i])
	}
	var output strings.Builder
	cmd := exec.Command(path, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
	s := &Server{net.JoinHostPort("127.0.0.1", port), t}
	for end := time.Now().Add(time.Minute); ; {
		r, _, err := (&dns.Client{Net: "tcp"}).Exchange(
			new(dns.Msg).SetQuestion("example.com.", dns.TypeSOA), s.Address)
		if err == nil && r.Authoritative && len(r.Answer) == 1 {
			return s
		}
		select {
		case <-ended:
			t.Fatalf("%s ended:\n%s", program, output.String())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(end) {
			_ = cmd.Process.Kill()
			<-ended
			t.Fatalf("%s did not serve the zone within a minute:\n%s", program, output.String())
		}
	}
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// BIND starts BIND.
func BIND(t testing.TB) *Server {
	t.Helper()
	key := "key %q { algorithm %s; secret %q; };\n"
	return startServer(t, "named", map[string]string{"named.conf": `
options { directory "$DIR"; pid-file "$DIR/pid"; session-keyfile "$DIR/session.key"; listen-on port $PORT { 127.0.0.1; };
	listen-on-v6 { none; }; recursion no; dnssec-validation no; allow-transfer { none; }; check-names primary ignore; };
controls { };
` + fmt.Sprintf(key, "dcvaas", "hmac-sha256", KeySecret) + fmt.Sprintf(key, "long", "hmac-sha512", KeySecret) +
		fmt.Sprintf(key, "narrow", "hmac-sha256", KeySecret) + fmt.Sprintf(key, "reader", "hmac-sha256", KeySecret) + `
zone "example.com" { type primary; file "example.com.zone"; update-policy {
	grant dcvaas zonesub ANY; grant long zonesub ANY; grant narrow name _acme-challenge.mine.example.com CNAME; }; };
`}, "-g", "-c", "$DIR/named.conf")
}

// Knot starts Knot DNS.
func Knot(t testing.TB) *Server {
	t.Helper()
	var keys strings.Builder
	keys.WriteString("key:\n")
	for id, algorithm := range map[string]string{"dcvaas": "hmac-sha256", "long": "hmac-sha512",
		"narrow": "hmac-sha256", "reader": "hmac-sha256"} {
		fmt.Fprintf(&keys, "  - id: %s\n    algorithm: %s\n    secret: %s\n", id, algorithm,
			KeySecret)
	}
	return startServer(t, "knotd", map[string]string{"knot.conf": `
server:
    rundir: $DIR
    listen: 127.0.0.1@$PORT
database:
    storage: $DIR
` + keys.String() + `acl:
  - id: update
    key: [dcvaas, long]
    action: update
  - id: narrow
    key: narrow
    action: update
    update-owner: name
    update-owner-match: equal
    update-owner-name: [_acme-challenge.mine]
    update-type: CNAME
template:
  - id: default
    storage: $DIR
zone:
  - domain: example.com
    file: example.com.zone
    acl: [update, narrow]
`}, "-c", "$DIR/knot.conf")
}
