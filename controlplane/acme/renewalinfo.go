package acme

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// When a CA is asked for renewal information again. What it says itself is kept to between the first two.
const (
	minCheck      = time.Minute    // RFC 9773 §4.3
	maxCheck      = 24 * time.Hour // RFC 9773 §4.3
	usualCheck    = 6 * time.Hour  // where it does not say, and after a lasting error (RFC 9773 §4.3.3)
	troubledCheck = time.Hour      // after an error that may pass
)

// maxWindow is how far from now a window may begin or end; no certificate lives for as long.
const maxWindow = 20 * 365 * 24 * time.Hour

// RenewalInfo asks the CA of that name when the certificate with an ARI id (RFC 9773 §4.1) is best renewed. It may be called
// for many certificates at once: nothing is locked while the CA answers, connections are kept, and a CA that the circuit
// breaker holds for down is not asked.
//
// CheckAgainAt is always set, with an error as well. The error is an *Error: one that is controlplane.ErrRenewalInfoNotOffered
// where the CA knows nothing of RFC 9773, and controlplane.ErrNoRenewalInfo where it gave no answer that can be believed: no
// status of 200, no JSON, no window, one that ends before it starts or lies decades away. Neither is ever to be read as "now".
func (e *Engine) RenewalInfo(ctx context.Context, ca, ariID string) (controlplane.RenewalInfo, error) {
	a, err := e.authority(ca)
	if err != nil {
		return controlplane.RenewalInfo{CheckAgainAt: e.cfg.Now().Add(maxCheck)}, err
	}
	info, err := a.renewalInfo(ctx, ariID)
	if err == nil {
		return info, nil
	}
	blank := controlplane.RenewalInfo{CheckedAt: info.CheckedAt, CheckAgainAt: a.now().Add(troubledCheck)}
	refused, ok := errors.AsType[*Error](err)
	switch {
	case errors.Is(err, controlplane.ErrRenewalInfoNotOffered):
		blank.CheckAgainAt = a.now().Add(maxCheck)
	case ok && refused.RetryAfter > 0:
		blank.CheckAgainAt = a.now().Add(min(max(refused.RetryAfter, minCheck), maxCheck))
	case ok && (refused.Status >= 400 && refused.Status < 500 || refused.Class == Rejected || refused.Class == Internal):
		blank.CheckAgainAt = a.now().Add(usualCheck)
	}
	return blank, err
}

func (a *authority) renewalInfo(ctx context.Context, ariID string) (controlplane.RenewalInfo, error) {
	asked := controlplane.RenewalInfo{CheckedAt: a.now().UTC()}
	if ok, until := a.breaker.healthy(a.now()); !ok {
		return asked, noInfo(a.down(until))
	}
	if !isARIID(ariID) {
		return asked, noInfo(internal(a.Name, fmt.Errorf("%q is no ARI certificate id", clip(ariID, 100))))
	}
	dir, err := a.directory(ctx)
	if err != nil {
		return asked, noInfo(err)
	}
	if dir.RenewalInfo == "" {
		return asked, &Error{Class: Rejected, Code: "ca-no-ari", CA: a.Name, Err: controlplane.ErrRenewalInfoNotOffered,
			Message: a.Name + " offers no renewal information.", Fix: "Nothing: certificates are renewed by their lifetime."}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(dir.RenewalInfo, "/")+"/"+ariID, nil)
	if err != nil {
		return asked, noInfo(unreachable(a.Name, errors.New("renewalInfo in the directory is no URL")))
	}
	req.Header.Set("User-Agent", a.cfg.UserAgent)
	resp, body, err := a.exchange(ctx, req)
	if err != nil {
		return asked, noInfo(err)
	}
	if resp.StatusCode != http.StatusOK {
		refused := a.failure(resp, body)
		refused.Over = false // there is no order
		return asked, noInfo(refused)
	}
	info, err := a.readRenewalInfo(body)
	if err != nil {
		nonsense := &Error{Class: Rejected, Code: "ca-ari-invalid", CA: a.Name, Status: resp.StatusCode, Err: err, RetryAfter: retryAfter(resp.Header, a.now()),
			Message: a.Name + " gave renewal information that makes no sense.", Fix: "Nothing: the certificate is renewed by its lifetime."}
		return asked, noInfo(nonsense)
	}
	info.CheckedAt = asked.CheckedAt
	info.CheckAgainAt = asked.CheckedAt.Add(checkAfter(resp.Header, a.now()))
	return info, nil
}

// readRenewalInfo reads a RenewalInfo object (RFC 9773 §4.2).
func (a *authority) readRenewalInfo(body []byte) (controlplane.RenewalInfo, error) {
	var got struct {
		SuggestedWindow struct {
			Start time.Time `json:"start"`
			End   time.Time `json:"end"`
		} `json:"suggestedWindow"`
		ExplanationURL any `json:"explanationURL"`
	}
	if err := json.Unmarshal(body, &got); err != nil {
		return controlplane.RenewalInfo{}, err
	}
	info := controlplane.RenewalInfo{WindowStart: got.SuggestedWindow.Start.UTC(), WindowEnd: got.SuggestedWindow.End.UTC()}
	near := func(t time.Time) bool { return t.Sub(a.now()).Abs() < maxWindow }
	switch {
	case info.WindowStart.IsZero() || info.WindowEnd.IsZero():
		return info, errors.New("there is no suggested window")
	case !info.HasWindow():
		return info, fmt.Errorf("the window ends at %s and starts at %s", info.WindowEnd, info.WindowStart)
	case !near(info.WindowStart) || !near(info.WindowEnd):
		return info, fmt.Errorf("the window from %s to %s is far away", info.WindowStart, info.WindowEnd)
	}
	info.ExplanationURL = pageURL(got.ExplanationURL)
	return info, nil
}

// pageURL returns a URL that may be shown as a link, or "".
func pageURL(v any) string {
	text, _ := v.(string)
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || len(text) > 2000 {
		return ""
	}
	return u.String()
}

// isARIID reports whether id is two parts of base64url, joined by a dot (RFC 9773 §4.1).
func isARIID(id string) bool {
	issuer, serial, ok := strings.Cut(id, ".")
	for _, part := range []string{issuer, serial} {
		if _, err := base64.RawURLEncoding.DecodeString(part); err != nil || part == "" {
			return false
		}
	}
	return ok && len(id) < 200
}

// checkAfter reads when to ask again, to within what makes sense (RFC 9773 §4.3).
func checkAfter(h http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	_, err := http.ParseTime(value)
	switch digits := value != "" && strings.Trim(value, "0123456789") == ""; {
	case digits && len(value) > 9:
		return maxCheck
	case digits || err == nil:
		return min(max(retryAfter(h, now), minCheck), maxCheck)
	}
	return usualCheck
}

// noInfo marks an error as one that leaves us without renewal information.
func noInfo(err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return err
	}
	marked := *e
	marked.Err = errors.Join(controlplane.ErrNoRenewalInfo, e.Err)
	return &marked
}
