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

// problem is what this package reads of a problem document (RFC 7807, RFC 8555 §6.7).
type problem struct {
	Type        string    `json:"type"`
	Title       string    `json:"title"`
	Detail      string    `json:"detail"`
	Status      int       `json:"status"`
	Instance    string    `json:"instance"`
	SubProblems []problem `json:"subproblems"`
}

// kind is the last part of the type: "badNonce" of "urn:ietf:params:acme:error:badNonce".
func (p problem) kind() string {
	const prefix = "urn:ietf:params:acme:error:"
	if kind, ok := strings.CutPrefix(p.Type, prefix); ok {
		return kind
	}
	return ""
}

// deciding returns the problem that says what to do: a CAA sub-problem where there is one, and the first part of what is
// only a collection.
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

// text is what the CA says to people.
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

// problemError makes an Error of a problem document that came with an HTTP status, or inside another object with status 0.
// It returns nil if raw is none.
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
		e.Fix = "The operator must visit " + p.Instance + "."
	}
	e.Over = e.Class == Rejected || e.Class == CAAForbids
	return e
}

// statusError makes an Error of an answer that holds no problem document.
func statusError(ca string, status int, contentType string) *Error {
	err := fmt.Errorf("answer %d with %q instead of a problem document", status, clip(contentType, 100))
	var e *Error
	switch {
	case status == http.StatusTooManyRequests:
		e = meaning("rateLimited", status)
		e.Message = ca + " " + e.Message + "."
	case status == http.StatusNotFound || status == http.StatusGone:
		e = &Error{Class: Rejected, Code: "ca-malformed", Over: true, Message: ca + " does not know what it was asked for.", Fix: "Nothing: a new order is made."}
	default:
		e = unreachable(ca, err)
		e.passing = status >= 500
	}
	e.CA, e.Status, e.Err = ca, status, err
	return e
}

// meaning says what each of the error types of RFC 8555 §6.7, RFC 9773 §7.4 and the profiles draft asks for. The message
// goes on after the CA's name.
func meaning(kind string, status int) *Error {
	is := func(class Class, code, message, fix string) *Error {
		return &Error{Class: class, Code: code, Message: message, Fix: fix}
	}
	switch kind {
	case "rateLimited":
		e := is(RateLimited, "ca-rate-limited", "has a limit that is reached", "Nothing: the order waits until the CA allows it, or goes to another CA.")
		e.passing = true
		return e
	case "caa":
		return is(CAAForbids, "ca-caa", "may not issue for this name by its CAA records", "Add a CAA record that allows this CA (0 issue \"…\"), or remove those that forbid it.")
	case "dns":
		return is(Rejected, "ca-dns", "could not look up the challenge record", "Check that the name's DNS answers from everywhere, and that the CNAME is in place.")
	case "connection", "tls":
		return is(Rejected, "ca-connection", "could not connect in order to validate", "Check that the name servers of the domain and of the validation zone can be reached from everywhere.")
	case "unauthorized", "incorrectResponse":
		return is(Rejected, "ca-unauthorized", "did not find the proof of control", "Check that _acme-challenge of the domain is a CNAME to the target that the domain shows, and nothing else.")
	case "badCSR":
		return is(Rejected, "ca-bad-csr", "refuses the certificate request", "Send another CSR, or choose another key type.")
	case "badPublicKey", "badSignatureAlgorithm":
		return is(Rejected, "ca-bad-key", "refuses the key", "Choose another key type, or another CA.")
	case "rejectedIdentifier", "unsupportedIdentifier":
		return is(Rejected, "ca-rejected-identifier", "does not issue for this name", "Order from another CA, or ask this one why it refuses the name.")
	case "invalidProfile":
		return is(Rejected, "ca-profile", "does not offer the profile", "Choose one of the CA's profiles, or none.")
	case "accountDoesNotExist", "externalAccountRequired", "invalidContact", "unsupportedContact", "userActionRequired":
		return is(Rejected, "ca-account", "does not accept our account", "The operator must check the contact address and the external account binding of this CA.")
	case "alreadyRevoked":
		return is(Rejected, "ca-already-revoked", "has revoked the certificate before", "Nothing.")
	case "badRevocationReason":
		return is(Rejected, "ca-bad-revocation-reason", "does not accept the reason of revocation", "Choose another reason.")
	case "alreadyReplaced":
		return is(Rejected, "ca-already-replaced", "has replaced the certificate before", "Nothing: an order is made that replaces none.")
	case "orderNotReady":
		return is(Rejected, "ca-order-not-ready", "is not ready for the certificate request", "Nothing: the order is looked at again.")
	case "serverInternal", "badNonce":
		e := is(Unreachable, "ca-unreachable", "has an error of its own", "Nothing for now: it is tried again, and another CA is asked where one is configured.")
		e.passing = true
		return e
	}
	switch {
	case status == http.StatusTooManyRequests:
		return meaning("rateLimited", status)
	case status >= 500:
		return meaning("serverInternal", status)
	}
	return is(Rejected, "ca-malformed", "does not accept the request", "Look at the CA's words; when they make no sense, tell the operator.")
}

// maxRetryAfter bounds what is believed of a CA's Retry-After.
const maxRetryAfter = 30 * 24 * time.Hour

// retryAfter reads a Retry-After header, in seconds or as a date (RFC 9110 §10.2.3). It returns 0 if there is none, and
// 30 days at most.
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
