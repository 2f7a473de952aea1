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

// Intervals between requests for renewal information. The CA's Retry-After is limited to between
// minCheck and maxCheck.
const (
	minCheck = time.Minute    // RFC 9773 §4.3
	maxCheck = 24 * time.Hour // RFC 9773 §4.3
	// without Retry-After, and after a permanent error (RFC 9773 §4.3.3)
	usualCheck    = 6 * time.Hour
	troubledCheck = time.Hour // after a transient error
)

// maxWindow is the largest distance of a window from now. No certificate is valid for that long.
const maxWindow = 20 * 365 * 24 * time.Hour

// RenewalInfo fetches the suggested renewal window of the certificate with the given ARI
// certificate ID (RFC 9773 §4.1) from the CA with the given name. It may be called for many
// certificates concurrently. It sends no request while the CA's circuit breaker is open.
//
// CheckAgainAt is always set, even with an error. The error is an *Error. It wraps
// controlplane.ErrRenewalInfoNotOffered if the CA does not support RFC 9773, and
// controlplane.ErrNoRenewalInfo if the CA did not return a valid window: a status other than 200,
// invalid JSON, or a missing, reversed, or far-away window. Neither error may be treated as "renew
// now".
func (e *Engine) RenewalInfo(
	ctx context.Context, ca, ariID string,
) (controlplane.RenewalInfo, error) {
	a, err := e.authority(ca)
	if err != nil {
		return controlplane.RenewalInfo{CheckAgainAt: e.cfg.Now().Add(maxCheck)}, err
	}
	info, err := a.renewalInfo(ctx, ariID)
	if err == nil {
		return info, nil
	}
	blank := controlplane.RenewalInfo{CheckedAt: info.CheckedAt,
		CheckAgainAt: a.now().Add(troubledCheck)}
	refused, ok := errors.AsType[*Error](err)
	switch {
	case errors.Is(err, controlplane.ErrRenewalInfoNotOffered):
		blank.CheckAgainAt = a.now().Add(maxCheck)
	case ok && refused.RetryAfter > 0:
		blank.CheckAgainAt = a.now().Add(min(max(refused.RetryAfter, minCheck), maxCheck))
	case ok && (refused.Status >= 400 && refused.Status < 500 || refused.Class.Refusal() ||
		refused.Class == Internal):
		blank.CheckAgainAt = a.now().Add(usualCheck)
	}
	return blank, err
}

func (a *authority) renewalInfo(
	ctx context.Context, ariID string,
) (controlplane.RenewalInfo, error) {
	asked := controlplane.RenewalInfo{CheckedAt: a.now().UTC()}
	if ok, until := a.breaker.healthy(a.now()); !ok {
		return asked, noInfo(a.down(until))
	}
	if !isARIID(ariID) {
		return asked,
			noInfo(internal(a.Name, fmt.Errorf("invalid ARI certificate ID %q", clip(ariID, 100))))
	}
	dir, err := a.directory(ctx)
	if err != nil {
		return asked, noInfo(err)
	}
	if dir.RenewalInfo == "" {
		return asked, &Error{Class: Policy, Code: "ca-no-ari", CA: a.Name,
			Err:     controlplane.ErrRenewalInfoNotOffered,
			Message: a.Name + " does not offer renewal information.",
			Fix:     controlplane.FixOf("ca-no-ari")}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet,
		strings.TrimSuffix(dir.RenewalInfo, "/")+"/"+ariID, nil)
	if err != nil {
		return asked,
			noInfo(unreachable(a.Name, errors.New("renewalInfo in the directory is not a URL")))
	}
	req.Header.Set("User-Agent", a.cfg.UserAgent)
	resp, body, err := a.exchange(ctx, req)
	if err != nil {
		return asked, noInfo(err)
	}
	if resp.StatusCode != http.StatusOK {
		refused := a.failure(atRenewalInfo, resp, body)
		refused.Over = false // not an order's error
		return asked, noInfo(refused)
	}
	info, err := a.readRenewalInfo(body)
	if err != nil {
		invalid := &Error{Class: Policy, Code: "ca-ari-invalid", CA: a.Name,
			Status: resp.StatusCode, Err: err, RetryAfter: retryAfter(resp.Header, a.now()),
			Message: a.Name + " returned invalid renewal information.",
			Fix:     controlplane.FixOf("ca-ari-invalid")}
		return asked, noInfo(invalid)
	}
	info.CheckedAt = asked.CheckedAt
	info.CheckAgainAt = asked.CheckedAt.Add(checkAfter(resp.Header, a.now()))
	return info, nil
}

// readRenewalInfo parses a RenewalInfo object (RFC 9773 §4.2).
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
	info := controlplane.RenewalInfo{WindowStart: got.SuggestedWindow.Start.UTC(),
		WindowEnd: got.SuggestedWindow.End.UTC()}
	near := func(t time.Time) bool { return t.Sub(a.now()).Abs() < maxWindow }
	switch {
	case info.WindowStart.IsZero() || info.WindowEnd.IsZero():
		return info, errors.New("the suggested window is missing")
	case !info.HasWindow():
		return info, fmt.Errorf("the window ends at %s, before its start at %s", info.WindowEnd,
			info.WindowStart)
	case !near(info.WindowStart) || !near(info.WindowEnd):
		return info, fmt.Errorf("the window from %s to %s is too far from now", info.WindowStart,
			info.WindowEnd)
	}
	info.ExplanationURL = pageURL(got.ExplanationURL)
	return info, nil
}

// pageURL returns v if it is an http or https URL that may be shown as a link, or "".
func pageURL(v any) string {
	text, _ := v.(string)
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || len(text) > 2000 {
		return ""
	}
	return u.String()
}

// isARIID reports whether id consists of two base64url parts joined by a dot (RFC 9773 §4.1).
func isARIID(id string) bool {
	issuer, serial, ok := strings.Cut(id, ".")
	for _, part := range []string{issuer, serial} {
		if _, err := base64.RawURLEncoding.DecodeString(part); err != nil || part == "" {
			return false
		}
	}
	return ok && len(id) < 200
}

// checkAfter returns the time until the next request, from Retry-After within the limits (RFC 9773
// §4.3).
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

// noInfo marks an error with ErrNoRenewalInfo.
func noInfo(err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return err
	}
	marked := *e
	marked.Err = errors.Join(controlplane.ErrNoRenewalInfo, e.Err)
	return &marked
}
