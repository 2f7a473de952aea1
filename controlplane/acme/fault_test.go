package acme_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/acme"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
)

const urn = "urn:ietf:params:acme:error:"

// TestCutConnections breaks the connection once or twice in each request of an order, before the CA
// processes it and after. The same run still returns the certificate.
func TestCutConnections(t *testing.T) {
	t.Parallel()
	for _, path := range allPaths {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/after=%v", strings.Trim(path, "/"), after), func(t *testing.T) {
				t.Parallel()
				w, f := newFaultyWorld(t, devstack.CAConfig{})
				f.cut(path, 1, after)
				w.issue(t, w.engine(t, nil), "cut.example.com", "*.cut.example.com")
				want := 1
				if path == pathNewOrder && after {
					want = 2
				}
				if n := w.ca.Orders(); n != want {
					t.Errorf("CA.Orders() = %d, want %d", n, want)
				}
				if acct := w.accounts.only(t); acct.URL == "" {
					t.Error("the account is not registered")
				}
			})
		}
	}
}

func TestNewOrderIsNotRepeatedForEver(t *testing.T) {
	t.Parallel()
	w, f := newFaultyWorld(t, devstack.CAConfig{})
	f.cut(pathNewOrder, 1000, true)
	e := w.engine(t, nil)
	o := w.order(t, e, "again.example.com")
	_, err := e.Run(t.Context(), o, w.journal(o))
	if e := wantError(t, err, acme.Unreachable, "ca-unreachable"); e.Over {
		t.Error("Over = true, want false")
	}
	if n := w.ca.Orders(); n != 2 {
		t.Errorf("orders of one run = %d, want 2", n)
	}
}

func TestCADown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, devstack.CAConfig{})
	warm, cold := w.engine(t, nil), w.engine(t, nil)
	w.issue(t, warm, "up.example.com")
	for name, down := range map[string]func(){
		"reset":   func() { w.ca.SetDown(true) },
		"refused": func() { _ = w.ca.Stop(context.Background()) },
	} {
		down()
		for _, e := range []*acme.Engine{warm, cold} {
			o := w.order(t, e, "down.example.com")
			_, err := e.Run(t.Context(), o, w.journal(o))
			if e := wantError(t, err, acme.Unreachable, "ca-unreachable"); e.Over ||
				e.CA != "pebble" {
				t.Errorf("%s: Over = %v, CA = %q; want false, pebble", name, e.Over, e.CA)
			}
		}
		w.ca.SetDown(false)
	}
}

// TestCADownInTheMiddle takes the CA down during the run. The same order resumes when the CA is
// back.
func TestCADownInTheMiddle(t *testing.T) {
	t.Parallel()
	w := newWorld(t, devstack.CAConfig{})
	e := w.engine(t, newVirtual().use)
	for i, step := range intents {
		o := w.order(t, e, fmt.Sprintf("mid%d.example.com", i))
		j := w.journal(o)
		_, err := e.Run(t.Context(), o, downAfter{j, w.ca, step})
		if e := wantError(t, err, acme.Unreachable, "ca-unreachable"); e.Over {
			t.Errorf("%s: Over = true, want false", step)
		}
		w.ca.SetDown(false)
		before := w.ca.Orders()
		cert, err := e.Run(t.Context(), o, j)
		if err != nil {
			t.Fatalf("resume after step %s: %v", step, err)
		}
		w.verify(t, cert, o)
		if w.ca.Orders() != before {
			t.Errorf("%s: the resumed run placed a second order", step)
		}
	}
}

// downAfter takes the CA down after a step is saved.
type downAfter struct {
	*journal
	ca   *devstack.CA
	step controlplane.OrderStep
}

func (d downAfter) Save(ctx context.Context, o *controlplane.Order) error {
	err := d.journal.Save(ctx, o)
	if o.Step == d.step {
		d.ca.SetDown(true)
	}
	return err
}

func (d downAfter) Publish(ctx context.Context, o *controlplane.Order) error {
	err := d.journal.Publish(ctx, o)
	if o.Step == d.step {
		d.ca.SetDown(true)
	}
	return err
}

func TestProblems(t *testing.T) {
	t.Parallel()
	sub := func(kinds ...string) string {
		var subs []string
		for _, kind := range kinds {
			subs = append(subs,
				fmt.Sprintf(
					`{"type":"%s%s","detail":"sub %s","identifier":{"type":"dns","value":"x.example.com"}}`, urn, kind, kind))
		}
		return `,"subproblems":[` + strings.Join(subs, ",") + "]"
	}
	tests := []struct {
		kind   string
		status int
		more   string
		class  acme.Class
		code   string
		over   bool
	}{
		{"caa", 403, "", acme.CAAForbids, "ca-caa", true},
		{"compound", 403, sub("dns", "caa"), acme.CAAForbids, "ca-caa", true},
		{"rejectedIdentifier", 400, sub("caa"), acme.CAAForbids, "ca-caa", true},
		{"compound", 400, sub("rejectedIdentifier", "dns"), acme.Policy,
			"ca-rejected-identifier", true},
		{"rejectedIdentifier", 400, "", acme.Policy, "ca-rejected-identifier", true},
		{"unsupportedIdentifier", 400, "", acme.Policy, "ca-rejected-identifier", true},
		{"badCSR", 400, "", acme.BadRequest, "ca-bad-csr", true},
		{"badPublicKey", 400, "", acme.BadAccount, "ca-account", true},
		{"dns", 400, "", acme.FailedDNS, "ca-dns-lookup", true},
		{"connection", 400, "", acme.Policy, "ca-malformed", true},
		{"unauthorized", 403, "", acme.BadAccount, "ca-account", true},
		{"incorrectResponse", 403, "", acme.Policy, "ca-malformed", true},
		{"malformed", 400, "", acme.Policy, "ca-malformed", true},
		{"userActionRequired", 403, `,"instance":"https://ca.test/terms"`, acme.BadAccount,
			"ca-account", true},
		{"invalidProfile", 400, "", acme.Policy, "ca-profile", true},
		{"somethingNew", 400, "", acme.Policy, "ca-malformed", true},
		{"somethingNew", 500, "", acme.Unreachable, "ca-unreachable", false},
		{"serverInternal", 500, "", acme.Unreachable, "ca-unreachable", false},
		{"rateLimited", 429, "", acme.RateLimited, "ca-rate-limited", false},
		{"rateLimited", 503, "", acme.RateLimited, "ca-rate-limited", false},
		{"rateLimited", 429, sub("caa"), acme.RateLimited, "ca-rate-limited", false},
		{"accountDoesNotExist", 400, "", acme.BadAccount, "ca-account", true},
	}
	w, f := newFaultyWorld(t, devstack.CAConfig{})
	e := w.engine(t, nil)
	for _, tt := range tests {
		document := fmt.Sprintf(
			`{"type":%q,"detail":"the CA's words","status":%d,"x-unknown":[1, 2]%s}`, urn+tt.kind,
			tt.status, tt.more)
		f.answer(pathNewOrder, 0, tt.status, nil, document)
		o := w.order(t, e, "problem.example.com")
		_, err := e.Run(t.Context(), o, w.journal(o))
		got := wantError(t, err, tt.class, tt.code)
		if got.Over != tt.over || got.Status != tt.status || string(got.Problem) != document {
			t.Errorf("%s: Over = %v, Status = %d, Problem = %s; want the status and the unchanged problem", tt.kind, got.Over, got.Status, got.Problem)
		}
		if tt.more == "" && !strings.Contains(got.Message, "the CA's words") {
			t.Errorf("%s: Message = %q, want the CA's detail in it", tt.kind, got.Message)
		}
		if tt.kind == "userActionRequired" && !strings.Contains(got.Fix, "https://ca.test/terms") {
			t.Errorf("Fix = %q, want the instance URL in it", got.Fix)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Now().Truncate(time.Second)
	limited := fmt.Sprintf(`{"type":"%srateLimited","detail":"too many certificates"}`, urn)
	page := "<html><body>Service unavailable</body></html>"
	html := "text/html"
	tests := []struct {
		name         string
		status       int
		after, body  string
		contentType  string
		class        acme.Class
		code         string
		wait         time.Duration
		mostRequests int
	}{
		{"429, seconds", 429, "3600", limited, "", acme.RateLimited, "ca-rate-limited", time.Hour,
			1},
		{"429, date", 429, now.Add(2 * time.Hour).UTC().Format(http.TimeFormat), limited,
			"", acme.RateLimited, "ca-rate-limited", 2 * time.Hour, 1},
		{"429, date in the past", 429, now.Add(-time.Hour).UTC().Format(http.TimeFormat), limited,
			"", acme.RateLimited, "ca-rate-limited", 0, 1},
		{"429, malformed", 429, "soon", limited, "", acme.RateLimited, "ca-rate-limited", 0, 1},
		{"429, negative", 429, "-5", limited, "", acme.RateLimited, "ca-rate-limited", 0, 1},
		{"429, overflow", 429, "9223372036854775807", limited, "", acme.RateLimited,
			"ca-rate-limited", 30 * 24 * time.Hour, 1},
		{"429, HTML", 429, "600", page, html, acme.RateLimited, "ca-rate-limited", 10 * time.Minute,
			1},
		{"503, rateLimited", 503, "120", limited, "", acme.RateLimited,
			"ca-rate-limited", 2 * time.Minute, 1},
		{"503, HTML", 503, "120", page, html, acme.Unreachable, "ca-unreachable", 2 * time.Minute,
			1},
		{"503, HTML, no Retry-After", 503, "", page, html, acme.Unreachable, "ca-unreachable", 0,
			4},
		{"502, HTML", 502, "", page, html, acme.Unreachable, "ca-unreachable", 0, 4},
		{"403 of a firewall", 403, "", page, html, acme.Unreachable, "ca-unreachable", 0, 1},
		{"503, overflow", 503, "99999999999999999999", page, html, acme.Unreachable,
			"ca-unreachable", 30 * 24 * time.Hour, 1},
		{"503, negative", 503, "-1", page, html, acme.Unreachable, "ca-unreachable", 0, 4},
		{"200, HTML", 200, "", page, html, acme.Unreachable, "ca-protocol", 0, 1},
		{"200, null", 200, "", "null", "", acme.Unreachable, "ca-protocol", 0, 1},
		{"204, nothing", 204, "", "", "", acme.Unreachable, "ca-protocol", 0, 1},
		{"redirect", 301, "", "", html, acme.Unreachable, "ca-protocol", 0, 1},
		{"redirect of POST", 307, "", "", html, acme.Unreachable, "ca-protocol", 0, 1},
		{"permanent redirect", 308, "", "", html, acme.Unreachable, "ca-protocol", 0, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w, f := newFaultyWorld(t, devstack.CAConfig{})
			e := w.engine(t, func(cfg *acme.Config) { cfg.Now = func() time.Time { return now } })
			header := map[string]string{}
			if tt.status/100 == 3 {
				header["Location"] = w.ca.DirectoryURL()
			}
			if tt.after != "" {
				header["Retry-After"] = tt.after
			}
			if tt.contentType != "" {
				header["Content-Type"] = tt.contentType
			}
			f.answer(pathNewOrder, 0, tt.status, header, tt.body)
			o := w.order(t, e, "wait.example.com")
			_, err := e.Run(t.Context(), o, w.journal(o))
			got := wantError(t, err, tt.class, tt.code)
			if got.RetryAfter != tt.wait || got.Over {
				t.Errorf("RetryAfter = %s, Over = %v; want %s, false", got.RetryAfter, got.Over,
					tt.wait)
			}
			if (tt.wait > 0) != got.RetryAt.Equal(now.Add(tt.wait)) && tt.wait > 0 ||
				tt.wait == 0 && !got.RetryAt.IsZero() {
				t.Errorf("RetryAt = %s, want now plus RetryAfter", got.RetryAt)
			}
			if n := f.requests(pathNewOrder); n > tt.mostRequests {
				t.Errorf("requests = %d, want at most %d", n, tt.mostRequests)
			}
		})
	}
}

// TestShortRetryAfter waits for a short Retry-After in the same run.
func TestShortRetryAfter(t *testing.T) {
	t.Parallel()
	for _, path := range []string{pathNewOrder, pathAuthz, pathFinalize, pathCert} {
		t.Run(strings.Trim(path, "/"), func(t *testing.T) {
			t.Parallel()
			w, f := newFaultyWorld(t, devstack.CAConfig{})
			f.answer(path, 1, 503, map[string]string{"Retry-After": "1"},
				fmt.Sprintf(`{"type":"%srateLimited","detail":"busy"}`, urn))
			start := time.Now()
			w.issue(t, w.engine(t, nil), "busy.example.com")
			if took := time.Since(start); took < time.Second {
				t.Errorf("the request was repeated after %s, want at least Retry-After", took)
			}
			if n := w.ca.Orders(); n != 1 {
				t.Errorf("CA.Orders() = %d, want 1", n)
			}
		})
	}
}

// TestPollingKeepsToRetryAfter has the CA request one second between polls.
func TestPollingKeepsToRetryAfter(t *testing.T) {
	t.Parallel()
	w, f := newFaultyWorld(t, devstack.CAConfig{})
	f.rewrite(pathFinalize, processing(""))
	f.rewrite(pathOrder, func(n int, order map[string]any, header http.Header) {
		if n == 1 {
			processing("1")(n, order, header)
		}
	})
	start := time.Now()
	w.issue(t, w.engine(t, nil), "patient.example.com")
	if took, n := time.Since(start), f.requests(pathOrder); took < time.Second || n != 2 {
		t.Errorf("%d polls in %s, want 2 in more than a second", n, took)
	}
}

// processing sets the order's status to processing.
func processing(retryAfter string) func(int, map[string]any, http.Header) {
	return func(_ int, order map[string]any, header http.Header) {
		order["status"] = "processing"
		delete(order, "certificate")
		if retryAfter != "" {
			header.Set("Retry-After", retryAfter)
		}
	}
}

func TestStuckInProcessing(t *testing.T) {
	t.Parallel()
	w, f := newFaultyWorld(t, devstack.CAConfig{})
	c := newVirtual()
	e := w.engine(t, c.use)
	o := w.order(t, e, "stuck.example.com")
	j := w.journal(o)
	f.rewrite(pathFinalize, processing(""))
	f.rewrite(pathOrder, processing(""))
	_, err := e.Run(t.Context(), o, j)
	if e := wantError(t, err, acme.Slow, "ca-slow"); e.Over || e.RetryAfter < time.Second ||
		e.RetryAfter > 10*time.Second || !e.RetryAt.Equal(c.now().Add(e.RetryAfter)) {
		t.Errorf("Over = %v, RetryAfter = %s, RetryAt = %s; want false and some seconds", e.Over,
			e.RetryAfter, e.RetryAt)
	}
	if n, waited := f.requests(pathOrder), c.passed(); n > 12 || waited > 10*time.Second {
		t.Errorf("polls = %d in %s, want a growing interval", n, waited)
	}

	// The older the order, the less often it is polled, and never less than once a minute.
	for _, age := range []time.Duration{time.Minute, 10 * time.Minute, 10 * time.Hour} {
		c.advance(age)
		f.rewrite(pathOrder, processing(""))
		start := c.now()
		_, err = e.Run(t.Context(), o, j)
		if e := wantError(t, err, acme.Slow, "ca-slow"); e.RetryAfter < min(age/4, time.Minute) ||
			e.RetryAfter > time.Minute || f.requests(pathOrder) != 1 || c.now() != start {
			t.Errorf("RetryAfter after %s = %s with %d polls in %s, want one poll and at most 1m",
				age, e.RetryAfter, f.requests(pathOrder), c.now().Sub(start))
		}
	}

	f.on(pathOrder, nil)
	cert, err := e.Run(t.Context(), o, j)
	if err != nil {
		t.Fatal(err)
	}
	w.verify(t, cert, o)
	if w.ca.Orders() != 1 {
		t.Error("the resumed run placed a second order")
	}
}

// TestPollsIgnoreLongRetryAfter has the CA request a pause of a day once, in each place where an
// order is polled. The order is polled again within a minute.
func TestPollsIgnoreLongRetryAfter(t *testing.T) {
	t.Parallel()
	pendingOnce := func(n int, authz map[string]any, header http.Header) {
		if n == 2 { // the first poll
			authz["status"] = "pending"
			header.Set("Retry-After", "86400")
		}
	}
	for name, prepare := range map[string]func(f *faulty){
		"authorization": func(f *faulty) { f.rewrite(pathAuthz, pendingOnce) },
		"order": func(f *faulty) {
			f.rewrite(pathFinalize, processing("2592000"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, f := newFaultyWorld(t, devstack.CAConfig{})
			prepare(f)
			c := newVirtual()
			e := w.engine(t, c.use)
			o := w.order(t, e, "day.example.com")
			j := w.journal(o)
			_, err := e.Run(t.Context(), o, j)
			if e := wantError(t, err, acme.Slow, "ca-slow"); e.RetryAfter != time.Minute ||
				e.Over {
				t.Errorf("RetryAfter = %s, Over = %v; want 1m, false", e.RetryAfter, e.Over)
			}
			if c.passed() >= time.Minute { // the pauses before are those of polls
				t.Errorf("the run held its worker for %s, want less than the pause", c.passed())
			}
			var cert *controlplane.Certificate
			for range 100 { // the CA works in real time, so it can be slow by the virtual clock
				time.Sleep(10 * time.Millisecond)
				c.advance(time.Minute)
				cert, err = e.Run(t.Context(), o, j)
				if slow, ok := errors.AsType[*acme.Error](err); !ok || slow.Class != acme.Slow {
					break
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			w.verify(t, cert, o)
		})
	}
}

// TestSilentCA has a CA that accepts requests and does not respond.
func TestSilentCA(t *testing.T) {
	t.Parallel()
	w, f := newFaultyWorld(t, devstack.CAConfig{})
	e := w.engine(t, func(cfg *acme.Config) { cfg.RequestTimeout = 3 * time.Second })
	w.issue(t, e, "talks.example.com")
	f.on(pathNewOrder, func(_ int, _ http.ResponseWriter, r *http.Request,
		_ http.Handler) {
		<-r.Context().Done()
	})
	o := w.order(t, e, "silent.example.com")
	_, err := e.Run(t.Context(), o, w.journal(o))
	wantError(t, err, acme.Unreachable, "ca-unreachable")
}

func TestCancelStopsAtOnce(t *testing.T) {
	t.Parallel()
	w, f := newFaultyWorld(t, devstack.CAConfig{})
	e := w.engine(t, nil)
	w.issue(t, e, "first.example.com")
	hang := func(_ int, _ http.ResponseWriter, r *http.Request,
		_ http.Handler) {
		<-r.Context().Done()
	}
	pending := func(_ int, authz map[string]any, header http.Header) {
		if authz["status"] == "valid" {
			authz["status"] = "pending"
			header.Set("Retry-After", "3")
		}
	}
	for name, prepare := range map[string]func(){
		"in a request":            func() { f.on(pathAuthz, hang) },
		"in the body":             func() { f.on(pathCert, hang) },
		"waiting to be validated": func() { f.rewrite(pathAuthz, pending) },
		"waiting for the order":   func() { f.rewrite(pathFinalize, processing("3")) },
		"nonces rejected": func() {
			f.answer(pathNewOrder, 0, 400, nil,
				fmt.Sprintf(`{"type":"%sbadNonce"}`, urn))
		},
		"waiting for a rate limit": func() {
			f.answer(pathNewOrder, 0, 429, map[string]string{"Retry-After": "4"},
				fmt.Sprintf(`{"type":"%srateLimited"}`, urn))
		},
	} {
		for _, path := range allPaths {
			f.on(path, nil)
		}
		prepare()
		ctx, cancel := context.WithCancel(t.Context())
		o := w.order(t, e, "cancel.example.com")
		stopped := make(chan time.Time, 1)
		time.AfterFunc(100*time.Millisecond, func() { stopped <- time.Now(); cancel() })
		_, err := e.Run(ctx, o, w.journal(o))
		took := time.Since(<-stopped)
		if e := wantError(t, err, acme.Interrupted, "order-interrupted"); e.Over ||
			!errors.Is(err, context.Canceled) {
			t.Errorf("%s: Over = %v (%v), want false", name, e.Over, e)
		}
		if took > 2*time.Second { // each wait takes 3 s or more
			t.Errorf("%s: stopped after %s", name, took)
		}
	}
}

// TestCancelFinishesTheRequest cancels a run while the CA works on a request that changes state.
// The run waits for the response, records it, and sends nothing more. Another run resumes the order
// without a second one.
func TestCancelFinishesTheRequest(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]controlplane.OrderStep{
		pathNewOrder:  controlplane.StepOrdered,
		pathChallenge: controlplane.StepAccepted,
		pathFinalize:  controlplane.StepFinalized,
	} {
		t.Run(strings.Trim(path, "/"), func(t *testing.T) {
			t.Parallel()
			w, f := newFaultyWorld(t, devstack.CAConfig{})
			e := w.engine(t, nil)
			w.issue(t, e, "first.example.com") // registers the account
			ctx, cancel := context.WithCancel(t.Context())
			f.on(path, func(n int, rw http.ResponseWriter, r *http.Request, next http.Handler) {
				cancel()
				time.Sleep(50 * time.Millisecond) // in which the client could close the connection
				next.ServeHTTP(rw, r)
			})
			o := w.order(t, e, "stop.example.com")
			j := w.journal(o)
			_, err := e.Run(ctx, o, j)
			if e := wantError(t, err, acme.Interrupted, "order-interrupted"); e.Over {
				t.Error("Over = true, want false")
			}
			if j.stored.Step != want || j.stored.OrderURL == "" || f.requests(path) != 1 {
				t.Errorf("recorded step %s with URL %q after %d requests, want %s after 1",
					j.stored.Step, j.stored.OrderURL, f.requests(path), want)
			}
			f.on(path, nil)
			left := j.stored
			cert, err := w.engine(t, nil).Run(t.Context(), &left, w.journal(&left))
			if err != nil {
				t.Fatal(err)
			}
			w.verify(t, cert, &left)
			if got := w.ca.OrdersFor("stop.example.com"); got != 1 {
				t.Errorf("orders at the CA = %d, want 1", got)
			}
		})
	}
}

func TestNonceRefusedAgainAndAgain(t *testing.T) {
	t.Parallel()
	w, f := newFaultyWorld(t, devstack.CAConfig{})
	for _, path := range []string{pathAccount, pathNewOrder, pathChallenge, pathFinalize} {
		f.answer(path, 1, 400, nil, fmt.Sprintf(`{"type":"%sbadNonce","detail":"stale"}`, urn))
	}
	w.issue(t, w.engine(t, nil), "nonce.example.com")
	f.answer(pathNewOrder, 0, 400, nil, fmt.Sprintf(`{"type":"%sbadNonce","detail":"stale"}`, urn))
	e := w.engine(t, nil)
	o := w.order(t, e, "nonce2.example.com")
	_, err := e.Run(t.Context(), o, w.journal(o))
	wantError(t, err, acme.Unreachable, "ca-unreachable")
	if n := f.requests(pathNewOrder); n > 10 {
		t.Errorf("new-order requests = %d, want one per nonce retry", n)
	}
}

// TestValidationFails publishes values that the CA rejects. The error is the challenge's, even for
// a resumed run.
func TestValidationFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, devstack.CAConfig{})
	e := w.engine(t, nil)
	for name, values := range map[string][]string{"wrong": {"wrong-value"}, "nothing": nil} {
		o := w.order(t, e, name+".example.com")
		j := w.journal(o)
		_, err := e.Run(t.Context(), o, liar{j, values})
		got := wantError(t, err, acme.FailedDNS, "ca-unauthorized")
		var document struct{ Type, Detail string }
		if !got.Over || json.Unmarshal(got.Problem, &document) != nil || document.Type != urn+
			"unauthorized" || !strings.Contains(got.Message, document.Detail) {
			t.Errorf("%s: Over = %v, Problem = %s, Message = %q; want the challenge's problem",
				name, got.Over, got.Problem, got.Message)
		}
		if want := []controlplane.OrderStep{controlplane.StepOrdered, controlplane.StepAuthorized,
			controlplane.StepAccepted}; !slices.Equal(j.steps, want) {
			t.Errorf("%s: saved steps = %q, want %q", name, j.steps, want)
		}
		left := j.stored
		_, err = w.engine(t, nil).Run(t.Context(), &left, &journal{zone: w.zone, stored: left})
		if e := wantError(t, err, acme.FailedDNS, "ca-unauthorized"); !e.Over {
			t.Errorf("%s: Over of the resumed run = false, want true", name)
		}
	}
}

// liar publishes other values than requested.
type liar struct {
	*journal
	values []string
}

func (l liar) Publish(ctx context.Context, o *controlplane.Order) error {
	told := *o
	if err := l.journal.Publish(ctx, &told); err != nil {
		return err
	}
	l.zone.set(o.Names[0], l.values)
	return nil
}

// TestFailedChallengeWithSubProblems has the reason in a subproblem of a challenge.
func TestFailedChallengeWithSubProblems(t *testing.T) {
	t.Parallel()
	w, f := newFaultyWorld(t, devstack.CAConfig{})
	e := w.engine(t, nil)
	document := map[string]any{"type": urn + "unauthorized", "detail": "see below", "status": 403.0,
		"subproblems": []any{map[string]any{"type": urn + "caa",
			"detail": "CAA record for sub.example.com prevents issuance"}}}
	f.rewrite(pathAuthz, func(n int, authz map[string]any, _ http.Header) {
		if n > 1 {
			authz["status"] = "invalid"
			authz["challenges"] = []any{map[string]any{"type": "dns-01", "url": "https://x.test/",
				"token": "t", "status": "invalid", "error": document}}
		}
	})
	o := w.order(t, e, "sub.example.com")
	_, err := e.Run(t.Context(), o, w.journal(o))
	got := wantError(t, err, acme.CAAForbids, "ca-caa")
	if !got.Over || !strings.Contains(got.Message, "prevents issuance") ||
		!strings.Contains(string(got.Problem), "see below") {
		t.Errorf("Run error = %+v, want Over, the CAA subproblem's detail, and the unchanged problem", got)
	}
}

func TestFinalizeFails(t *testing.T) {
	t.Parallel()
	w, f := newFaultyWorld(t, devstack.CAConfig{})
	e := w.engine(t, nil)

	f.answer(pathFinalize, 0, 400, nil, fmt.Sprintf(`{"type":"%sbadCSR","detail":"weak key"}`, urn))
	o := w.order(t, e, "csr.example.com")
	_, err := e.Run(t.Context(), o, w.journal(o))
	if e := wantError(t, err, acme.BadRequest, "ca-bad-csr"); !e.Over {
		t.Error("Over = false, want true")
	}

	for i, embedded := range []string{"caa", "serverInternal", "rateLimited", ""} {
		invalid := func(_ int, order map[string]any, _ http.Header) {
			order["status"] = "invalid"
			if embedded != "" {
				order["error"] = map[string]any{"type": urn + embedded, "detail": "too late",
					"status": 403}
			}
		}
		f.rewrite(pathFinalize, invalid)
		f.rewrite(pathOrder, invalid)
		o = w.order(t, e, fmt.Sprintf("late%d.example.com", i))
		_, err = e.Run(t.Context(), o, w.journal(o))
		want := map[string]struct {
			class acme.Class
			code  string
		}{
			"caa":            {acme.CAAForbids, "ca-caa"},
			"serverInternal": {acme.Unreachable, "ca-unreachable"},
			"rateLimited":    {acme.RateLimited, "ca-rate-limited"},
			"":               {acme.OrderGone, "order-expired"},
		}[embedded]
		if e := wantError(t, err, want.class, want.code); !e.Over {
			t.Errorf("%s: Over = false, want true", embedded)
		}
	}
}

// TestNotReadyYet has a CA that updates the order after the authorizations with a delay.
func TestNotReadyYet(t *testing.T) {
	t.Parallel()
	w, f := newFaultyWorld(t, devstack.CAConfig{})
	f.answer(pathFinalize, 1, 403, nil, fmt.Sprintf(`{"type":"%sorderNotReady","detail":"pending"}`,
		urn))
	f.rewrite(pathOrder, func(n int, order map[string]any, _ http.Header) {
		if n <= 2 {
			order["status"] = "pending"
		}
	})
	w.issue(t, w.engine(t, nil), "late.example.com")
	if n := f.requests(pathFinalize); n != 2 {
		t.Errorf("finalize requests = %d, want 2", n)
	}
}

// TestValidWithoutCertificate has a CA that reports a valid order before its certificate is
// available.
func TestValidWithoutCertificate(t *testing.T) {
	t.Parallel()
	w, f := newFaultyWorld(t, devstack.CAConfig{})
	f.rewrite(pathFinalize, processing(""))
	f.rewrite(pathOrder, func(n int, order map[string]any, _ http.Header) {
		if n <= 2 {
			delete(order, "certificate")
		}
	})
	w.issue(t, w.engine(t, nil), "early.example.com")
}

func TestOrderGone(t *testing.T) {
	t.Parallel()
	for _, at := range intents {
		t.Run(string(at), func(t *testing.T) {
			t.Parallel()
			w, f := newFaultyWorld(t, devstack.CAConfig{})
			c := newVirtual()
			e := w.engine(t, c.use)
			o := w.order(t, e, "gone.example.com")
			j := w.journal(o)
			j.killAt, j.written = at, true
			if _, err := e.Run(t.Context(), o, j); !errors.Is(err, errKilled) {
				t.Fatal(err)
			}
			f.answer(pathOrder, 0, 404, nil, "")
			f.answer(pathCert, 0, 404, nil,
				fmt.Sprintf(`{"type":"%smalformed","detail":"no such certificate"}`, urn))
			left := j.stored
			start := c.now()
			_, err := e.Run(t.Context(), &left, &journal{zone: w.zone, stored: left})
			if at == controlplane.StepReady {
				// The CSR may have been accepted: only the order's expiry ends it.
				if e := wantError(t, err, acme.Unreachable, "ca-protocol"); e.Over {
					t.Error("Over = true, want false")
				}
				c.advance(8 * 24 * time.Hour)
				start = c.now()
				_, err = e.Run(t.Context(), &left, &journal{zone: w.zone, stored: left})
			}
			if e := wantError(t, err, acme.OrderGone, "order-expired"); !e.Over {
				t.Error("Over = false, want true")
			}
			if waited := c.now().Sub(start); waited < 30*time.Second {
				t.Errorf("the order was abandoned after %s, want 30s or more", waited)
			}
		})
	}
}

func TestHugeAnswer(t *testing.T) {
	t.Parallel()
	w, f := newFaultyWorld(t, devstack.CAConfig{})
	f.answer(pathCert, 0, 200, nil, strings.Repeat("x", 2<<20))
	e := w.engine(t, newVirtual().use)
	o := w.order(t, e, "huge.example.com")
	_, err := e.Run(t.Context(), o, w.journal(o))
	if e := wantError(t, err, acme.Unreachable, "ca-protocol"); e.Over {
		t.Error("Over = true, want false")
	}
}
