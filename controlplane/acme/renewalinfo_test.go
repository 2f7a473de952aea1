package acme_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/acme"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
)

const (
	pathRenewalInfo = "/draft-ietf-acme-ari-03/renewalInfo/"
	someARIID       = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE" // RFC 9773 §4.1
)

// TestRenewalInfo gets Pebble's default window, a configured one, and one in the past.
func TestRenewalInfo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, devstack.CAConfig{Management: "127.0.0.1:0"})
	e := w.engine(t, nil)
	cert := w.issue(t, e, "ari.example.com")
	info, err := e.RenewalInfo(t.Context(), "pebble", cert.ARIID)
	if err != nil {
		t.Fatal(err)
	}
	if !info.HasWindow() || info.WindowStart.Before(cert.NotBefore) ||
		info.WindowEnd.After(cert.NotAfter) ||
		info.CheckAgainAt.Sub(info.CheckedAt) != 6*time.Hour {
		t.Errorf("RenewalInfo = %+v, want a window within the validity from %s to %s and a check after 6h", info, cert.NotBefore, cert.NotAfter)
	}
	if at, now := controlplane.RenewTime(cert.NotBefore, cert.NotAfter, &info, 0.5); now ||
		at.Before(info.WindowStart) || at.After(controlplane.RenewAt(cert.NotBefore,
		cert.NotAfter)) {
		t.Errorf("RenewTime = %s, %v; want a time in the window and false", at, now)
	}

	start := time.Now().Add(-48 * time.Hour).UTC().Truncate(time.Second)
	w.setRenewalInfo(t, cert,
		fmt.Sprintf(
			`{"suggestedWindow":{"start":%q,"end":%q},"explanationURL":"https://ca.test/incident"}`,
			start.Format(time.RFC3339), start.Add(time.Hour).Format(time.RFC3339)))
	if info, err = e.RenewalInfo(t.Context(), "pebble", cert.ARIID); err != nil {
		t.Fatal(err)
	}
	if !info.WindowStart.Equal(start) || !info.WindowEnd.Equal(start.Add(time.Hour)) ||
		info.ExplanationURL != "https://ca.test/incident" {
		t.Errorf("RenewalInfo = %+v, want the window from %s for 1h and the explanation URL", info,
			start)
	}
	if _, now := controlplane.RenewTime(cert.NotBefore.Add(-30*24*time.Hour), cert.NotAfter, &info,
		0.5); !now {
		t.Error("RenewTime with a window in the past = false, want true")
	}

	w.setRenewalInfo(t, cert, `{"suggestedWindow":`)
	info, err = e.RenewalInfo(t.Context(), "pebble", cert.ARIID)
	noInformation(t, "malformed", info, err)
	info, err = e.RenewalInfo(t.Context(), "pebble", someARIID)
	noInformation(t, "another CA's certificate", info, err)
}

// setRenewalInfo sets the text that Pebble returns for the certificate.
func (w *world) setRenewalInfo(t *testing.T, cert *controlplane.Certificate, text string) {
	t.Helper()
	body, _ := json.Marshal(map[string]string{"Certificate": cert.ChainPEM, "ARIResponse": text})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.ca.ManagementURL()+
		"/set-renewal-info/", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := w.ca.HTTPClient().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("POST set-renewal-info: status %s, want 200", resp.Status)
	}
}

// noInformation checks that RenewalInfo returned ErrNoRenewalInfo and nothing that could be used as
// a renewal time.
func noInformation(t *testing.T, name string, info controlplane.RenewalInfo, err error) {
	t.Helper()
	if !errors.Is(err, controlplane.ErrNoRenewalInfo) ||
		errors.Is(err, controlplane.ErrRenewalInfoNotOffered) {
		t.Errorf("%s: RenewalInfo = %+v, %v; want ErrNoRenewalInfo", name, info, err)
	}
	if _, ok := errors.AsType[*acme.Error](err); !ok {
		t.Errorf("%s: RenewalInfo error = %v, want an *acme.Error", name, err)
	}
	if info.HasWindow() || !info.WindowStart.IsZero() || info.CheckAgainAt.IsZero() {
		t.Errorf("%s: RenewalInfo = %+v with an error, want only CheckedAt and CheckAgainAt", name,
			info)
	}
	begin := time.Now().Add(-time.Hour)
	if at, now := controlplane.RenewTime(begin, begin.Add(90*24*time.Hour), &info, 0); now ||
		!at.Equal(begin.Add(60*24*time.Hour)) {
		t.Errorf("%s: RenewTime = %s, %v; want the time by lifetime and false", name, at, now)
	}
}

// TestRenewalInfoMisbehaves covers valid and invalid responses of the CA.
func TestRenewalInfoMisbehaves(t *testing.T) {
	t.Parallel()
	w, f := newFaultyWorld(t, devstack.CAConfig{})
	e := w.engine(t, func(cfg *acme.Config) { cfg.RequestTimeout = 3 * time.Second })
	now := time.Now().UTC()
	in := func(d time.Duration) string { return now.Add(d).Format(time.RFC3339) }
	window := func(start, end string) string {
		return fmt.Sprintf(`{"suggestedWindow":{"start":%q,"end":%q}}`, start, end)
	}
	good := window(in(24*time.Hour), in(48*time.Hour))
	const hour = time.Hour
	tests := []struct {
		name   string
		status int
		after  string
		body   string
		ok     bool
		again  time.Duration
	}{
		{"valid response", 200, "", good, true, 6 * hour},
		{"Retry-After of 10 seconds", 200, "10", good, true, time.Minute},
		{"Retry-After of zero", 200, "0", good, true, time.Minute},
		{"Retry-After of an hour", 200, "3600", good, true, hour},
		{"Retry-After of a year", 200, "31536000", good, true, 24 * hour},
		{"Retry-After overflow", 200, "99999999999999999999999999", good, true, 24 * hour},
		{"negative Retry-After", 200, "-5", good, true, 6 * hour},
		{"Retry-After date", 200, now.Add(2 * hour).Format(http.TimeFormat), good, true, 2 * hour},
		{"Retry-After date in the past", 200, now.Add(-hour).Format(http.TimeFormat), good, true,
			time.Minute},
		{"malformed Retry-After", 200, "soon", good, true, 6 * hour},
		{"unknown fields", 200, "", strings.Replace(good, "{", `{"x":[1],`, 1), true, 6 * hour},
		{"explanation is not a string", 200,
			"", strings.Replace(good, "{", `{"explanationURL":7,`, 1), true, 6 * hour},
		{"explanation is a script", 200,
			"", strings.Replace(good, "{", `{"explanationURL":"javascript:alert(1)",`, 1), true,
			6 * hour},
		{"window in the past", 200, "", window(in(-48*hour), in(-24*hour)), true, 6 * hour},
		{"times in another zone", 200, "", window("2026-01-02T04:00:00+09:00",
			"2026-01-02T04:00:00-09:00"), true, 6 * hour},
		{"400 with a valid body", 400, "", good, false, 6 * hour},
		{"404", 404, "",
			`{"type":"urn:ietf:params:acme:error:malformed","detail":"unknown certificate"}`, false,
			6 * hour},
		{"404 with HTML", 404, "", "<html>", false, 6 * hour},
		{"409", 409, "", good, false, 6 * hour},
		{"429 with Retry-After", 429, "7200", `{"type":"urn:ietf:params:acme:error:rateLimited"}`,
			false, 2 * hour},
		{"429 with a Retry-After of a month", 429, "2592000", "", false, 24 * hour},
		{"500", 500, "", "", false, hour},
		{"503 with Retry-After", 503, "5", "<html>", false, time.Minute},
		{"201 with a valid body", 201, "", good, false, hour},
		{"204", 204, "", "", false, hour},
		{"302", 302, "", good, false, hour},
		{"nothing", 200, "", "", false, 6 * hour},
		{"null", 200, "", "null", false, 6 * hour},
		{"empty object", 200, "", "{}", false, 6 * hour},
		{"array", 200, "", "[]", false, 6 * hour},
		{"HTML", 200, "", "<html><body>Welcome</body></html>", false, 6 * hour},
		{"truncated response", 200, "", good[:len(good)/2], false, 6 * hour},
		{"trailing data", 200, "", good + "x", false, 6 * hour},
		{"missing end", 200, "", fmt.Sprintf(`{"suggestedWindow":{"start":%q}}`, in(hour)), false,
			6 * hour},
		{"missing start", 200, "", fmt.Sprintf(`{"suggestedWindow":{"end":%q}}`, in(hour)), false,
			6 * hour},
		{"the zero time", 200, "", window("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"), false,
			6 * hour},
		{"from the zero time to now", 200, "", window("0001-01-01T00:00:00Z", in(0)), false,
			6 * hour},
		{"the epoch", 200, "", window("1970-01-01T00:00:00Z", "1970-01-02T00:00:00Z"), false,
			6 * hour},
		{"end before start", 200, "", window(in(48*hour), in(24*hour)), false, 6 * hour},
		{"end at start", 200, "", window(in(hour), in(hour)), false, 6 * hour},
		{"the year 9999", 200, "", window("9998-01-01T00:00:00Z", "9999-01-01T00:00:00Z"), false,
			6 * hour},
		{"end in the year 9999", 200, "", window(in(hour), "9999-01-01T00:00:00Z"), false,
			6 * hour},
		{"numbers instead of times", 200, "",
			`{"suggestedWindow":{"start":1767312000,"end":1767398400}}`, false, 6 * hour},
		{"invalid times", 200, "", window("tomorrow", "next week"), false, 6 * hour},
		{"malformed with Retry-After", 200, "60000", "{", false, 60000 * time.Second},
		{"two megabytes", 200, "", good + strings.Repeat(" ", 2<<20), false, hour},
	}
	for _, tt := range tests {
		header := map[string]string{"Content-Type": "application/json"}
		if tt.after != "" {
			header["Retry-After"] = tt.after
		}
		f.answer(pathRenewalInfo, 0, tt.status, header, tt.body)
		asked := time.Now()
		info, err := e.RenewalInfo(t.Context(), "pebble", someARIID)
		if tt.ok && (err != nil || !info.HasWindow()) {
			t.Errorf("%s: RenewalInfo = %+v, %v; want a window", tt.name, info, err)
			continue
		}
		if !tt.ok {
			noInformation(t, tt.name, info, err)
		}
		if wait := info.CheckAgainAt.Sub(asked); (wait - tt.again).Abs() > 5*time.Second {
			t.Errorf("%s: next check after %s, want %s", tt.name, wait, tt.again)
		}
		if info.ExplanationURL != "" {
			t.Errorf("%s: ExplanationURL = %q, want it empty", tt.name, info.ExplanationURL)
		}
	}

	f.cut(pathRenewalInfo, 1000, false)
	info, err := e.RenewalInfo(t.Context(), "pebble", someARIID)
	noInformation(t, "broken connection", info, err)
	f.on(pathRenewalInfo, func(_ int, _ http.ResponseWriter, r *http.Request,
		_ http.Handler) {
		<-r.Context().Done()
	})
	info, err = e.RenewalInfo(t.Context(), "pebble", someARIID)
	noInformation(t, "no response", info, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	info, err = e.RenewalInfo(ctx, "pebble", someARIID)
	noInformation(t, "canceled request", info, err)
	f.on(pathRenewalInfo, nil)
	for _, id := range []string{"", ".", "abc", "abc.", ".abc", "a.b.c", "a/b.c", "../dir.c",
		"a=.b", "a.b?x", strings.Repeat("a", 300) + ".b"} {
		info, err := e.RenewalInfo(t.Context(), "pebble", id)
		noInformation(t, "ID "+id, info, err)
	}
	if n := f.requests(pathRenewalInfo); n != 0 {
		t.Errorf("requests for invalid IDs = %d, want 0", n)
	}
}

func TestRenewalInfoNotOffered(t *testing.T) {
	t.Parallel()
	w, f := newFaultyWorld(t, devstack.CAConfig{})
	e := w.engine(t, nil)
	f.rewrite(pathDirectory, func(_ int, dir map[string]any,
		_ http.Header) {
		delete(dir, "renewalInfo")
	})
	info, err := e.RenewalInfo(t.Context(), "pebble", someARIID)
	wantError(t, err, acme.Policy, "ca-no-ari")
	if !errors.Is(err, controlplane.ErrRenewalInfoNotOffered) ||
		errors.Is(err, controlplane.ErrNoRenewalInfo) ||
		time.Until(info.CheckAgainAt) < 23*time.Hour {
		t.Errorf("RenewalInfo = %+v, %v; want ErrRenewalInfoNotOffered and the next check after a day", info, err)
	}
	info, err = e.RenewalInfo(t.Context(), "gone", someARIID)
	if err == nil || info.HasWindow() || info.CheckAgainAt.IsZero() {
		t.Errorf("RenewalInfo of an unconfigured CA = %+v, %v; want an error and a next check",
			info, err)
	}
}

// TestRenewalInfoBatch requests information for 2,000 certificates at once: the directory is
// fetched only a few times, and connections are reused.
func TestRenewalInfoBatch(t *testing.T) {
	t.Parallel()
	w, f := newFaultyWorld(t, devstack.CAConfig{})
	good := fmt.Sprintf(`{"suggestedWindow":{"start":%q,"end":%q}}`,
		time.Now().Add(time.Hour).Format(time.RFC3339),
		time.Now().Add(2*time.Hour).Format(time.RFC3339))
	f.answer(pathRenewalInfo, 0, 200, nil, good)
	c := &clock{t: time.Now()}
	e := w.engine(t, func(cfg *acme.Config) { cfg.Now = c.now })
	ask := func(n int) {
		var left atomic.Int64
		left.Store(int64(n))
		var wg sync.WaitGroup
		for range 32 {
			wg.Go(func() {
				for left.Add(-1) >= 0 {
					if info, err := e.RenewalInfo(t.Context(), "pebble", someARIID); err != nil ||
						!info.HasWindow() {
						t.Errorf("RenewalInfo = %+v, %v; want a window", info, err)
						return
					}
				}
			})
		}
		wg.Wait()
	}
	f.on(pathDirectory, nil)
	ask(32)
	first := f.requests(pathDirectory)
	c.advance(11 * time.Minute)
	start := time.Now()
	ask(2000)
	t.Logf("%.0f responses per second", 2000/time.Since(start).Seconds())
	if n := f.requests(pathDirectory) - first; first > 32 || n > 1 {
		t.Errorf("directory requests = %d at first and %d after expiry, want at most 32 and 1",
			first, n)
	}
	if n := f.requests(pathRenewalInfo); n != 2032 {
		t.Errorf("requests = %d, want 2032", n)
	}
}
