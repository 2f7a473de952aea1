package dashboard

import (
	"bufio"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
)

// openStream opens the event stream of a domain's page. It returns the status and a channel of the
// lines, which is closed when the stream ends.
func (s *site) openStream(d *controlplane.Domain) (int, <-chan string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.server.URL+"/domains/"+
		d.ID+"/events", nil)
	s.must(err)
	res, err := s.visitor.Do(r)
	s.must(err)
	s.t.Cleanup(func() { _ = res.Body.Close() })
	lines := make(chan string, 10_000)
	go func() {
		defer close(lines)
		for scan := bufio.NewScanner(res.Body); scan.Scan(); {
			lines <- scan.Text()
		}
	}()
	return res.StatusCode, lines
}

// readHeartbeats reads n heartbeats. It reports whether the stream sent them before it ended.
func readHeartbeats(t *testing.T, lines <-chan string, n int) bool {
	t.Helper()
	over := time.After(20 * time.Second)
	for n > 0 {
		select {
		case line, open := <-lines:
			if !open {
				return false
			}
			if strings.HasPrefix(line, ":") {
				n--
			}
		case <-over:
			t.Fatal("no heartbeat and no end of the stream within 20 s")
		}
	}
	return true
}

// The stream ends when the session ends, switches organizations, or loses its membership.
func TestStreamEndsWithSession(t *testing.T) {
	s := newSite(t)
	s.dash.heartbeat = 20 * time.Millisecond
	d, other := s.add(s.org, "example.com"), s.newOrg("Other Ltd")
	for name, end := range map[string]func(b *site, m *controlplane.Member){
		"signed out": func(b *site, _ *controlplane.Member) { b.post("/logout", nil).to("/login") },
		"switched": func(b *site, _ *controlplane.Member) {
			b.post(switchURL(other.ID),
				nil).to("/domains")
		},
		"removed": func(_ *site, m *controlplane.Member) {
			s.must(s.life.RemoveMember(t.Context(), controlplane.System("test"), nil, s.org.ID,
				m.User.ID, false))
		},
	} {
		t.Run(name, func(t *testing.T) {
			account := controlplane.GitHubAccount{ID: 100 + int64(len(name)),
				Login: strings.ReplaceAll(name, " ", "-")}
			m := s.addMember(s.org, account, controlplane.RoleMember)
			b := s.signedInAs(account) // in the only organization
			s.addMember(other, account, controlplane.RoleMember)
			status, lines := b.openStream(d)
			if status != http.StatusOK || !readHeartbeats(t, lines, 2) {
				t.Fatalf("openStream = %d, want 200 and two heartbeats", status)
			}
			end(b, m)
			if readHeartbeats(t, lines, 1_000) {
				t.Error("the stream did not end")
			}
		})
	}
}

func TestStreamLimit(t *testing.T) {
	s := newSignedIn(t, func(c *Config) { c.Streams = edge.NewStreams() })
	d := s.add(s.org, "example.com")
	for i := range s.org.Tier.StreamLimit().Credential {
		if status, _ := s.openStream(d); status != http.StatusOK {
			t.Fatalf("status of stream %d = %d, want 200", i+1, status)
		}
	}
	a := s.get("/domains/"+d.ID+"/events").want(http.StatusTooManyRequests,
		"open event streams and waiting calls")
	if got := a.header.Get("Retry-After"); got != "10" {
		t.Errorf("Retry-After = %q, want 10", got)
	}
	s.get("/domains/"+d.ID).want(http.StatusOK, "example.com")
	if status, _ := s.signedInAs(developer).openStream(d); status != http.StatusOK {
		t.Errorf("status of another session's stream = %d, want 200", status)
	}
}
