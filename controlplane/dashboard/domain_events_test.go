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

// follow opens the stream of a domain's page, and returns its status and a channel of its lines that is closed when
// the stream ends.
func (s *site) follow(d *controlplane.Domain) (int, <-chan string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.server.URL+"/domains/"+d.ID+"/events", nil)
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

// beats reads n heartbeats of a stream, and reports whether they came before it ended.
func beats(t *testing.T, lines <-chan string, n int) bool {
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
			t.Fatal("a stream neither beats nor ends")
		}
	}
	return true
}

// A live page's stream ends with the session, its membership, and its stay in the organization.
func TestEventsEndWithTheSession(t *testing.T) {
	s := newSite(t)
	s.dash.heartbeat = 20 * time.Millisecond
	d, other := s.add(s.org, "example.com"), s.newOrg("Other Ltd")
	for name, end := range map[string]func(b *site, m *controlplane.Member){
		"signed out": func(b *site, _ *controlplane.Member) { b.post("/logout", nil).to("/login") },
		"switched":   func(b *site, _ *controlplane.Member) { b.post(switchURL(other.ID), nil).to("/domains") },
		"removed": func(_ *site, m *controlplane.Member) {
			s.must(s.life.RemoveMember(t.Context(), controlplane.System("test"), nil, s.org.ID, m.User.ID, false))
		},
	} {
		t.Run(name, func(t *testing.T) {
			account := controlplane.GitHubAccount{ID: 100 + int64(len(name)), Login: strings.ReplaceAll(name, " ", "-")}
			m := s.join(s.org, account, controlplane.RoleMember)
			b := s.again(account) // in the one organization that there is
			s.join(other, account, controlplane.RoleMember)
			status, lines := b.follow(d)
			if status != http.StatusOK || !beats(t, lines, 2) {
				t.Fatalf("the stream was answered %d, or ended early", status)
			}
			end(b, m)
			if beats(t, lines, 1_000) {
				t.Error("the stream goes on")
			}
		})
	}
}

func TestTooManyLivePages(t *testing.T) {
	s := newSignedIn(t, func(c *Config) { c.Streams = edge.NewStreams() })
	d := s.add(s.org, "example.com")
	for i := range s.org.Tier.StreamLimit().Credential {
		if status, _ := s.follow(d); status != http.StatusOK {
			t.Fatalf("stream %d was answered %d, want 200", i+1, status)
		}
	}
	a := s.get("/domains/"+d.ID+"/events").want(http.StatusTooManyRequests, "event streams and waiting calls open")
	if got := a.header.Get("Retry-After"); got != "10" {
		t.Errorf("Retry-After is %q, want 10", got)
	}
	s.get("/domains/"+d.ID).want(http.StatusOK, "example.com")
	if status, _ := s.again(developer).follow(d); status != http.StatusOK {
		t.Errorf("a stream of another session was answered %d, want 200", status)
	}
}
