package program

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
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

// ending is how a domain ends: with a certificate, in failure, or waiting.
type ending struct {
	by     string        // the CA that issued
	failed string        // code of the failure
	waits  string        // reason of the condition
	retry  bool          // the wait comes after a failure, which counts
	wait   time.Duration // at least
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
	allFourTimes = map[request]int{forNewOrder: 4, forChallenge: 4, forFinalise: 4}
	twice        = map[request]int{forNewOrder: 2, forChallenge: 2, forFinalise: 2}
)

// misbehaviours are matched by the domain, so that one stack serves for all of them.
func misbehaviours() map[string]misbehaviour {
	fails := func(code string) ending { return ending{failed: code} }
	all := map[string]misbehaviour{
		"nothing": {by: func(*unruly, string) {}, alone: primary, backed: primary, asked: map[request]int{forNewOrder: 1, forChallenge: 1, forFinalise: 1}},
		"nonces refused": {by: func(u *unruly, domain string) {
			for _, asked := range []request{forNewOrder, forAuthz, forChallenge, forFinalise, forOrder, forCertificate} {
				u.on(domain, asked, refuse(3, 400, badNonce))
			}
		}, alone: primary, backed: primary, asked: map[request]int{forNewOrder: 4, forChallenge: 4, forFinalise: 4}},
		"503 with HTML, twice": {by: at(forFinalise, page(2, 503)), alone: primary, backed: primary, asked: map[request]int{forNewOrder: 1, forFinalise: 3}},
		"503 with HTML and a time": {by: at(forNewOrder, page(always, 503, "Retry-After", "120")), backed: backup,
			alone: ending{waits: "ca-unreachable", retry: true, wait: 2 * time.Minute}, asked: map[request]int{forNewOrder: 1}},
		"a short wait in seconds":            {by: at(forFinalise, refuse(1, 429, rateLimited, "Retry-After", "1")), alone: primary, backed: primary, asked: map[request]int{forNewOrder: 1, forFinalise: 2}},
		"badCSR":                             {by: at(forFinalise, refuse(always, 400, badCSR)), alone: fails("ca-bad-csr"), backed: fails("ca-bad-csr"), acme: badCSR, orders: 4, asked: allFourTimes, details: "weak kind"},
		"badCSR with what no database takes": {by: at(forFinalise, refuse(always, 400, unstorable)), alone: fails("ca-bad-csr"), backed: fails("ca-bad-csr"), orders: 4, asked: allFourTimes},
		"dns":                                {by: at(forAuthz, invalidates(dnsProblem)), alone: fails("ca-dns"), backed: fails("ca-dns"), acme: dnsProblem, orders: 4, asked: allFourTimes, details: "SERVFAIL"},
		"unauthorized, with the reason":      {by: at(forAuthz, invalidates(subProblems)), alone: fails("ca-unauthorized"), backed: fails("ca-unauthorized"), acme: subProblems, orders: 4, asked: allFourTimes, details: "not proved"},
		"caa":                                {by: at(forAuthz, invalidates(caaProblem)), alone: fails("ca-caa"), acme: caaProblem, orders: 4, asked: allFourTimes, details: "prevents issuance"},
		"caa of one CA":                      {by: at(forAuthz, invalidates(caaProblem)), backed: backup, acme: caaProblem, asked: map[request]int{forNewOrder: 1, forChallenge: 1, forFinalise: 0}},
		"wrong key": {by: func(u *unruly, domain string) { u.on(domain, forCertificate, u.mistakes(domain, domain, true)) },
			alone: fails("certificate-mismatch"), backed: fails("certificate-mismatch"), orders: 4, asked: allFourTimes, details: "key is not that of the CSR"},
		"wrong names": {by: func(u *unruly, domain string) {
			u.on(domain, forCertificate, u.mistakes(domain, "other.example.net", false))
		},
			alone: fails("certificate-mismatch"), backed: fails("certificate-mismatch"), orders: 4, asked: allFourTimes, details: "other.example.net"},
		"account forgotten at the order":    {by: at(forNewOrder, refuse(1, 400, noAccount)), alone: primary, backed: primary, asked: map[request]int{forNewOrder: 2, forFinalise: 1}},
		"account forgotten in the middle":   {by: at(forFinalise, refuse(1, 400, noAccount)), alone: primary, backed: primary, asked: map[request]int{forNewOrder: 1, forFinalise: 2}},
		"account forgotten again and again": {by: at(forNewOrder, refuse(always, 400, noAccount)), alone: fails("ca-account"), backed: fails("ca-account"), acme: noAccount, asked: map[request]int{forNewOrder: 8}},
	}
	for _, asked := range []request{forNewOrder, forAuthz, forChallenge, forFinalise, forOrder, forCertificate} {
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

// wantEnding waits for the domain's end, and looks at everything that tells of it.
func (s *stack) wantEnding(id string, want ending, m misbehaviour) {
	s.t.Helper()
	switch {
	case want.by != "":
		d := s.waitActive(id)
		s.wantIssuer(d, want.by)
	case want.failed != "":
		s.wantFailure(id, want.failed, m)
	default:
		s.wantWait(id, want)
	}
	if m.acme != "" {
		s.wantProblem(id, m.acme)
	}
}

// wantIssuer looks at the certificate and at what the timeline says of how it came.
func (s *stack) wantIssuer(d *client.Domain, ca string) {
	s.t.Helper()
	cert, err := s.api.Certificate(s.t.Context(), d.CertificateId.MustGet())
	if err != nil {
		s.t.Fatal(err)
	}
	if cert.Ca != ca {
		s.t.Errorf("the certificate is of the %s CA", cert.Ca)
	}
	failed := s.timeline(d.Id, controlplane.ActionOrderFailed)
	if ca == "backup" && (len(failed) != 1 || failed[0]["ca"] != "primary" || failed[0]["code"] == "") {
		s.t.Errorf("the timeline says of the first order: %s", toJSON(failed))
	}
	if ca == "primary" && len(failed) > 0 {
		s.t.Errorf("the timeline tells of failed orders: %s", toJSON(failed))
	}
	if issued := s.timeline(d.Id, controlplane.ActionCertificateIssued); len(issued) != 1 || issued[0]["ca"] != ca {
		s.t.Errorf("the timeline says of the certificate: %s", toJSON(issued))
	}
}

// wantFailure waits until the domain is given up, and looks at what people are told.
func (s *stack) wantFailure(id, code string, m misbehaviour) {
	s.t.Helper()
	d := s.waitDomain(id, "in error", func(d *client.Domain) bool { return d.Status == client.DomainStatusError })
	c := conditionOf(d, client.ConditionTypeCertificateReady)
	if d.StatusReason != code || c.Reason != code || !strings.Contains(c.Message, m.details) || c.Fix == nil || c.NextCheckAt != nil {
		s.t.Errorf("the domain is in error for %s: %s", d.StatusReason, toJSON(c))
	}
	job := s.latestJob(id, "start_issuance")
	if e, err := job.LastError.Get(); err != nil || job.Status != client.JobStatusFailed || job.Attempts != controlplane.MaxAttempts || e.Code != code || !strings.Contains(e.Detail, m.details) {
		s.t.Errorf("the job is %s", toJSON(job))
	}
	s.get(s.Env()["DCVAAS_ENDPOINT"]+"/problems/"+code, nil)
	if n := query[int](s, `SELECT count(*) FROM certificates WHERE domain_id = $1`, id); n != 0 {
		s.t.Errorf("%d certificates were stored", n)
	}
	if n := query[int](s, `SELECT count(*) FROM acme_orders WHERE domain_id = $1 AND step <> 'failed'`, id); n != 0 {
		s.t.Errorf("%d orders are open", n)
	}
	for action, n := range map[string]int{controlplane.ActionOrderCreated: 4, controlplane.ActionOrderFailed: 4, controlplane.ActionIssuanceFailed: 1} {
		got := s.timeline(id, action)
		if len(got) != n {
			s.t.Errorf("the timeline has %d of %s, not %d", len(got), action, n)
		}
		if action != controlplane.ActionOrderCreated && len(got) > 0 && got[0]["code"] != code {
			s.t.Errorf("the timeline says %s", toJSON(got[0]))
		}
	}
}

// wantWait waits until the domain's job is put off, and looks at until when.
func (s *stack) wantWait(id string, want ending) *client.Job {
	s.t.Helper()
	d := s.waitDomain(id, "waiting", func(d *client.Domain) bool {
		return conditionOf(d, client.ConditionTypeCertificateReady).Reason == want.waits
	})
	c := conditionOf(d, client.ConditionTypeCertificateReady)
	job := s.latestJob(id, "start_issuance")
	failures, reason := 0, want.waits
	if want.retry {
		failures, reason = 1, "retry"
	}
	if job.Status != client.JobStatusQueued || job.Reason != reason || job.Attempts != failures {
		s.t.Errorf("the job is %s", toJSON(job))
	}
	if c.Message == "" || c.Fix == nil || c.NextCheckAt == nil || !c.NextCheckAt.Equal(job.RunAt) {
		s.t.Errorf("the domain says %s, and the job runs at %s", toJSON(c), job.RunAt)
	}
	// A Retry-After has whole seconds; the answer is a moment old.
	if wait := job.RunAt.Sub(job.UpdatedAt); wait < want.wait-2*time.Second || wait > want.wait*3/2+time.Second {
		s.t.Errorf("it waits for %s, not for %s", wait, want.wait)
	}
	return job
}

// wantProblem looks for a problem document in the timeline, as the CA wrote it.
func (s *stack) wantProblem(id, document string) {
	s.t.Helper()
	var want any
	if err := json.Unmarshal([]byte(document), &want); err != nil {
		s.t.Fatal(err)
	}
	failed := s.timeline(id, controlplane.ActionOrderFailed)
	if len(failed) == 0 || !reflect.DeepEqual(failed[0]["acme"], want) {
		s.t.Errorf("the timeline does not show %s: %s", document, toJSON(failed))
	}
}

// wantOrders looks at how often the CA was asked.
func (s *stack) wantOrders(u *unruly, name string, m misbehaviour) {
	s.t.Helper()
	if n := s.Primary.OrdersFor(name); n > max(m.orders, 1) {
		s.t.Errorf("the CA made %d orders, more than %d", n, max(m.orders, 1))
	}
	for asked, most := range m.asked {
		if n := u.requests(name, asked); n > most {
			s.t.Errorf("the CA was asked %d times for %s, more than %d", n, asked, most)
		}
	}
	for asked, most := range map[request]int{forAuthz: 40, forOrder: 40, forCertificate: 8} {
		if n := u.requests(name, asked); n > most {
			s.t.Errorf("the CA was asked %d times for %s, more than %d", n, asked, most)
		}
	}
}

// conditionOf returns one of the domain's conditions.
func conditionOf(d *client.Domain, kind client.ConditionType) client.Condition {
	for _, c := range d.Conditions {
		if c.Type == kind {
			return c
		}
	}
	return client.Condition{}
}

// timeline returns what the domain's history tells of an action, newest first.
func (s *stack) timeline(id, action string) []map[string]any {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.Env()["DCVAAS_ENDPOINT"]+"/api/domains/"+id+"/timeline?limit=200", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.Token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var list struct {
		Data []struct {
			Type string
			Data map[string]any
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("timeline: %s, %v", resp.Status, err)
	}
	var found []map[string]any
	for _, e := range list.Data {
		if e.Type == action {
			found = append(found, e.Data)
		}
	}
	return found
}
