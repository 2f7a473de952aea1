package acme

import (
	"encoding/json"
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

// text returns the CA's description of the problem.
func (p problem) text() string {
	switch {
	case p.Detail != "":
		return p.Detail
	case p.Title != "":
		return p.Title
	case p.Type != "":
		return p.Type
	}
	return "no reason given"
}

// problemError returns an Error for a problem document. status is the HTTP status, or 0 for a
// problem inside another object. It returns nil if raw is not a problem document.
func problemError(ca string, at step, raw json.RawMessage, status int) *Error {
	var p problem
	if json.Unmarshal(raw, &p) != nil || p.Type == "" && p.Detail == "" {
		return nil
	}
	decisive := p.deciding()
	if status == 0 {
		status = p.Status
	}
	e := meaning(decisive.kind(), status)
	e.CA, e.Status, e.Problem = ca, status, slices.Clone(raw)
	e.step, e.problemType = at, decisive.kind()
	e.Message = fmt.Sprintf("%s %s: %s", ca, e.Message, strings.TrimSuffix(decisive.text(), "."))
	e.Message = clip(e.Message, 1000) + "."
	if p.Instance != "" && e.problemType == "userActionRequired" {
		e.Fix = "Ask the operator to visit " + p.Instance + "."
	}
	e.Over = e.Class.Refusal() || e.Class == CAAForbids
	return e
}

// statusError returns an Error for a response without a problem document.
func statusError(ca string, status int, contentType string) *Error {
	err := fmt.Errorf("status %d with content type %q instead of a problem document", status,
		clip(contentType, 100))
	var e *Error
	switch {
	case status == http.StatusTooManyRequests:
		e = meaning("rateLimited", status)
		e.Message = ca + " " + e.Message + "."
	case status == http.StatusNotFound || status == http.StatusGone:
		e = &Error{Class: Policy, Code: "ca-malformed", Over: true,
			Message: ca + " does not know the requested resource.",
			Fix:     controlplane.FixOf("ca-malformed")}
	default:
		e = unreachable(ca, err)
		e.passing = status >= 500
	}
	e.CA, e.Status, e.Err = ca, status, err
	return e
}

// caError is how an error of a CA is reported. The message follows the CA's name.
type caError struct {
	class         Class
	code, message string
	passing       bool
}

// caErrors maps the error types of RFC 8555 §6.7, RFC 9773 §7.4, and the profiles draft.
var caErrors = map[string]caError{
	"rateLimited": {RateLimited, "ca-rate-limited", "rate-limited the request", true},
	"caa":         {CAAForbids, "ca-caa", "is not authorized by the name's CAA records", false},
	"dns":         {FailedDNS, "ca-dns", "could not look up the challenge record", false},

	"connection": {FailedDNS, "ca-connection", "could not connect to validate the name", false},
	"tls":        {FailedDNS, "ca-connection", "could not connect to validate the name", false},

	"unauthorized": {FailedDNS, "ca-unauthorized", "did not find the expected TXT record",
		false},
	"incorrectResponse": {FailedDNS, "ca-unauthorized", "did not find the expected TXT record",
		false},

	"badCSR":                {BadRequest, "ca-bad-csr", "rejected the CSR", false},
	"badPublicKey":          {BadRequest, "ca-bad-key", "rejected the key", false},
	"badSignatureAlgorithm": {BadRequest, "ca-bad-key", "rejected the key", false},

	"rejectedIdentifier": {Policy, "ca-rejected-identifier", "does not issue for this name",
		false},
	"unsupportedIdentifier": {Policy, "ca-rejected-identifier", "does not issue for this name",
		false},
	"invalidProfile": {Policy, "ca-profile", "does not offer the profile", false},

	"accountDoesNotExist":     {BadAccount, "ca-account", "rejected the ACME account", false},
	"externalAccountRequired": {BadAccount, "ca-account", "rejected the ACME account", false},
	"invalidContact":          {BadAccount, "ca-account", "rejected the ACME account", false},
	"unsupportedContact":      {BadAccount, "ca-account", "rejected the ACME account", false},
	"userActionRequired":      {BadAccount, "ca-account", "rejected the ACME account", false},

	"alreadyRevoked": {BadRequest, "ca-already-revoked", "has already revoked the certificate",
		false},
	"badRevocationReason": {
		BadRequest, "ca-bad-revocation-reason", "does not accept the revocation reason", false},
	"alreadyReplaced": {
		BadRequest, "ca-already-replaced", "has already replaced the certificate", false},
	"orderNotReady": {Policy, "ca-order-not-ready", "is not ready for the CSR", false},

	"serverInternal": {Unreachable, "ca-unreachable", "returned an internal error", true},
	"badNonce":       {Unreachable, "ca-unreachable", "returned an internal error", true},
}

// meaning returns an Error for an error type, or for the HTTP status of an unknown type.
func meaning(kind string, status int) *Error {
	known, ok := caErrors[kind]
	switch {
	case ok:
	case status == http.StatusTooManyRequests:
		known = caErrors["rateLimited"]
	case status >= http.StatusInternalServerError:
		known = caErrors["serverInternal"]
	default:
		known = caError{class: Policy, code: "ca-malformed", message: "rejected the request"}
	}
	return &Error{Class: known.class, Code: known.code, Message: known.message,
		Fix: controlplane.FixOf(known.code), passing: known.passing}
}

// maxRetryAfter is the upper bound for a CA's Retry-After.
const maxRetryAfter = 30 * 24 * time.Hour

// retryAfter parses a Retry-After header, in seconds or as a date (RFC 9110 §10.2.3). It returns 0
// without one, and at most 30 days.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(value, 10, 63); err == nil {
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
