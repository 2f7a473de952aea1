package acme

import (
	"net/http"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// meaning is what a problem means: which party or state it is due to (class), as which code users
// know it, and in which words. The message follows the CA's name and precedes the CA's own text.
//
// The class decides the rest: whether the next CA is used, and whether the account's state and its
// alert change (package lifecycle). The step decides whether the CA counts a failed validation
// (Error.Verdict).
type meaning struct {
	class         Class
	code, message string
	passing       bool // resuming at once, or after Retry-After, may succeed
}

// The meanings that several problems share.
var (
	rejected  = meaning{Policy, "ca-malformed", "rejected the request", false}
	ofAccount = meaning{BadAccount, "ca-account", "rejected the ACME account", false}
	failing   = meaning{Unreachable, "ca-unreachable", "returned an internal error", true}
	limited   = meaning{RateLimited, "ca-rate-limited", "rate-limited the request", true}
	paused    = meaning{Paused, "ca-paused", "has paused orders for these names", false}
	badKey    = meaning{BadRequest, "ca-bad-key", "rejected the key", false}
	noName    = meaning{Policy, "ca-rejected-identifier", "does not issue for this name", false}
	noValue   = meaning{FailedDNS, "ca-unauthorized", "did not find the expected TXT record", false}
	noRecord  = meaning{FailedDNS, "ca-dns", "could not look up the challenge record", false}
	noLookup  = meaning{FailedDNS, "ca-dns-lookup", "could not look up DNS records of the name", false}
	noConnect = meaning{FailedDNS, "ca-connection", "could not connect to validate the name", false}
)

// row is what a problem type means at each step.
type row struct {
	at    map[step]meaning
	other meaning // at the steps that at does not list
}

// problems maps the problem types of RFC 8555 §6.7, RFC 9773 §7.4, and the profiles extension to
// what they mean at each step. Only a failed challenge is the fault of the challenge record.
var problems = map[string]row{
	"rateLimited":    {other: limited},
	"serverInternal": {other: failing},
	"badNonce":       {other: failing},

	"caa": {other: meaning{CAAForbids, "ca-caa", "is not authorized by the name's CAA records",
		false}},
	"dns": {other: rejected, at: map[step]meaning{
		inChallenge: noRecord,
		// The CA looks up CAA records when it creates or finalizes an order.
		atNewOrder: noLookup, atFinalize: noLookup, inOrder: noLookup,
	}},
	"connection":        {other: rejected, at: map[step]meaning{inChallenge: noConnect}},
	"tls":               {other: rejected, at: map[step]meaning{inChallenge: noConnect}},
	"incorrectResponse": {other: rejected, at: map[step]meaning{inChallenge: noValue}},
	"unauthorized":      {other: ofAccount, at: map[step]meaning{inChallenge: noValue}},

	"malformed": {other: rejected, at: map[step]meaning{atAccount: ofAccount,
		atKeyChange: ofAccount}},
	"badCSR": {other: meaning{BadRequest, "ca-bad-csr", "rejected the CSR", false}},
	// Outside of the CSR, the key and the algorithm are the account's.
	"badPublicKey": {other: ofAccount, at: map[step]meaning{atFinalize: badKey, inOrder: badKey,
		atRevocation: badKey}},
	"badSignatureAlgorithm": {other: ofAccount, at: map[step]meaning{atFinalize: badKey,
		inOrder: badKey}},

	"rejectedIdentifier":    {other: noName},
	"unsupportedIdentifier": {other: noName},
	"invalidProfile": {other: meaning{Policy, "ca-profile", "does not offer the profile",
		false}},

	"accountDoesNotExist":     {other: ofAccount},
	"externalAccountRequired": {other: ofAccount},
	"invalidContact":          {other: ofAccount},
	"unsupportedContact":      {other: ofAccount},
	"userActionRequired":      {other: ofAccount},

	"alreadyRevoked": {other: meaning{BadRequest, "ca-already-revoked",
		"has already revoked the certificate", false}},
	"badRevocationReason": {other: rejected, at: map[step]meaning{atRevocation: {BadRequest,
		"ca-bad-revocation-reason", "does not accept the revocation reason", false}}},
	"alreadyReplaced": {other: meaning{Policy, "ca-already-replaced",
		"has already replaced the certificate", false}},
	"orderNotReady": {other: meaning{Policy, "ca-order-not-ready", "is not ready for the CSR",
		false}},
}

// meaningOf returns what a problem type means at a step. An unknown type means what its HTTP status
// means: an unknown rejection is the CA's policy, because only another CA may decide otherwise.
//
// Every client may fetch the directory and nonces, so a CA that rejects these requests is
// unreachable. A request that concerns only the account contains nothing of the customer's.
func meaningOf(at step, kind string, status int) meaning {
	m := lookup(at, kind, status)
	switch at {
	case atDirectory, atNonce:
		if m.class != RateLimited && m.class != Unreachable {
			return meaning{class: Unreachable, code: "ca-unreachable",
				message: "rejected the request"}
		}
	case atAccount, atKeyChange:
		if c, _ := controlplane.CodeOf(m.code); c.Actor == controlplane.PartyCustomer {
			return ofAccount
		}
	}
	return m
}

func lookup(at step, kind string, status int) meaning {
	if row, ok := problems[kind]; ok {
		if m, ok := row.at[at]; ok {
			return m
		}
		return row.other
	}
	switch {
	case status == http.StatusTooManyRequests:
		return limited
	case status >= http.StatusInternalServerError, status == http.StatusRequestTimeout:
		return failing
	case at == atAccount || at == atKeyChange:
		switch status {
		case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden,
			http.StatusConflict:
			return ofAccount
		}
	}
	return rejected
}
