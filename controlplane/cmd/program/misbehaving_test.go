package program

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

// misbehaviour is what a CA does wrong, and what becomes of the domain.
type misbehaviour struct {
	by      func(u *unruly, domain string)
	alone   ending // where there is no other CA; not looked at where empty
	backed  ending // where there is a second one; not looked at where empty
	acme    string // the problem document that the timeline has to show
	orders  int    // that the CA may make for the domain; 1 where zero
	asked   map[request]int
	details string // part of what people are told
}

func at(asked request, f fault) func(*unruly, string) {
	return func(u *unruly, domain string) { u.on(domain, asked, f) }
}

var (
	badCSR       = problemOf("badCSR", "the key is of a weak kind")
	dnsProblem   = problemOf("dns", "SERVFAIL looking up TXT")
	caaProblem   = problemOf("caa", "CAA record prevents issuance")
	subProblems  = problemOf("unauthorized", "several names were not proved", `"subproblems":[{"type":"`+acmeErrors+`unauthorized","detail":"wrong TXT found","identifier":{"type":"dns","value":"x.example.com"}}]`)
	badNonce     = problemOf("badNonce", "stale")
	noAccount    = problemOf("accountDoesNotExist", "no such account")
	unstorable   = problemOf("badCSR", `a\u0000b \ud800`)
	rateLimited  = problemOf("rateLimited", "too many requests")
	primary      = ending{by: "primary"}
	backup       = ending{by: "backup"}
	allFourTimes = map[request]int{forNewOrder: 4, forChallenge: 4, forFinalize: 4}
	twice        = map[request]int{forNewOrder: 2, forChallenge: 2, forFinalize: 2}
)

// misbehaviours are matched by the domain, so that one stack serves for all of them.
func misbehaviours() map[string]misbehaviour {
	fails := func(code string) ending { return ending{failed: code} }
	all := map[string]misbehaviour{
		"nothing": {by: func(*unruly, string) {}, alone: primary, backed: primary, asked: map[request]int{forNewOrder: 1, forChallenge: 1, forFinalize: 1}},
		"nonces refused": {by: func(u *unruly, domain string) {
			for _, asked := range []request{forNewOrder, forAuthz, forChallenge, forFinalize, forOrder, forCertificate} {
				u.on(domain, asked, refuse(3, 400, badNonce))
			}
		}, alone: primary, backed: primary, asked: map[request]int{forNewOrder: 4, forChallenge: 4, forFinalize: 4}},
		"503 with HTML, twice": {by: at(forFinalize, page(2, 503)), alone: primary, backed: primary, asked: map[request]int{forNewOrder: 1, forFinalize: 3}},
		"503 with HTML and a time": {by: at(forNewOrder, page(always, 503, "Retry-After", "120")), backed: backup,
			alone: ending{waits: "ca-unreachable", retry: true, wait: 2 * time.Minute}, asked: map[request]int{forNewOrder: 1}},
		"a short wait in seconds":            {by: at(forFinalize, refuse(1, 429, rateLimited, "Retry-After", "1")), alone: primary, backed: primary, asked: map[request]int{forNewOrder: 1, forFinalize: 2}},
		"badCSR":                             {by: at(forFinalize, refuse(always, 400, badCSR)), alone: fails("ca-bad-csr"), backed: fails("ca-bad-csr"), acme: badCSR, orders: 4, asked: allFourTimes, details: "weak kind"},
		"badCSR with what no database takes": {by: at(forFinalize, refuse(always, 400, unstorable)), alone: fails("ca-bad-csr"), backed: fails("ca-bad-csr"), orders: 4, asked: allFourTimes},
		"dns":                                {by: at(forAuthz, invalidates(dnsProblem)), alone: fails("ca-dns"), backed: fails("ca-dns"), acme: dnsProblem, orders: 4, asked: allFourTimes, details: "SERVFAIL"},
		"unauthorized, with the reason":      {by: at(forAuthz, invalidates(subProblems)), alone: fails("ca-unauthorized"), backed: fails("ca-unauthorized"), acme: subProblems, orders: 4, asked: allFourTimes, details: "not proved"},
		"caa":                                {by: at(forAuthz, invalidates(caaProblem)), alone: fails("ca-caa"), acme: caaProblem, orders: 4, asked: allFourTimes, details: "prevents issuance"},
		"caa of one CA":                      {by: at(forAuthz, invalidates(caaProblem)), backed: backup, acme: caaProblem, asked: map[request]int{forNewOrder: 1, forChallenge: 1, forFinalize: 0}},
		"wrong key": {by: func(u *unruly, domain string) { u.on(domain, forCertificate, u.mistakes(domain, domain, true)) },
			alone: fails("certificate-mismatch"), backed: fails("certificate-mismatch"), orders: 4, asked: allFourTimes, details: "key is not that of the CSR"},
		"wrong names": {by: func(u *unruly, domain string) {
			u.on(domain, forCertificate, u.mistakes(domain, "other.example.net", false))
		},
			alone: fails("certificate-mismatch"), backed: fails("certificate-mismatch"), orders: 4, asked: allFourTimes, details: "other.example.net"},
		"account forgotten at the order":    {by: at(forNewOrder, refuse(1, 400, noAccount)), alone: primary, backed: primary, asked: map[request]int{forNewOrder: 2, forFinalize: 1}},
		"account forgotten in the middle":   {by: at(forFinalize, refuse(1, 400, noAccount)), alone: primary, backed: primary, asked: map[request]int{forNewOrder: 1, forFinalize: 2}},
		"account forgotten again and again": {by: at(forNewOrder, refuse(always, 400, noAccount)), alone: fails("ca-account"), backed: fails("ca-account"), acme: noAccount, asked: map[request]int{forNewOrder: 8}},
	}
	for _, asked := range []request{forNewOrder, forAuthz, forChallenge, forFinalize, forOrder, forCertificate} {
		early := misbehaviour{by: at(asked, cut(1, false)), backed: primary, asked: twice}
		late := misbehaviour{by: at(asked, cut(1, true)), backed: primary, asked: twice}
		if asked == forNewOrder {
			late.orders = 2 // the CA made one that nobody was told of
		}
		all["the connection cut before: "+string(asked)], all["the connection cut in the middle: "+string(asked)] = early, late
	}
	return all
}

// A CA that misbehaves, with another CA beside it: what concerns the CA goes to the other, what
// concerns the domain does not.
func TestMisbehavingCABesideAnother(t *testing.T) {
	t.Parallel()
	testMisbehaviours(t, false)
}

// A CA that misbehaves, and that is the only one.
func TestMisbehavingCAAlone(t *testing.T) {
	t.Parallel()
	testMisbehaviours(t, true)
}

// testMisbehaviours begins with all of the domains at once, and looks at one after the other.
func testMisbehaviours(t *testing.T, alone bool) {
	u := newUnruly()
	s := startUnruly(t, u, alone)
	domains := map[string]*client.Domain{}
	for what, m := range misbehaviours() {
		if m.ending(alone) != (ending{}) {
			name := fmt.Sprintf("unruly%d.example.com", len(domains))
			m.by(u, name)
			domains[what] = s.add(name)
		}
	}
	for what, d := range domains {
		t.Run(what, func(t *testing.T) {
			s, m := s.in(t), misbehaviours()[what]
			want := m.ending(alone)
			s.wantEnding(d.Id, want, m)
			s.wantOrders(u, d.Name, m)
			if want != backup && s.Backup.OrdersFor(d.Name) > 0 {
				t.Error("the other CA was asked")
			}
		})
	}
}

func (m misbehaviour) ending(alone bool) ending {
	if alone {
		return m.alone
	}
	return m.backed
}

// startUnruly starts a stack whose first CA u misbehaves for, and that has no other where it is
// alone.
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

// in is the stack for a test within the one that started it.
func (s *stack) in(t *testing.T) *stack { return &stack{Dev: s.Dev, t: t, api: s.api} }
