package webhook

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

func TestPostIsVerifiedByTheReferenceLibrary(t *testing.T) {
	t.Parallel()
	secrets := []string{controlplane.NewWebhookSecret(), controlplane.NewWebhookSecret()}
	for n := 1; n <= len(secrets); n++ {
		r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Trace", "abc")
			w.Header().Set("Set-Cookie", "session=hush")
			w.WriteHeader(http.StatusAccepted)
			_, _ = w.Write([]byte("thanks"))
		}, secrets[:n]...)
		m := message(t, r.URL+"/hook?x=1", secrets[:n]...)
		a := New(Config{Loopback: true, Roots: r.roots()}).Post(t.Context(), m)
		if !a.Delivered() || a.StatusCode != http.StatusAccepted || a.ResponseBody != "thanks" ||
			a.ResponseHeaders["x-trace"] != "abc" || a.ResponseHeaders["set-cookie"] != "" {
			t.Errorf("Post with %d keys = %+v, want it delivered without Set-Cookie", n, a)
		}
		if r.count() != 1 || a.RequestHeaders[headerID] != m.ID || r.got[0].Get(headerID) != m.ID ||
			len(strings.Fields(a.RequestHeaders[headerSignature])) != n {
			t.Errorf("Post with %d keys: RequestHeaders = %v, sent %v", n, a.RequestHeaders, r.got)
		}
	}
}

// TestSign uses the example of the specification.
func TestSign(t *testing.T) {
	t.Parallel()
	key, err := controlplane.WebhookKey("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	got := sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("sign() = %s, want %s", got, want)
	}
}

func TestPostReturnsTheReason(t *testing.T) {
	t.Parallel()
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter,
		*http.Request) {
		t.Error("a redirect was followed")
	}))
	t.Cleanup(other.Close)
	cut := func(w http.ResponseWriter, _ *http.Request) {
		if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = c.Close()
		}
	}
	for what, tt := range map[string]struct {
		answer http.HandlerFunc
		status int
		error  string
		retry  time.Duration
	}{
		"500": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, 500,
			"HTTP status 500", 0},
		"410": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(410) }, 410,
			"HTTP status 410", 0},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		}, 307, "redirects are not followed", 0},
		"busy": {func(w http.ResponseWriter,
			_ *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(503)
		}, 503, "503", 7 * time.Second},
		"busy, overflow": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "99999999999")
			w.WriteHeader(429)
		}, 429, "429", 1 << 30 * time.Second},
		"busy, negative": {func(w http.ResponseWriter,
			_ *http.Request) {
			w.Header().Set("Retry-After", "-5")
			w.WriteHeader(429)
		}, 429, "429", 0},
		"not busy": {func(w http.ResponseWriter,
			_ *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(500)
		}, 500, "500", 0},
		"closed connection": {cut, 0, "closed before a response", 0},
		"no response": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
			0, "The request timed out.", 0},
		"a slow body": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(200)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, 200, "The response timed out.", 0},
		"endless headers": {func(w http.ResponseWriter, _ *http.Request) {
			for i := range 200 {
				w.Header().Set(fmt.Sprint("X-", i), strings.Repeat("x", 1000))
			}
		}, 0, "64 KiB", 0},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			secret := controlplane.NewWebhookSecret()
			r := newReceiver(t, tt.answer, secret)
			limit := 20 * time.Second
			if strings.Contains(tt.error, "timed out") {
				limit = 3 * time.Second
			}
			a := New(Config{Loopback: true, Roots: r.roots(), Timeout: limit}).Post(t.Context(),
				message(t, r.URL, secret))
			if a.Delivered() || a.StatusCode != tt.status || !strings.Contains(a.Error, tt.error) ||
				a.RetryAfter != tt.retry || r.count() != 1 {
				t.Errorf("Post = %+v after %d requests, want status %d, %q, and RetryAfter %s after 1", a, r.count(), tt.status, tt.error, tt.retry)
			}
		})
	}
}

func TestPostParsesARetryAfterDate(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", now.Add(90*time.Second).Format(http.TimeFormat))
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	a := New(Config{Loopback: true, Roots: r.roots(), Now: func() time.Time { return now }}).Post(
		t.Context(), message(t, r.URL))
	if a.RetryAfter != 90*time.Second {
		t.Errorf("RetryAfter = %s, want 1m30s", a.RetryAfter)
	}
}

// TestPostKeepsTheBeginningOfAnAnswer checks that the stored part of a response is limited and
// valid text.
func TestPostKeepsTheBeginningOfAnAnswer(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Long", strings.Repeat("y", 5000))
		_, _ = w.Write([]byte("a\x00b\xff" + strings.Repeat("ü", 1<<20)))
	})
	a := New(Config{Loopback: true, Roots: r.roots()}).Post(t.Context(), message(t, r.URL))
	if !a.Delivered() || !utf8.ValidString(a.ResponseBody) ||
		!strings.HasPrefix(a.ResponseBody, "a\uFFFDb\uFFFDü") ||
		len(a.ResponseBody) > keptBody+9 || len(a.ResponseHeaders["x-long"]) != keptHeader {
		t.Errorf("Post kept %d bytes of the body and %d of a header, error %q", len(a.ResponseBody),
			len(a.ResponseHeaders["x-long"]), a.Error)
	}
}

func TestPostTrustsOnlyCertificatesOfTheHost(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, func(http.ResponseWriter,
		*http.Request) {
		t.Error("the receiver got a request")
	})
	a := New(Config{Loopback: true}).Post(t.Context(), message(t, r.URL))
	if a.StatusCode != 0 || !strings.Contains(a.Error, "trusted CA") {
		t.Errorf("Post with an unknown CA = %+v, want no connection", a)
	}
	a = New(Config{Roots: r.roots(), Resolver: nameServer(t, []string{"127.0.0.1"}),
		Allowed: only("127.0.0.1")}).
		Post(t.Context(), message(t, "https://other.test:"+r.port()))
	if a.StatusCode != 0 || !strings.Contains(a.Error, "not valid for this name") {
		t.Errorf("Post to another name = %+v, want no connection", a)
	}
}

// TestPostEndsWithItsContext checks that a stopping worker does not wait for a receiver.
func TestPostEndsWithItsContext(t *testing.T) {
	t.Parallel()
	came := make(chan struct{})
	r := newReceiver(t, func(_ http.ResponseWriter,
		r *http.Request) {
		close(came)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-came; cancel() }()
	if a := New(Config{Loopback: true, Roots: r.roots()}).Post(ctx,
		message(t, r.URL)); a.Delivered() {
		t.Errorf("Post with a canceled context = %+v, want it not delivered", a)
	}
}
