package program

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// newOrder is a newOrder request as the CA received it.
type newOrder struct {
	account  string // the URL that signed it
	name     string
	replaces bool
}

// ledger is a CA's front that counts the orders of each account, and rejects those over its limit.
type ledger struct {
	mu      sync.Mutex
	limit   int
	closed  string // URL of an account that the CA rejects
	orders  []newOrder
	refused []string // problem documents that concern the account
}

func (l *ledger) set(change func(*ledger)) { l.mu.Lock(); defer l.mu.Unlock(); change(l) }

func (l *ledger) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/order-plz" {
			next.ServeHTTP(w, r)
			return
		}
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		o := readNewOrder(body)
		l.mu.Lock()
		defer l.mu.Unlock()
		count := 0
		for _, other := range l.orders {
			if other.account == o.account {
				count++
			}
		}
		rec := httptest.NewRecorder()
		switch {
		case o.account == l.closed:
			reject(always, http.StatusForbidden, problemOf("userActionRequired", "New terms."))(1, rec, r, next)
		case count >= l.limit:
			reject(always, http.StatusTooManyRequests, problemOf("rateLimited", "too many new orders recently"))(1, rec, r, next)
		default:
			next.ServeHTTP(rec, r)
		}
		if rec.Code == http.StatusCreated {
			l.orders = append(l.orders, o)
		} else if text := rec.Body.String(); strings.Contains(text, "rateLimited") ||
			strings.Contains(text, "unauthorized") {
			l.refused = append(l.refused, text)
		}
		maps.Copy(w.Header(), rec.Header())
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
	})
}

func readNewOrder(body []byte) newOrder {
	var jws, head, order struct {
		Protected, Payload, Kid, Replaces string
		Identifiers                       []struct{ Value string }
	}
	_ = json.Unmarshal(body, &jws)
	for part, into := range map[string]any{jws.Protected: &head, jws.Payload: &order} {
		text, _ := base64.RawURLEncoding.DecodeString(part)
		_ = json.Unmarshal(text, into)
	}
	if len(order.Identifiers) == 0 {
		return newOrder{}
	}
	return newOrder{head.Kid, order.Identifiers[0].Value, order.Replaces != ""}
}

// placed returns how many orders with the filter each account has placed.
func (l *ledger) placed(filter func(newOrder) bool) map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	count := map[string]int{}
	for _, o := range l.orders {
		if filter(o) {
			count[o.account]++
		}
	}
	return count
}

func of(name string) func(newOrder) bool {
	return func(o newOrder) bool { return o.name == name }
}

// wantNothingRefused checks that the CA rejected no order because of its account: not over a limit,
// and not because another account ordered the certificate that it replaces.
func (l *ledger) wantNothingRefused(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.refused) > 0 {
		t.Errorf("orders that the CA rejected = %q, want none", l.refused)
	}
}

// useAccounts configures accounts at the primary CA, each with 20 orders an hour. An organization
// alone can use 8 of them at once.
func useAccounts(c *Config, accounts ...accountConfig) {
	var cas []caConfig
	if err := json.Unmarshal([]byte(c.ACME.CAs), &cas); err != nil {
		panic(err)
	}
	cas[0].Limits, cas[0].Accounts = &caLimits{NewOrders: "20/1h"}, accounts
	text, _ := json.Marshal(cas)
	c.ACME.CAs = string(text)
}

// kid returns the URL of an account at the primary CA.
func (s *stack) kid(account string) string {
	s.t.Helper()
	return query[string](s, `SELECT url FROM acme_accounts WHERE directory_url = $1`,
		controlplane.AccountURL(s.Primary.DirectoryURL(), account))
}

// renewed waits until the domain has another certificate.
func (s *stack) renewed(d *client.Domain) {
	s.t.Helper()
	s.waitDomain(d.Id, "renewed", func(now *client.Domain) bool {
		return toJSON(now.CertificateId) != toJSON(d.CertificateId)
	})
}

// TestAccountsShareOrders tests two accounts at one CA with small limits, and two workers: orders
// spread, renewals stay with their account, and the CA rejects none of them. An account that is on
// hold or that the CA rejects leaves its orders to the other one.
func TestAccountsShareOrders(t *testing.T) {
	t.Parallel()
	l := &ledger{limit: 8}
	s := startStack(t, DevConfig{EmbeddedRedis: true, WrapCA: frontOfPrimary(l.wrap),
		Configure: func(c *Config) {
			useAccounts(c, accountConfig{Name: "default"}, accountConfig{Name: "b"})
		}})
	s.startWorker()
	const n = 12
	domains := make([]*client.Domain, n)
	for i := range n {
		domains[i] = s.add(fmt.Sprintf("shared%d.example.com", i))
	}
	for i := range n {
		domains[i] = s.waitActive(domains[i].Id)
	}
	first, second := s.kid("default"), s.kid("b")
	count := l.placed(func(newOrder) bool { return true })
	if count[first] < n-8 || count[second] < n-8 || count[first]+count[second] != n {
		t.Errorf("orders = %v, want %d spread over %s and %s", count, n, first, second)
	}
	l.wantNothingRefused(t)

	l.set(func(l *ledger) { l.limit = 20 })
	s.exec(`UPDATE domains SET renew_at = now() - interval '1 minute'`)
	if _, err := s.App.lifecycle.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, d := range domains {
		s.renewed(d)
		if by := l.placed(of(d.Name)); len(by) != 1 {
			t.Errorf("accounts that ordered %s = %v, want one", d.Name, by)
		}
	}
	if by := l.placed(func(o newOrder) bool { return o.replaces }); by[first]+by[second] < n-1 {
		t.Errorf("orders with replaces = %v, want %d", by, n) // Pebble does not know some serials
	}
	if moved := query[int](s, `SELECT count(*) FROM certificates a JOIN certificates b ON a.replaced_by = b.id
		WHERE a.account <> b.account`); moved != 0 {
		t.Errorf("renewals by another account = %d, want 0", moved)
	}
	l.wantNothingRefused(t)

	s.waitMetric(`dcvaas_ca_account_usable{account="b",ca="primary"} 1`)
	if all := string(s.get(s.Env()["DCVAAS_OPS_URL"]+"/metrics", nil)); !strings.Contains(all,
		`dcvaas_ca_account_orders_left{account="b",ca="primary"} `) {
		t.Error("the metrics do not have the orders that the account b has left")
	}
	s.adminOutput(true, "ca", "hold", "primary/b")
	s.adminOutput(false, "ca", "hold", "primary/c")
	key := func(account string) []byte {
		return query[[]byte](s, `SELECT sealed_key FROM acme_accounts WHERE directory_url = $1`,
			controlplane.AccountURL(s.Primary.DirectoryURL(), account))
	}
	keys := [][]byte{key("default"), key("b")}
	s.adminOutput(false, "roll-account-key", "--ca", "primary")
	s.adminOutput(true, "roll-account-key", "--ca", "primary/b")
	if !bytes.Equal(key("default"), keys[0]) || bytes.Equal(key("b"), keys[1]) {
		t.Error("roll-account-key did not change exactly the key of the account b")
	}
	list := oneLine(s.adminOutput(true, "ca", "list"))
	for _, want := range []string{"primary/default allowed closed usable 0",
		"primary/b on hold until released", "backup allowed closed usable 0"} {
		if !strings.Contains(list, want) {
			t.Errorf("admin ca list = %s, want %q in it", list, want)
		}
	}
	s.exec(`UPDATE domains SET renew_at = now() - interval '1 minute' WHERE id = $1`,
		s.ofAccount("b"))
	moved, err := s.api.Domain(t.Context(), s.ofAccount("b"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.App.lifecycle.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.renewed(moved)
	if by := l.placed(of(moved.Name)); by[first] != 1 {
		t.Errorf("orders of %s = %v, want one of the other account during the hold", moved.Name, by)
	}
	s.adminOutput(true, "ca", "release", "primary/b")

	// No renewal is due, so that a rejected order is new: it goes to the other account at once.
	s.exec(`UPDATE domains SET renew_at = now() + interval '10 days'`)
	if err := s.Redis.Flush(t.Context()); err != nil { // the orders left are those of the start
		t.Fatal(err)
	}
	l.set(func(l *ledger) { l.closed, l.limit = second, 100 })
	for i := range 4 {
		s.waitActive(s.add(fmt.Sprintf("rejected%d.example.com", i)).Id)
	}
	if n := s.Backup.Orders(); n != 0 {
		t.Errorf("orders at the backup CA = %d, want 0", n)
	}
	s.waitMetric(`dcvaas_ca_account_usable{account="b",ca="primary"} 0`)
	s.waitMetric(`dcvaas_ca_account_usable{account="default",ca="primary"} 1`)
	if list := oneLine(s.adminOutput(true, "ca", "list")); !strings.Contains(list,
		"primary/b allowed closed unusable since 20") {
		t.Errorf("admin ca list = %s, want the unusable account", list)
	}
	l.wantNothingRefused(t)
}

// ofAccount returns a domain whose certificate an account at the primary CA has ordered.
func (s *stack) ofAccount(account string) string {
	s.t.Helper()
	return query[string](s, `SELECT d.id FROM domains d JOIN certificates c ON c.id = d.certificate_id
		WHERE c.ca = 'primary' AND c.account = $1 ORDER BY d.id LIMIT 1`, account)
}

// TestKilledWorkerKeepsTheAccount tests an installation that gets a second account: its domains
// stay with the first, and new orders use the second, too. A worker that is killed after the choice
// leaves its order to that account, although the account is on hold by then.
func TestKilledWorkerKeepsTheAccount(t *testing.T) {
	t.Parallel()
	l := &ledger{limit: 20}
	var armed atomic.Bool
	g := newGate(false, func(r *http.Request) bool {
		return armed.Load() && r.URL.Path == "/order-plz"
	})
	front := func(next http.Handler) http.Handler { return g.wrap(l.wrap(next)) }
	s := startStack(t, DevConfig{EmbeddedRedis: true, NoWork: true, WrapCA: frontOfPrimary(front)})
	single := s.startWorker()
	old := s.waitActive(s.add("old.example.com").Id)
	single.kill()
	first := s.kid("default")

	useAccounts(&s.Config, accountConfig{Name: "default"},
		accountConfig{Name: "b", NewOrders: "40/1h"})
	armed.Store(true)
	worker := s.startWorker()
	d := s.add("killed.example.com")
	<-g.reached
	if got := query[string](s, `SELECT account FROM acme_orders WHERE domain_id = $1`,
		d.Id); got != "b" {
		t.Errorf("account of the order = %q, want b, which has the most left", got)
	}
	worker.kill()
	s.adminOutput(true, "ca", "hold", "primary/b")
	s.startWorker()
	s.startWorker()
	s.waitActive(d.Id)
	second := s.kid("b")
	if by := l.placed(of(d.Name)); by[second] == 0 || len(by) != 1 {
		t.Errorf("accounts that ordered %s = %v, want only %s", d.Name, by, second)
	}
	if got := s.ofAccount("b"); got != d.Id {
		t.Errorf("domain of the account b = %s, want %s", got, d.Id)
	}

	s.exec(`UPDATE domains SET renew_at = now() - interval '1 minute' WHERE id = $1`, old.Id)
	s.renewed(old)
	if by := l.placed(of(old.Name)); by[first] != 2 || len(by) != 1 {
		t.Errorf("accounts that ordered %s = %v, want two orders of %s", old.Name, by, first)
	}
	l.wantNothingRefused(t)
}
