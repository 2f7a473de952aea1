package program

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

// misbehavior is a fault of a CA, and its expected effects on the domain.
type misbehavior struct {
	by      func(u *unruly, domain string)
	alone   outcome // without another CA; empty: not tested
	backed  outcome // with a second CA; empty: not tested
	acme    string  // the problem document that the timeline must contain
	orders  int     // maximum orders for the domain; zero: 1
	asked   map[request]int
	details string // part of the message for users
}

func at(asked request, f fault) func(*unruly, string) {
	return func(u *unruly, domain string) { u.on(domain, asked, f) }
}

var (
	badCSR      = problemOf("badCSR", "the key is of a weak kind")
	dnsProblem  = problemOf("dns", "SERVFAIL looking up TXT")
	caaProblem  = problemOf("caa", "CAA record prevents issuance")
	subProblems = problemOf("unauthorized", "several names were not validated",
		`"subproblems":[{"type":"`+acmeErrors+
			`unauthorized","detail":"wrong TXT found","identifier":{"type":"dns","value":"x.example.com"}}]`)
	badNonce     = problemOf("badNonce", "stale")
	noAccount    = problemOf("accountDoesNotExist", "no such account")
	unstorable   = problemOf("badCSR", `a\u0000b \ud800`)
	rateLimited  = problemOf("rateLimited", "too many requests")
	noProfile    = problemOf("invalidProfile", "the profile was withdrawn")
	notAllowed   = problemOf("unauthorized", "this account may not do that")
	noIdentifier = problemOf("rejectedIdentifier", "the name is on a list of high risks")
	primary      = outcome{by: "primary"}
	backup       = outcome{by: "backup"}
	allFourTimes = map[request]int{forNewOrder: 4, forChallenge: 4, forFinalize: 4}
	twice        = map[request]int{forNewOrder: 2, forChallenge: 2, forFinalize: 2}
)

// misbehaviors returns the faults by description. Faults are selected by domain, so one stack is
// enough for all of them.
func misbehaviors() map[string]misbehavior {
	fails := func(code string) outcome { return outcome{failed: code} }
	all := map[string]misbehavior{
		"nothing": {by: func(*unruly, string) {}, alone: primary, backed: primary,
			asked: map[request]int{forNewOrder: 1, forChallenge: 1, forFinalize: 1}},
		"nonces rejected": {by: func(u *unruly, domain string) {
			for _, asked := range []request{forNewOrder, forAuthz, forChallenge, forFinalize,
				forOrder, forCertificate} {
				u.on(domain, asked, reject(3, 400, badNonce))
			}
		}, alone: primary, backed: primary, asked: map[request]int{forNewOrder: 4, forChallenge: 4,
			forFinalize: 4}},
		"503 with HTML, twice": {by: at(forFinalize, page(2, 503)), alone: primary, backed: primary,
			asked: map[request]int{forNewOrder: 1, forFinalize: 3}},
		"503 with HTML and Retry-After": {by: at(forNewOrder,
			page(always, 503, "Retry-After", "120")), backed: backup,
			alone: outcome{waits: "ca-unreachable", wait: 2 * time.Minute},
			asked: map[request]int{forNewOrder: 1}},
		"short Retry-After": {by: at(forFinalize,
			reject(1, 429, rateLimited, "Retry-After", "1")), alone: primary, backed: primary,
			asked: map[request]int{forNewOrder: 1, forFinalize: 2}},
		"badCSR": {by: at(forFinalize, reject(always, 400, badCSR)),
			alone: fails("ca-bad-csr"), backed: backup, acme: badCSR, orders: 4,
			asked: allFourTimes, details: "weak kind"},
		"badCSR with unstorable text": {by: at(forFinalize, reject(always, 400, unstorable)),
			alone: fails("ca-bad-csr"), backed: backup, orders: 4,
			asked: allFourTimes},
		"dns": {by: at(forAuthz, invalidates(dnsProblem)),
			alone: fails("ca-dns"), backed: backup, acme: dnsProblem, orders: 4,
			asked: allFourTimes, details: "SERVFAIL"},
		"unauthorized with subproblems": {by: at(forAuthz, invalidates(subProblems)),
			alone: fails("ca-unauthorized"), backed: backup, acme: subProblems,
			orders: 4, asked: allFourTimes, details: "not validated"},
		"caa": {by: at(forAuthz, invalidates(caaProblem)), alone: fails("ca-caa"),
			acme: caaProblem, orders: 4, asked: allFourTimes, details: "prevents issuance"},
		"caa of one CA": {by: at(forAuthz, invalidates(caaProblem)), backed: backup,
			acme: caaProblem, asked: map[request]int{forNewOrder: 1, forChallenge: 1,
				forFinalize: 0}},
		"wrong key": {by: func(u *unruly,
			domain string) {
			u.on(domain, forCertificate, u.mistakes(domain, domain, true))
		},
			alone: fails("certificate-mismatch"), backed: backup, orders: 4,
			asked: allFourTimes, details: "key does not match the CSR"},
		"wrong names": {by: func(u *unruly, domain string) {
			u.on(domain, forCertificate, u.mistakes(domain, "other.example.net", false))
		},
			alone: fails("certificate-mismatch"), backed: backup, orders: 4,
			asked: allFourTimes, details: "other.example.net"},
		"chain without the issuer, once": {by: at(forCertificate, leafOnly(1)), alone: primary,
			backed: primary, asked: map[request]int{forNewOrder: 1, forFinalize: 1}},
		"chain without the issuer": {by: at(forCertificate, leafOnly(always)), backed: backup,
			asked: map[request]int{forNewOrder: 1, forFinalize: 1}},
		"account unknown at newOrder": {by: at(forNewOrder, reject(1, 400, noAccount)),
			alone: primary, backed: primary,
			asked: map[request]int{forNewOrder: 2, forFinalize: 1}},
		"account unknown at finalize": {by: at(forFinalize, reject(1, 400, noAccount)),
			alone: primary, backed: primary,
			asked: map[request]int{forNewOrder: 1, forFinalize: 2}},
		"account always unknown": {by: at(forNewOrder, reject(always, 400, noAccount)),
			alone: fails("ca-account"), backed: backup, acme: noAccount,
			asked: map[request]int{forNewOrder: 8}},
	}
	noDNS01 := misbehavior{by: at(forAuthz, rewrite(offerOnly("http-01"))),
		alone: fails("ca-no-dns-01"), backed: backup, orders: 4, details: "DNS",
		asked: map[request]int{forNewOrder: 4, forChallenge: 0, forFinalize: 0}}
	all["no dns-01 offered"] = noDNS01
	for _, asked := range []request{forNewOrder, forFinalize} {
		refused := map[request]int{forNewOrder: 4, forFinalize: 0}
		orders := 1
		if asked == forFinalize {
			refused, orders = allFourTimes, 4
		}
		all["unauthorized at "+string(asked)] = misbehavior{
			by: at(asked, reject(always, 403, notAllowed)), alone: fails("ca-account"),
			backed: backup, acme: notAllowed, orders: orders, details: "may not",
			// An attempt is repeated if another domain's fault has replaced the account.
			asked: map[request]int{forNewOrder: 8, forFinalize: 8}}
		all["profile rejected at "+string(asked)] = misbehavior{
			by: at(asked, reject(always, 400, noProfile)), alone: fails("ca-profile"),
			backed: backup, acme: noProfile, orders: orders, asked: refused, details: "withdrawn"}
		all["name rejected at "+string(asked)] = misbehavior{
			by:    at(asked, reject(always, 400, noIdentifier)),
			alone: fails("ca-rejected-identifier"), backed: backup, acme: noIdentifier,
			orders: orders, asked: refused, details: "high risks"}
	}
	for _, asked := range []request{forNewOrder, forAuthz, forChallenge, forFinalize, forOrder,
		forCertificate} {
		early := misbehavior{by: at(asked, cut(1, false)), backed: primary, asked: twice}
		late := misbehavior{by: at(asked, cut(1, true)), backed: primary, asked: twice}
		if asked == forNewOrder {
			late.orders = 2 // the response to the first newOrder request was lost
		}
		all["connection closed before "+string(asked)], all["connection closed during "+
			string(asked)] = early, late
	}
	return all
}

// TestMisbehavingCAWithBackup tests faults of a CA that has a backup. The backup is used for every
// fault that lasts.
func TestMisbehavingCAWithBackup(t *testing.T) {
	t.Parallel()
	testMisbehaviors(t, false)
}

// TestMisbehavingCAAlone tests faults of the only CA.
func TestMisbehavingCAAlone(t *testing.T) {
	t.Parallel()
	testMisbehaviors(t, true)
}

// testMisbehaviors starts all domains at once, and then checks them one by one.
func testMisbehaviors(t *testing.T, alone bool) {
	u := newUnruly()
	s := startUnruly(t, u, alone)
	domains := map[string]*client.Domain{}
	for what, m := range misbehaviors() {
		if m.outcome(alone) != (outcome{}) {
			name := fmt.Sprintf("unruly%d.example.com", len(domains))
			m.by(u, name)
			domains[what] = s.add(name)
		}
	}
	for what, d := range domains {
		t.Run(what, func(t *testing.T) {
			s, m := s.in(t), misbehaviors()[what]
			want := m.outcome(alone)
			s.wantOutcome(d.Id, want, m)
			s.wantOrders(u, d, m)
			if want != backup && s.Backup.OrdersFor(d.Name) > 0 {
				t.Errorf("orders for %s at the backup CA = %d, want 0", d.Name,
					s.Backup.OrdersFor(d.Name))
			}
		})
	}
}

func (m misbehavior) outcome(alone bool) outcome {
	if alone {
		return m.alone
	}
	return m.backed
}

// startUnruly starts a stack with u in front of the first CA. If alone, it is the only CA.
func startUnruly(t *testing.T, u *unruly, alone bool) *stack {
	t.Helper()
	return startStack(t, DevConfig{EmbeddedRedis: true,
		WrapCA: func(ca string) func(http.Handler) http.Handler {
			if ca == "primary" {
				return u.wrap
			}
			return nil
		},
		Configure: func(c *Config) {
			var cas []json.RawMessage
			if err := json.Unmarshal([]byte(c.ACME.CAs), &cas); err != nil {
				t.Fatal(err)
			}
			if alone {
				c.ACME.CAs = "[" + string(cas[0]) + "]"
			}
		}})
}

// in returns the stack for a subtest.
func (s *stack) in(t *testing.T) *stack { return &stack{Dev: s.Dev, t: t, api: s.api} }
