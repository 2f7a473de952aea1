package program

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/dnsprovider/dnsprovidertest"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres/postgrestest"
)

// TestDNSRecords creates the records of domains at real name servers, and removes them with the
// domains. The secret of the key appears in no log, response, row, or command to Redis.
func TestDNSRecords(t *testing.T) {
	t.Parallel()
	logs, commands, responses, rows := &transcript{}, &transcript{}, &transcript{}, &transcript{}
	s := startStack(t, DevConfig{Logs: logs})
	s.monitorRedis(commands)
	call := func(status int, method, path, body string) map[string]any {
		t.Helper()
		r, text := s.call(method, path, body)
		_, _ = io.WriteString(responses, text)
		if r.StatusCode != status {
			t.Fatalf("%s %s = %s: %s, want %d", method, path, r.Status, text, status)
		}
		var v map[string]any
		_ = json.Unmarshal([]byte(text), &v)
		return v
	}
	for host, start := range dnsprovidertest.Servers() {
		server := start(t)
		shop, www := strings.ToLower(host)+".example.com", "www."+strings.ToLower(host)+".example.com"
		waitRecords := func(name string, want int) {
			t.Helper()
			s.eventually(fmt.Sprintf("%s to have %d CNAMEs of %s", host, want, name), func() error {
				got := server.Query("_acme-challenge."+name, dns.TypeCNAME)
				if len(got) != want {
					return fmt.Errorf("it has %q", got)
				}
				return nil
			})
		}
		connection := call(201, "POST", "/api/dns-connections", fmt.Sprintf(`{"type": "rfc2136",
			"name": %q, "credentials": {"server": %q, "key_name": %q, "key_secret": %q,
			"zones": ["example.com"]}}`, host, server.Address, dnsprovidertest.Key,
			dnsprovidertest.KeySecret))["id"].(string)
		call(201, "POST", "/api/domains", fmt.Sprintf(`{"name": %q, "additional_names": [%q]}`, shop,
			www))
		job := call(202, "POST", "/api/domains/"+shop+"/dns/apply",
			fmt.Sprintf(`{"connection_id": %q}`, connection))["id"].(string)
		waitRecords(shop, 1)
		waitRecords(www, 1)
		call(200, "PATCH", "/api/domains/"+shop, `{"additional_names": []}`)
		waitRecords(www, 0)
		waitRecords(shop, 1)
		call(204, "DELETE", "/api/domains/"+shop, "")
		waitRecords(shop, 0)
		for _, path := range []string{"/api/jobs/" + job, "/api/jobs?limit=200",
			"/api/dns-connections/" + connection, "/api/dns-connections",
			"/api/dns-connections/" + connection + "/zones", "/api/audit-logs?limit=200",
			"/api/organization"} {
			call(200, "GET", path, "")
		}
		_, _ = io.WriteString(rows, strings.Join(postgrestest.RowsOf(t, s.Config.Database,
			s.OrgID).Texts(nil), "\n"))
		s.eventually("the deletion of the connection", func() error {
			r, text := s.call("DELETE", "/api/dns-connections/"+connection, "")
			_, _ = io.WriteString(responses, text)
			if r.StatusCode != 204 {
				return fmt.Errorf("%s: %s", r.Status, text)
			}
			return nil
		})
	}
	for _, at := range []struct{ place, text, contains string }{
		{"log", logs.String(), "INFO"},
		{"responses", responses.String(), "dns_apply"},
		{"rows", rows.String(), "delegation.record_created"},
		{"commands to Redis", commands.String(), "asynq"},
	} {
		if !strings.Contains(at.text, at.contains) {
			t.Errorf("the %s of the run do not contain %q: they were not recorded", at.place,
				at.contains)
		}
		if strings.Contains(at.text, dnsprovidertest.KeySecret[:20]) {
			t.Errorf("the %s contain the secret of the key", at.place)
		}
	}
}

// transcript is text that several goroutines append.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (s *transcript) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *transcript) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// monitorRedis writes every command that the stack's Redis gets to out.
func (s *stack) monitorRedis(out io.Writer) {
	s.t.Helper()
	u, err := url.Parse(s.Config.Redis)
	if err != nil {
		s.t.Fatal(err)
	}
	c, err := net.Dial("tcp", u.Host)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	password, _ := u.User.Password()
	if _, err := fmt.Fprintf(c, "AUTH %s\r\nMONITOR\r\n", password); err != nil {
		s.t.Fatal(err)
	}
	answer := make([]byte, len("+OK\r\n+OK\r\n"))
	if _, err := io.ReadFull(c, answer); err != nil || string(answer) != "+OK\r\n+OK\r\n" {
		s.t.Fatalf("MONITOR = %q, %v, want OK", answer, err)
	}
	go func() { _, _ = io.Copy(out, c) }()
}
