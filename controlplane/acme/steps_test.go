package acme_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/acme"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
)

// junk is a response that a CA should not send.
type junk struct {
	name   string
	status int // 0 breaks the connection
	body   string
	header map[string]string
}

// success reports whether the CA has processed the request, although its response is unusable.
func (j junk) success() bool { return j.status/100 == 2 }

func (j junk) send(w http.ResponseWriter, r *http.Request, next http.Handler) {
	nonce := ""
	if j.success() {
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		nonce = rec.Header().Get("Replay-Nonce")
	}
	if j.status == 0 {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/json")
	if nonce != "" {
		w.Header().Set("Replay-Nonce", nonce)
	}
	for key, value := range j.header {
		w.Header().Set(key, value)
	}
	w.WriteHeader(j.status)
	_, _ = io.WriteString(w, j.body)
}

func problemOf(status int, kind string, header map[string]string) junk {
	return junk{name: fmt.Sprintf("%d %s", status, kind), status: status, header: header,
		body: fmt.Sprintf(`{"type":%q,"detail":"no"}`, urn+kind)}
}

var (
	missing = []junk{
		{name: "404", status: 404},
		{name: "410", status: 410},
		problemOf(404, "malformed", nil),
	}
	unreadable = []junk{
		{name: "empty", status: 200},
		{name: "null", status: 200, body: "null"},
		{name: "truncated", status: 200, body: `{"status":"val`},
		{name: "HTML", status: 200, body: "<html>", header: map[string]string{
			"Content-Type": "text/html"}},
		{name: "unknown status", status: 200, body: `{"status":"dreaming"}`},
		{name: "redirect", status: 308, header: map[string]string{"Location": "https://x.test/"}},
	}
	failing = []junk{
		{name: "500", status: 500},
		{name: "503 HTML", status: 503, body: "<html>"},
		problemOf(500, "serverInternal", nil),
		{name: "reset"},
	}
)

// wait is for how long a fault lasts.
type wait struct {
	name   string
	active func(c *virtual) func(n int) bool
}

var (
	once     = wait{"once", func(*virtual) func(int) bool { return func(n int) bool { return n == 1 } }}
	shortly  = wait{"for 2 s", lasting(2 * time.Second)}
	forever  = wait{"forever", func(*virtual) func(int) bool { return func(int) bool { return true } }}
	allWaits = []wait{once, shortly, forever}
)

// lasting returns faults that last for a time from their first request on.
func lasting(d time.Duration) func(c *virtual) func(int) bool {
	return func(c *virtual) func(int) bool {
		var end time.Time
		return func(n int) bool {
			if n == 1 {
				end = c.now().Add(d)
			}
			return c.now().Before(end)
		}
	}
}

// limit is how many requests a run for one name may send.
const limit = 20 + 6

// runOnce runs an order, and checks how many requests that takes.
func (w *world) runOnce(
	t *testing.T, e *acme.Engine, f *faulty, o *controlplane.Order, j *journal,
) (*controlplane.Certificate, error) {
	t.Helper()
	before := f.total()
	cert, err := e.Run(t.Context(), o, j)
	if n := f.total() - before; n > limit {
		t.Errorf("requests of one run = %d, want at most %d", n, limit)
	}
	return cert, err
}

// TestUnusableResponses has a CA send each kind of unusable response, once, for two seconds, and
// forever, at each step of an order after it was placed. A short fault costs no order. An order
// whose CSR may have been sent stays open, and gives its certificate once the CA has recovered.
func TestUnusableResponses(t *testing.T) {
	t.Parallel()
	for _, path := range []string{pathAuthz, pathChallenge, pathFinalize, pathOrder, pathCert} {
		t.Run(strings.Trim(path, "/"), func(t *testing.T) {
			t.Parallel()
			w, f := newFaultyWorld(t, devstack.CAConfig{})
			for i, j := range slices.Concat(missing, unreadable, failing) {
				for k, length := range allWaits {
					name := fmt.Sprintf("r%d-%d.example.com", i, k)
					t.Run(j.name+" "+length.name, func(t *testing.T) {
						w.unusable(t, f, path, name, j, length)
					})
				}
			}
		})
	}
}

func (w *world) unusable(t *testing.T, f *faulty, path, name string, bad junk, length wait) {
	f.reset()
	c := newVirtual()
	e := w.engine(t, c.use)
	if path == pathOrder {
		f.rewrite(pathFinalize, processing(""))
	}
	f.while(path, length.active(c), bad.send)
	o := w.order(t, e, name)
	jr := w.journal(o)
	cert, err := w.runOnce(t, e, f, o, jr)
	processed := bad.success() && (path == pathFinalize || path == pathChallenge)
	if length.name != forever.name || processed {
		if err != nil {
			t.Fatalf("Run = %v after %s, want the certificate", err, c.passed())
		}
		w.verify(t, cert, o)
		if n := f.requests(pathFinalize); n > 3 || path != pathFinalize && n > 1 {
			t.Errorf("finalize requests = %d, want 1, or at most 3 if they fail", n)
		}
	} else {
		w.checkUnusable(t, f, c, path, bad, err)
		f.reset()
		c.advance(time.Minute)
		if got, ok := errors.AsType[*acme.Error](err); ok && !got.Over {
			if cert, err = w.runOnce(t, e, f, o, jr); err != nil {
				t.Fatalf("Run after the CA recovered = %v, want the certificate", err)
			}
			w.verify(t, cert, o)
		}
	}
	if n := w.ca.OrdersFor(name); n != 1 {
		t.Errorf("orders at the CA = %d, want 1", n)
	}
}

// checkUnusable checks the error of a run whose fault lasts forever. A run that has used up its
// requests gives up early: the slower the CA validates, the more of them are polls.
func (w *world) checkUnusable(
	t *testing.T, f *faulty, c *virtual, path string, bad junk, err error,
) {
	t.Helper()
	committed := path == pathFinalize || path == pathOrder || path == pathCert
	is := func(list []junk) bool {
		return slices.ContainsFunc(list, func(j junk) bool { return j.name == bad.name })
	}
	patience := 30 * time.Second
	switch {
	case is(missing) && path == pathFinalize:
		patience = 5 * time.Second
		class, code := acme.Policy, "ca-malformed"
		if bad.body == "" { // no problem document
			class, code = acme.Unreachable, "ca-protocol"
		}
		if e := wantError(t, err, class, code); e.Over {
			t.Error("Over = true, want false")
		}
	case is(missing) && !committed:
		if e := wantError(t, err, acme.OrderGone, "order-expired"); !e.Over {
			t.Error("Over = false, want true")
		}
	case is(failing):
		if e := wantError(t, err, acme.Unreachable, "ca-unreachable"); e.Over {
			t.Error("Over = true, want false")
		}
		if !committed {
			patience = 3 * time.Second
		}
	default:
		code := "ca-protocol"
		if path == pathCert && bad.success() {
			code = "ca-chain"
		}
		if e := wantError(t, err, acme.Unreachable, code); e.Over {
			t.Error("Over = true, want false")
		}
	}
	if path == pathFinalize {
		patience = 5 * time.Second
	}
	if got := c.passed(); got < patience && f.total() < limit || got > time.Minute {
		t.Errorf("the run gave up after %s and %d requests, want %s to 1m", got, f.total(),
			patience)
	}
}

// TestFinalizeStaysReady has a CA that accepts the CSR and shows the order as ready, for two
// seconds and forever.
func TestFinalizeStaysReady(t *testing.T) {
	t.Parallel()
	for _, length := range []wait{shortly, forever} {
		t.Run(length.name, func(t *testing.T) {
			t.Parallel()
			w, f := newFaultyWorld(t, devstack.CAConfig{})
			c := newVirtual()
			e := w.engine(t, c.use)
			active := length.active(c)
			ready := func(n int, order map[string]any, _ http.Header) {
				if order["finalize"] != nil && active(n) {
					order["status"] = "ready"
					delete(order, "certificate")
				}
			}
			f.rewrite(pathFinalize, ready)
			f.rewrite(pathOrder, ready)
			o := w.order(t, e, "ready.example.com")
			j := w.journal(o)
			cert, err := w.runOnce(t, e, f, o, j)
			if n := f.requests(pathFinalize); n > 3 {
				t.Errorf("finalize requests = %d, want at most 3", n)
			}
			if length.name == forever.name {
				if e := wantError(t, err, acme.Slow, "ca-slow"); e.Over {
					t.Error("Over = true, want false")
				}
				f.reset()
				c.advance(time.Minute)
				cert, err = w.runOnce(t, e, f, o, j)
			}
			if err != nil {
				t.Fatal(err)
			}
			w.verify(t, cert, o)
			if n := w.ca.Orders(); n != 1 {
				t.Errorf("orders at the CA = %d, want 1", n)
			}
		})
	}
}

// TestCutAfterFinalize loses the response to the CSR, and the CA is down for some seconds after.
// The certificate is found by reading the order, and the CSR is sent once.
func TestCutAfterFinalize(t *testing.T) {
	t.Parallel()
	w, f := newFaultyWorld(t, devstack.CAConfig{})
	c := newVirtual()
	e := w.engine(t, c.use)
	f.cut(pathFinalize, 1, true)
	f.while(pathOrder, lasting(3*time.Second)(c), failing[1].send)
	o := w.order(t, e, "lost.example.com")
	cert, err := w.runOnce(t, e, f, o, w.journal(o))
	if err != nil {
		t.Fatal(err)
	}
	w.verify(t, cert, o)
	if n, orders := f.requests(pathFinalize), w.ca.Orders(); n != 1 || orders != 1 {
		t.Errorf("finalize requests = %d, orders = %d; want 1 each", n, orders)
	}
}

// TestRateLimitedAfterFinalize has a CA that limits reads of a finalized order for a day. The order
// stays open.
func TestRateLimitedAfterFinalize(t *testing.T) {
	t.Parallel()
	for _, path := range []string{pathOrder, pathCert, pathFinalize} {
		t.Run(strings.Trim(path, "/"), func(t *testing.T) {
			t.Parallel()
			w, f := newFaultyWorld(t, devstack.CAConfig{})
			e := w.engine(t, newVirtual().use)
			if path == pathOrder {
				f.rewrite(pathFinalize, processing(""))
			}
			f.while(path, forever.active(nil),
				problemOf(429, "rateLimited", map[string]string{"Retry-After": "86400"}).send)
			o := w.order(t, e, "limited.example.com")
			_, err := w.runOnce(t, e, f, o, w.journal(o))
			if e := wantError(t, err, acme.RateLimited, "ca-rate-limited"); e.Over ||
				e.RetryAfter != 24*time.Hour {
				t.Errorf("Over = %v, RetryAfter = %s; want false, 24h", e.Over, e.RetryAfter)
			}
		})
	}
}

// TestChallengeStates has a CA show states of an authorization and its challenge that differ from
// what is expected.
func TestChallengeStates(t *testing.T) {
	t.Parallel()
	set := func(n int, authz map[string]any, status, challenge string, failed bool) {
		authz["status"] = status
		for _, c := range authz["challenges"].([]any) {
			c := c.(map[string]any)
			if c["type"] != "dns-01" {
				continue
			}
			c["status"] = challenge
			delete(c, "error")
			if failed {
				c["error"] = map[string]any{"type": urn + "dns", "detail": "SERVFAIL for TXT",
					"status": 400}
			}
		}
	}
	for name, tt := range map[string]struct {
		rewrite func(n int, authz map[string]any)
		class   acme.Class // "" for a certificate
		code    string
		over    bool
	}{
		"failed challenge of a pending authorization": {func(n int, authz map[string]any) {
			if n > 1 {
				set(n, authz, "pending", "invalid", true)
			}
		}, acme.FailedDNS, "ca-dns", true},
		"failed challenge before it is accepted": {func(n int, authz map[string]any) {
			set(n, authz, "pending", "invalid", true)
		}, acme.FailedDNS, "ca-dns", true},
		"failed challenge shown once": {func(n int, authz map[string]any) {
			if n == 2 {
				set(n, authz, "pending", "invalid", true)
			}
		}, "", "", false},
		"challenge with an error that the CA retries": {func(n int, authz map[string]any) {
			if n == 2 || n == 3 {
				set(n, authz, "pending", "processing", true)
			}
		}, "", "", false},
		"challenge of an unknown status": {func(n int, authz map[string]any) {
			if n == 2 {
				set(n, authz, "pending", "dreaming", false)
			}
		}, "", "", false},
		"expired once":     {status("expired", 2, 2), "", "", false},
		"deactivated once": {status("deactivated", 2, 2), "", "", false},
		"revoked at first": {status("revoked", 1, 1), "", "", false},
		"expired":          {status("expired", 2, 1000), acme.OrderGone, "order-expired", true},
		"deactivated":      {status("deactivated", 1, 1000), acme.OrderGone, "order-expired", true},
		"revoked":          {status("revoked", 2, 1000), acme.OrderGone, "order-expired", true},
		"invalid":          {status("invalid", 2, 1000), acme.OrderGone, "order-expired", true},
		"pending forever":  {status("pending", 2, 1000), acme.Slow, "ca-slow", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, f := newFaultyWorld(t, devstack.CAConfig{})
			e := w.engine(t, newVirtual().use)
			f.rewrite(pathAuthz, func(n int, authz map[string]any, _ http.Header) {
				tt.rewrite(n, authz)
			})
			o := w.order(t, e, "states.example.com")
			cert, err := w.runOnce(t, e, f, o, w.journal(o))
			if n := w.ca.Orders(); n != 1 {
				t.Errorf("orders at the CA = %d, want 1", n)
			}
			if tt.class == "" {
				if err != nil {
					t.Fatal(err)
				}
				w.verify(t, cert, o)
				return
			}
			if e := wantError(t, err, tt.class, tt.code); e.Over != tt.over ||
				tt.code == "ca-dns" && !strings.Contains(e.Message, "SERVFAIL for TXT") {
				t.Errorf("Over = %v, Message = %q; want %v and the challenge's error", e.Over,
					e.Message, tt.over)
			}
		})
	}
}

// status returns a change of an authorization's status in the given responses.
func status(status string, from, to int) func(int, map[string]any) {
	return func(n int, authz map[string]any) {
		if n >= from && n <= to {
			authz["status"] = status
		}
	}
}

// TestLongValidation has a CA that validates for over an hour. Each run publishes the challenge
// again, so that it does not expire, and polls within a minute.
func TestLongValidation(t *testing.T) {
	t.Parallel()
	w, f := newFaultyWorld(t, devstack.CAConfig{})
	c := newVirtual()
	e := w.engine(t, c.use)
	f.rewrite(pathAuthz, func(n int, authz map[string]any, _ http.Header) {
		if n > 1 && c.passed() < 65*time.Minute {
			authz["status"] = "pending"
			for _, c := range authz["challenges"].([]any) {
				c.(map[string]any)["status"] = "processing"
			}
		}
	})
	f.rewrite(pathOrder, func(_ int, order map[string]any, _ http.Header) {
		if c.passed() < 65*time.Minute {
			order["status"] = "pending"
		}
	})
	o := w.order(t, e, "long.example.com")
	j := w.journal(o)
	for runs := 1; ; runs++ {
		cert, err := w.runOnce(t, e, f, o, j)
		if err == nil {
			w.verify(t, cert, o)
			if j.pubs < runs-1 { // the last run may find the order ready
				t.Errorf("the challenge was published %d times in %d runs", j.pubs, runs)
			}
			break
		}
		e := wantError(t, err, acme.Slow, "ca-slow")
		if e.RetryAfter > time.Minute || runs > 200 {
			t.Fatalf("RetryAfter = %s after %d runs, want at most 1m", e.RetryAfter, runs)
		}
		c.advance(e.RetryAfter)
	}
	if n, orders := f.requests(pathChallenge), w.ca.Orders(); n != 1 || orders != 1 {
		t.Errorf("challenge requests = %d, orders = %d; want 1 each", n, orders)
	}
}

// TestAcceptedTwice has the response to the accepted challenge lost, while the CA validates. The
// CA rejects the second request, and shows the challenge as pending for a while.
func TestAcceptedTwice(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"conflict", "malformed", "somethingNew"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w, f := newFaultyWorld(t, devstack.CAConfig{})
			c := newVirtual()
			e := w.engine(t, c.use)
			status := 409
			if kind == "malformed" {
				status = 400
			}
			second := problemOf(status, kind, nil)
			f.on(pathChallenge, func(n int, rw http.ResponseWriter, r *http.Request,
				next http.Handler) {
				if n == 1 {
					next.ServeHTTP(httptest.NewRecorder(), r)
					panic(http.ErrAbortHandler)
				}
				second.send(rw, r, next)
			})
			shown := lasting(900 * time.Millisecond)(c)
			f.rewrite(pathAuthz, func(n int, authz map[string]any, _ http.Header) {
				if shown(n) {
					authz["status"] = "pending"
					for _, c := range authz["challenges"].([]any) {
						c.(map[string]any)["status"] = "pending"
					}
				}
			})
			o := w.order(t, e, "twice.example.com")
			cert, err := w.runOnce(t, e, f, o, w.journal(o))
			if err != nil {
				t.Fatal(err)
			}
			w.verify(t, cert, o)
		})
	}
}
