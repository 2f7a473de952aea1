package program

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

// TestMassRevocation tests many renewals that a CA suggests before a mass revocation: they run in
// order of urgency, each once, and new domains get their certificates before the renewals are done.
func TestMassRevocation(t *testing.T) {
	t.Parallel()
	const n, workers = 60, 4
	g := &renewalGate{opened: make(chan struct{})}
	s := startStack(t, DevConfig{EmbeddedRedis: true,
		Configure: func(c *Config) { c.Work.Concurrency = workers },
		WrapCA: func(ca string) func(http.Handler) http.Handler {
			if ca == "primary" {
				return g.wrap
			}
			return nil
		}})
	domains := make([]*client.Domain, n)
	for i := range n {
		domains[i] = s.add(fmt.Sprintf("revoked%d.example.com", i))
	}
	for i := range n {
		domains[i] = s.waitActive(domains[i].Id)
	}
	past := time.Now().Add(-24 * time.Hour)
	for i, d := range domains { // the last one added is the most urgent
		s.setRenewalWindow(d, past.Add(-time.Duration(i)*time.Minute-time.Second),
			past.Add(-time.Duration(i)*time.Minute))
	}
	// suggestions are ignored in the first hours
	s.exec(`UPDATE certificates SET not_before = not_before - interval '10 days'`)
	s.exec(`UPDATE domains SET ari_check_at = now()`)
	if got, err := s.App.lifecycle.CheckRenewals(t.Context()); err != nil || got != n {
		t.Fatalf("CheckRenewals() = %d, %v, want %d", got, err, n)
	}
	if got, err := s.App.lifecycle.Sweep(t.Context()); err != nil || got != n {
		t.Fatalf("Sweep() = %d, %v, want %d", got, err, n)
	}

	// The CA blocks all renewals: those that have started hang, and the others wait behind them.
	s.eventually("renewals to reach the CA", func() error {
		if got := len(g.reached()); got == 0 {
			return fmt.Errorf("%d renewals reached the CA", got)
		}
		return nil
	})
	for i := range 5 {
		s.waitActive(s.add(fmt.Sprintf("foreground%d.example.com", i)).Id)
	}
	if got := query[int](s,
		`SELECT count(*) FROM jobs WHERE type = 'renewal' AND status IN ('queued', 'running')`); got < n-1 {
		t.Errorf("pending renewals = %d, want at least %d: the new domains were not served first",
			got, n-1)
	}
	close(g.opened)
	for _, d := range domains {
		s.waitDomain(d.Id,
			"renewed", func(now *client.Domain) bool {
				return toJSON(now.CertificateId) != toJSON(
					d.CertificateId)
			})
	}
	if got := query[int](s, `SELECT count(*) FROM certificates`); got != 2*n+5 {
		t.Errorf("certificates = %d, want %d", got, 2*n+5)
	}
	if got := query[int](s,
		`SELECT count(*) FROM (SELECT domain_id FROM certificates GROUP BY domain_id HAVING count(*) > 2) twice`); got != 0 {
		t.Errorf("domains renewed twice = %d, want 0", got)
	}

	order := g.reached()
	if len(order) != n {
		t.Fatalf("renewals at the CA = %d, want %d", len(order), n)
	}
	// Asynq enqueues some jobs for each worker together. Among those, the order is arbitrary.
	const together = (4 + 1) * workers
	for place, name := range order {
		var i int
		if _, err := fmt.Sscanf(name, "revoked%d.", &i); err != nil {
			t.Fatalf("name at the CA = %q, want revokedN.…: %v", name, err)
		}
		if urgency := n - 1 - i; place-urgency > together || urgency-place > together {
			t.Errorf("%s was renewed at place %d, want about %d", name, place, urgency)
		}
	}
}

// renewalGate is a handler in front of a CA. It blocks every order that names the certificate that
// it replaces, until the gate is opened.
type renewalGate struct {
	opened chan struct{}
	mu     sync.Mutex
	names  []string // names of the certificates, in the order of their orders
}

func (g *renewalGate) reached() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.names)
}

func (g *renewalGate) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/order-plz") {
			next.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if name := replaced(body); name != "" {
			g.mu.Lock()
			if !slices.Contains(g.names, name) { // requests may be retried
				g.names = append(g.names, name)
			}
			g.mu.Unlock()
			select {
			case <-g.opened:
			case <-r.Context().Done():
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// replaced returns the name in a newOrder request that replaces a certificate (RFC 9773 §5). It
// returns an empty string for other requests.
func replaced(jws []byte) string {
	var signed struct {
		Payload string `json:"payload"`
	}
	var order struct {
		Identifiers []struct {
			Value string `json:"value"`
		} `json:"identifiers"`
		Replaces string `json:"replaces"`
	}
	if json.Unmarshal(jws, &signed) != nil {
		return ""
	}
	payload, err := base64.RawURLEncoding.DecodeString(signed.Payload)
	if err != nil || json.Unmarshal(payload, &order) != nil || order.Replaces == "" ||
		len(order.Identifiers) == 0 {
		return ""
	}
	return order.Identifiers[0].Value
}
