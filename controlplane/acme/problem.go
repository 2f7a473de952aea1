package acme

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// problem holds the used fields of a problem document (RFC 7807, RFC 8555 §6.7).
type problem struct {
	Type        string    `json:"type"`
	Title       string    `json:"title"`
	Detail      string    `json:"detail"`
	Status      int       `json:"status"`
	Instance    string    `json:"instance"`
	SubProblems []problem `json:"subproblems"`
	// Identifier that a subproblem concerns (RFC 8555 §6.7.1).
	Identifier struct {
		Value string `json:"value"`
	} `json:"identifier"`
}

// kind returns the last part of the type, such as "badNonce" for
// "urn:ietf:params:acme:error:badNonce".
func (p problem) kind() string {
	const prefix = "urn:ietf:params:acme:error:"
	if kind, ok := strings.CutPrefix(p.Type, prefix); ok {
		return kind
	}
	return ""
}

// deciding returns the problem that determines the Error: a CAA subproblem if there is one, or the
// first subproblem of a compound problem.
func (p problem) deciding() problem {
	if p.kind() == "rateLimited" {
		return p
	}
	if i := slices.IndexFunc(p.SubProblems,
		func(s problem) bool { return s.kind() == "caa" }); i >= 0 {
		return p.SubProblems[i]
	}
	if p.kind() == "compound" && len(p.SubProblems) > 0 {
		return p.SubProblems[0].deciding()
	}
	return p
}

// identifiers returns those that the subproblems of the deciding type concern.
func (p problem) identifiers() (list []string) {
	kind := p.deciding().kind()
	for _, sub := range p.SubProblems {
		if sub.Identifier.Value != "" && (sub.kind() == kind || p.kind() == "rateLimited") {
			list = append(list, sub.Identifier.Value)
		}
	}
	return list
}

// text returns the CA's description of the problem, without a final period, and its link to more
// information: the type of RFC 7807, if it is one.
func (p problem) text() string {
	text := strings.TrimSuffix(cmp.Or(p.Detail, p.Title, p.Type, "no reason given"), ".")
	if link := pageURL(p.Type); link != "" && !strings.Contains(text, p.Type) {
		text += " (" + link + ")"
	}
	return text
}

// problemError returns an Error for a problem document. status is the HTTP status, or 0 for a
// problem inside another object. It returns nil if raw is not a problem document.
//
// Over is set where the problem ends the order: a failed read does not.
func problemError(ca CA, at step, raw json.RawMessage, status int) *Error {
	var p problem
	if json.Unmarshal(raw, &p) != nil || p.Type == "" && p.Detail == "" {
		return nil
	}
	decisive := p.deciding()
	if status == 0 {
		status = p.Status
	}
	m := meaningOf(at, decisive.kind(), status)
	text, fix := decisive.text(), controlplane.FixOf(m.code)
	switch {
	case at == atNewOrder && decisive.kind() == "unauthorized" &&
		strings.Contains(text, "certificate profile"):
		// Let's Encrypt limits some profiles to some accounts.
		m = problems["invalidProfile"].other
		fix = controlplane.FixOf(m.code)
	case m.class == RateLimited && p.isPause():
		m = paused
		text, fix = p.pause(ca)
	case decisive.kind() == "userActionRequired" && pageURL(p.Instance) != "":
		fix = "Ask the operator to visit " + pageURL(p.Instance) + "."
	}
	return &Error{Class: m.class, Code: m.code, CA: ca.Name, Fix: fix, Status: status,
		Message: clip(fmt.Sprintf("%s %s: %s", ca.Name, m.message, text), 1000) + ".",
		Problem: slices.Clone(raw), Identifiers: p.identifiers(), step: at,
		problemType: decisive.kind(), passing: m.passing,
		Over: (m.class.Refusal() || m.class == CAAForbids) && !at.isRead()}
}

// statusError returns an Error for a response without a problem document.
func statusError(ca string, at step, status int, contentType string) *Error {
	err := fmt.Errorf("status %d with content type %q instead of a problem document", status,
		clip(contentType, 100))
	var e *Error
	switch {
	case status == http.StatusTooManyRequests:
		m := meaningOf(at, "rateLimited", status)
		e = &Error{Class: m.class, Code: m.code, Message: ca + " " + m.message + ".",
			Fix: controlplane.FixOf(m.code), passing: m.passing}
	case at.isOfOrder() && (status == http.StatusNotFound || status == http.StatusGone):
		e = &Error{Class: Policy, Code: "ca-malformed", Over: true,
			Message: ca + " does not know the requested resource.",
			Fix:     controlplane.FixOf("ca-malformed")}
	case status < http.StatusBadRequest: // ACME does not use redirects
		e = malformed(ca, err)
	default:
		e = unreachable(ca, err)
		e.passing = status >= 500
	}
	e.CA, e.Status, e.Err, e.step = ca, status, err, at
	return e
}

// maxRetryAfter is the upper bound for a CA's Retry-After.
const maxRetryAfter = 30 * 24 * time.Hour

// retryAfter parses a Retry-After header, in seconds or as a date (RFC 9110 §10.2.3). It returns 0
// without one, and at most 30 days.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	seconds, err := strconv.ParseUint(value, 10, 63)
	if err == nil || errors.Is(err, strconv.ErrRange) { // then seconds is the largest value
		return time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	return 0
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
