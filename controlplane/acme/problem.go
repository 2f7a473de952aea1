package acme

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
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
	if i := slices.IndexFunc(p.SubProblems, func(s problem) bool { return s.kind() == "caa" }); i >= 0 {
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
func problemError(ca string, raw json.RawMessage, status int) *Error {
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
	e.problemType = decisive.kind()
	e.Message = fmt.Sprintf("%s %s: %s", ca, e.Message, strings.TrimSuffix(decisive.text(), "."))
	e.Message = clip(e.Message, 1000) + "."
	if p.Instance != "" && e.problemType == "userActionRequired" {
		e.Fix = "Ask the operator to visit " + p.Instance + "."
	}
	e.Over = e.Class == Rejected || e.Class == CAAForbids
	return e
}

// statusError returns an Error for a response without a problem document.
func statusError(ca string, status int, contentType string) *Error {
	err := fmt.Errorf("status %d with content type %q instead of a problem document", status, clip(contentType, 100))
	var e *Error
	switch {
	case status == http.StatusTooManyRequests:
		e = meaning("rateLimited", status)
		e.Message = ca + " " + e.Message + "."
	case status == http.StatusNotFound || status == http.StatusGone:
		e = &Error{Class: Rejected, Code: "ca-malformed", Over: true, Message: ca + " does not know the requested resource.", Fix: "No action needed. A new order is placed automatically."}
	default:
		e = unreachable(ca, err)
		e.passing = status >= 500
	}
	e.CA, e.Status, e.Err = ca, status, err
	return e
}

// meaning returns an Error for an error type of RFC 8555 §6.7, RFC 9773 §7.4, or the profiles
// draft. The caller prefixes the message with the CA's name.
func meaning(kind string, status int) *Error {
	is := func(class Class, code, message, fix string) *Error {
		return &Error{Class: class, Code: code, Message: message, Fix: fix}
	}
	switch kind {
	case "rateLimited":
		e := is(RateLimited, "ca-rate-limited", "rate-limited the request", "No action needed. The order is retried when the CA allows it, or placed with another CA.")
		e.passing = true
		return e
	case "caa":
		return is(CAAForbids, "ca-caa", "is not authorized by the name's CAA records", "Add a CAA record that authorizes this CA (0 issue \"…\"), or remove the records that exclude it.")
	case "dns":
		return is(Rejected, "ca-dns", "could not look up the challenge record", "Check that the name's DNS is reachable from every network and that the CNAME exists.")
	case "connection", "tls":
		return is(Rejected, "ca-connection", "could not connect to validate the name", "Check that the name servers of the domain and of the validation zone are reachable from every network.")
	case "unauthorized", "incorrectResponse":
		return is(Rejected, "ca-unauthorized", "did not find the expected TXT record", "Check that _acme-challenge of the domain has only a CNAME record, pointing to the domain's target.")
	case "badCSR":
		return is(Rejected, "ca-bad-csr", "rejected the CSR", "Send another CSR, or choose another key type.")
	case "badPublicKey", "badSignatureAlgorithm":
		return is(Rejected, "ca-bad-key", "rejected the key", "Use another key type or another CA.")
	case "rejectedIdentifier", "unsupportedIdentifier":
		return is(Rejected, "ca-rejected-identifier", "does not issue for this name", "Use another CA, or ask this CA why it rejects the name.")
	case "invalidProfile":
		return is(Rejected, "ca-profile", "does not offer the profile", "Choose one of the CA's profiles, or none.")
	case "accountDoesNotExist", "externalAccountRequired", "invalidContact", "unsupportedContact", "userActionRequired":
		return is(Rejected, "ca-account", "rejected the ACME account", "Ask the operator to check the contact address and the external account binding for this CA.")
	case "alreadyRevoked":
		return is(Rejected, "ca-already-revoked", "has already revoked the certificate", "No action needed.")
	case "badRevocationReason":
		return is(Rejected, "ca-bad-revocation-reason", "does not accept the revocation reason", "Choose another reason.")
	case "alreadyReplaced":
		return is(Rejected, "ca-already-replaced", "has already replaced the certificate", "No action needed. The order is placed without replacing a certificate.")
	case "orderNotReady":
		return is(Rejected, "ca-order-not-ready", "is not ready for the CSR", "No action needed. The order is polled again automatically.")
	case "serverInternal", "badNonce":
		e := is(Unreachable, "ca-unreachable", "returned an internal error", "No action needed. The order is retried automatically, with another CA if one is configured.")
		e.passing = true
		return e
	}
	switch {
	case status == http.StatusTooManyRequests:
		return meaning("rateLimited", status)
	case status >= 500:
		return meaning("serverInternal", status)
	}
	return is(Rejected, "ca-malformed", "rejected the request", "Read the CA's message. If it does not explain the problem, contact the operator.")
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
