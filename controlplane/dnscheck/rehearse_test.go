package dnscheck_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/dnscheck"
)

// batch is a zone, example.com, with many domains, and a doctor that checks them. Two resolvers and
// the zone's name servers answer from the same view.
type batch struct {
	t *testing.T
	*network
	doctor *dnscheck.Doctor

	mu      sync.Mutex
	now     time.Time
	view    view
	queries map[string]int // "type name", over all servers
}

// siblings is the number of domains in a batch: d0.example.com, d1.example.com, and so on.
const siblings = 30

// newBatch returns a batch with the given number of name servers.
func newBatch(t *testing.T, servers int, more ...string) *batch {
	t.Helper()
	b := &batch{t: t, now: noon, queries: map[string]int{},
		view: view{apex: "example.com.", negTTL: 600, validate: true}.with(more...)}
	b.view = b.view.with("_acme-challenge.example.com. 300 IN CNAME "+target+".",
		". 86400 IN SOA a.root-servers.net. h. 1 2 3 4 5")
	for i := range siblings {
		b.view = b.view.with(fmt.Sprintf("_acme-challenge.d%d.example.com. 300 IN CNAME %s.", i,
			target))
	}
	b.network = &network{resolvers: map[string]http.Handler{}, servers: map[string]dns.Handler{}}
	cfg := dnscheck.Config{AskAuthority: servers > 0, Dial: b.dial,
		HTTPClient: &http.Client{Transport: b.network},
		Now:        func() time.Time { b.mu.Lock(); defer b.mu.Unlock(); return b.now }}
	for _, name := range []string{"resolver1", "resolver2"} {
		b.resolvers[name] = http.HandlerFunc(b.resolve)
		cfg.Resolvers = append(cfg.Resolvers,
			dnscheck.Resolver{Name: name, URL: "https://" + name})
	}
	for i := range servers {
		b.view = b.view.with(fmt.Sprintf("example.com. 3600 IN NS ns%d.example.net.", i+1),
			fmt.Sprintf("ns%d.example.net. 86400 IN A 192.0.2.%d", i+1, i+1))
		b.servers[fmt.Sprintf("192.0.2.%d:53", i+1)] = dns.HandlerFunc(b.answer)
	}
	b.doctor = dnscheck.New(cfg)
	return b
}

// current returns the view and counts a query.
func (b *batch) current(network string, q dns.Question) view {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queries[network+" "+dns.TypeToString[q.Qtype]+" "+dns.CanonicalName(q.Name)]++
	if q.Name == "com." {
		return view{apex: "com.", negTTL: 900, records: []string{"com. 900 IN NS a.test."}}
	}
	return b.view
}

// change changes the zone.
func (b *batch) change(to func(view) view) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.view = to(b.view)
}

// later moves the clock.
func (b *batch) later(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

// sent returns the number of queries of which the description contains part, since the last call
// of forget.
func (b *batch) sent(part string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for q, sent := range b.queries {
		if strings.Contains(q, part) {
			n += sent
		}
	}
	return n
}

// forget resets the counts.
func (b *batch) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.queries)
}

func (b *batch) answer(w dns.ResponseWriter, r *dns.Msg) {
	b.current(w.LocalAddr().Network(), r.Question[0]).ServeDNS(w, r)
}

func (b *batch) resolve(w http.ResponseWriter, r *http.Request) {
	raw, _ := io.ReadAll(r.Body)
	q := new(dns.Msg)
	if err := q.Unpack(raw); err != nil {
		b.t.Error(err)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(raw))
	b.current("doh", q.Question[0]).ServeHTTP(w, r)
}

// rehearse rehearses a domain of the batch.
func (b *batch) rehearse(domain string) controlplane.Examination {
	b.t.Helper()
	e, err := b.doctor.Rehearse(b.t.Context(), domain, target, false, bothCAs)
	if err != nil {
		b.t.Fatal(err)
	}
	return e
}

// examine examines a domain of the batch.
func (b *batch) examine(domain string) controlplane.Examination {
	b.t.Helper()
	e, err := b.doctor.Examine(b.t.Context(), domain, target, false, bothCAs)
	if err != nil {
		b.t.Fatal(err)
	}
	return e
}

// wantCode reports an error unless the examination has the cause.
func wantCode(t *testing.T, what string, e controlplane.Examination, want string) {
	t.Helper()
	if got := e.Cause().Code; got != want {
		t.Errorf("%s = %s, want %s (observed: %s)", what, got, want, e.Cause().Observed)
	}
}

// TestQueriesOfARehearsal counts the queries for one domain alone, for one whose sibling was
// checked, and for one that was checked itself.
func TestQueriesOfARehearsal(t *testing.T) {
	t.Parallel()
	type cost struct{ doh, udp, tcp int32 }
	for _, tt := range []struct {
		what                 string
		servers              int
		alone, sibling, apex cost
		examined, again      cost
	}{
		// TXT and the CAA records of the name at both resolvers
		{what: "resolvers only", alone: cost{10, 0, 0}, sibling: cost{4, 0, 0},
			apex: cost{2, 0, 0}, again: cost{2, 0, 0}, examined: cost{10, 0, 0}},
		// TXT at the resolvers and over UDP and TCP at the servers; the CAA records of the name at
		// one resolver and the servers
		{what: "two name servers", servers: 2, alone: cost{9, 6, 2}, sibling: cost{3, 4, 2},
			apex: cost{2, 2, 2}, again: cost{2, 2, 2}, examined: cost{9, 6, 2}},
		{what: "four name servers", servers: 4, alone: cost{11, 12, 4}, sibling: cost{3, 8, 4},
			apex: cost{2, 4, 4}, again: cost{2, 4, 4}, examined: cost{11, 12, 4}},
	} {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			b := newBatch(t, tt.servers)
			check := func(what string, want cost, run func(string) controlplane.Examination,
				domain string,
			) {
				t.Helper()
				doh, udp, tcp := b.doh.Load(), b.udp.Load(), b.tcp.Load()
				wantCode(t, what, run(domain), controlplane.CauseOK)
				got := cost{b.doh.Load() - doh, b.udp.Load() - udp,
					b.tcp.Load() - tcp}
				if got != want {
					t.Errorf("%s sent %+v, want %+v", what, got, want)
				}
			}
			check("Rehearse of the first domain", tt.alone, b.rehearse, "d0.example.com")
			check("Rehearse of its sibling", tt.sibling, b.rehearse, "d1.example.com")
			check("Rehearse of the zone's apex", tt.apex, b.rehearse, "example.com")
			check("Rehearse of the first domain again", tt.again, b.rehearse, "d0.example.com")
			check("Examine of a sibling", tt.examined, b.examine, "d2.example.com")
			s := b.doctor.Stats()
			doh, direct := b.doh.Load(), b.udp.Load()+b.tcp.Load()
			if s.ResolverQueries != uint64(doh) || s.ServerQueries != uint64(direct) ||
				s.Reused == 0 || s.Entries == 0 || s.Bytes < s.Entries {
				t.Errorf("Stats() = %+v, want %d queries to resolvers, %d to name servers, and entries",
					s, doh, direct)
			}
		})
	}
}

// TestRehearsalsFindWhatExaminationsFind rehearses the domain of every situation after a sibling,
// and again after itself. The findings are those of an examination with a new doctor.
func TestRehearsalsFindWhatExaminationsFind(t *testing.T) {
	t.Parallel()
	for _, tt := range allSituations() {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				want, err := doctor(tt.resolvers, tt.servers).Examine(t.Context(), tt.domain,
					target, tt.wildcard, tt.cas)
				if err != nil {
					t.Fatal(err)
				}
				d := doctor(tt.resolvers, tt.servers)
				for _, domain := range []string{"sibling." + tt.domain, tt.domain, tt.domain} {
					got, err := d.Rehearse(t.Context(), domain, target, tt.wildcard, tt.cas)
					if err != nil {
						t.Fatal(err)
					}
					if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(controlplane.Diagnosis{},
						"Evidence")); domain == tt.domain && diff != "" {
						t.Errorf("Rehearse(%s) differs from Examine (-Examine +Rehearse):\n%s", domain,
							diff)
					}
				}
			})
		})
	}
}

// TestChallengeNamesAreAlwaysQueried counts the queries that CAs send: each rehearsal sends them to
// each resolver and server, even for a domain that was just rehearsed.
func TestChallengeNamesAreAlwaysQueried(t *testing.T) {
	t.Parallel()
	b := newBatch(t, 2)
	for range 3 {
		b.forget()
		b.rehearse("d0.example.com")
		for part, want := range map[string]int{"doh TXT _acme-challenge.d0.example.com.": 2,
			"udp TXT _acme-challenge.d0.example.com.": 2,
			"tcp TXT _acme-challenge.d0.example.com.": 2} {
			if n := b.sent(part); n != want {
				t.Errorf("a rehearsal sent %d queries %s, want %d", n, part, want)
			}
		}
	}
	b.change(func(v view) view {
		return v.except(rule{at: "_acme-challenge.d0.", answer: []string{
			"_acme-challenge.d0.example.com. 300 IN CNAME other.example.net."}})
	})
	wantCode(t, "Rehearse after the CNAME changed", b.rehearse("d0.example.com"),
		controlplane.CauseCNAMEMismatch)
	wantCode(t, "Rehearse of a sibling", b.rehearse("d1.example.com"), controlplane.CauseOK)
}

const (
	letsOne   = `example.com. 300 IN CAA 0 issue "letsencrypt.org"`
	letsOther = `example.com. 300 IN CAA 0 issue "digicert.com"`
)

// replaced returns the view with one record in place of another.
func (v view) replaced(from, to string) view {
	v.records = slices.Clone(v.records)
	for i, r := range v.records {
		if r == from {
			v.records[i] = to
		}
	}
	return v
}

// TestRehearsalsSeeAChangedParent changes the CAA records of the zone's apex. A rehearsal of a
// sibling sees that when their TTL has passed, and an examination at once.
func TestRehearsalsSeeAChangedParent(t *testing.T) {
	t.Parallel()
	b := newBatch(t, 2, letsOne)
	wantCode(t, "Rehearse", b.rehearse("d0.example.com"), controlplane.CauseOK)
	b.change(func(v view) view { return v.replaced(letsOne, letsOther) })
	b.later(299 * time.Second)
	e := b.rehearse("d1.example.com")
	wantCode(t, "Rehearse within the TTL", e, controlplane.CauseOK)
	if at := e.Delegation.CheckedAt; !at.Equal(noon) {
		t.Errorf("CheckedAt = %s, want the time of the oldest answer, %s", at, noon)
	}
	b.later(time.Second)
	e = b.rehearse("d2.example.com")
	wantCode(t, "Rehearse after the TTL", e, controlplane.CauseCAAForbids)
	if at := e.Cause().CheckedAt; !at.Equal(noon.Add(300 * time.Second)) {
		t.Errorf("CheckedAt of a cause = %s, want now, %s", at, noon.Add(300*time.Second))
	}
}

// TestExaminationsReuseNothing changes the CAA records of the zone's apex. An examination sees that
// within their TTL, and so does every rehearsal after it.
func TestExaminationsReuseNothing(t *testing.T) {
	t.Parallel()
	b := newBatch(t, 2, letsOne)
	wantCode(t, "Rehearse", b.rehearse("d0.example.com"), controlplane.CauseOK)
	b.change(func(v view) view { return v.replaced(letsOne, letsOther) })
	b.later(time.Second)
	wantCode(t, "Rehearse before the examination", b.rehearse("d1.example.com"),
		controlplane.CauseOK)
	e := b.examine("d1.example.com")
	wantCode(t, "Examine", e, controlplane.CauseCAAForbids)
	if at := e.Cause().CheckedAt; !at.Equal(noon.Add(time.Second)) {
		t.Errorf("CheckedAt = %s, want now, %s", at, noon.Add(time.Second))
	}
	wantCode(t, "Rehearse after the examination", b.rehearse("d2.example.com"),
		controlplane.CauseCAAForbids)
}

// TestCausesAreConfirmed removes the CAA records that forbid issuance. The next rehearsal sees that
// within their TTL: it repeats the queries for the answers that show a cause, and only those.
func TestCausesAreConfirmed(t *testing.T) {
	t.Parallel()
	b := newBatch(t, 2, letsOther)
	wantCode(t, "Rehearse", b.rehearse("d0.example.com"), controlplane.CauseCAAForbids)
	b.change(func(v view) view { return v.replaced(letsOther, letsOne) })
	b.forget()
	e := b.rehearse("d1.example.com")
	wantCode(t, "Rehearse after the fix", e, controlplane.CauseOK)
	if at := e.Delegation.CheckedAt; !at.Equal(noon) {
		t.Errorf("CheckedAt = %s, want %s", at, noon)
	}
	for part, want := range map[string]int{"TXT _acme-challenge.d1.": 6, "CAA d1.example.com.": 3,
		"CAA example.com.": 3, "CAA com.": 1, "NS example.com.": 1, "A ns1.example.net.": 1} {
		if n := b.sent(" " + part); n != want {
			t.Errorf("a rehearsal that contradicts the cache sent %d queries %s, want %d", n, part,
				want)
		}
	}
}

// TestFailuresAreNotKept lets the queries that siblings share fail in each way. The next rehearsal
// succeeds as soon as they do.
func TestFailuresAreNotKept(t *testing.T) {
	t.Parallel()
	for what, broken := range map[string]rule{
		"SERVFAIL":          {rcode: dns.RcodeServerFailure},
		"REFUSED":           {rcode: dns.RcodeRefused},
		"truncated":         {truncated: true},
		"silence":           {silent: true},
		"not authoritative": {lame: true, network: "udp"}, // only CAA is queried at servers
		"no SOA":            {nothing: true},
	} {
		for _, q := range []uint16{dns.TypeCAA, dns.TypeNS, dns.TypeA, dns.TypeSOA} {
			if broken.network != "" && q != dns.TypeCAA {
				continue
			}
			t.Run(what+" for "+dns.TypeToString[q], func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					fine := newBatch(t, 2)
					fine.rehearse("d0.example.com")
					want := fine.rehearse("d1.example.com")

					b := newBatch(t, 2)
					healthy := b.view
					rule := broken
					rule.qtype = q
					b.change(func(v view) view { return v.except(rule) })
					b.rehearse("d0.example.com")
					b.change(func(view) view { return healthy })
					b.forget()
					got := b.rehearse("d1.example.com")
					if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(controlplane.Diagnosis{},
						"Evidence")); diff != "" {
						t.Errorf("Rehearse after the failure (-never failed +got):\n%s", diff)
					}
					if n := b.sent(" " + dns.TypeToString[q] + " "); n == 0 {
						t.Errorf("Rehearse after the failure sent no %s query, want some",
							dns.TypeToString[q])
					}
				})
			})
		}
	}
}

// TestConcurrentRehearsalsShareQueries rehearses all siblings at once. Each shared query is sent
// once.
func TestConcurrentRehearsalsShareQueries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, shareQueries) // no query is late, and sent again
}

func shareQueries(t *testing.T) {
	b := newBatch(t, 2)
	var wg sync.WaitGroup
	for i := range siblings {
		wg.Go(func() {
			domain := fmt.Sprintf("d%d.example.com", i)
			e, err := b.doctor.Rehearse(t.Context(), domain, target, i%2 == 0, bothCAs)
			if err != nil || !e.OK() {
				t.Errorf("Rehearse(%s) = %s, %v, want ok", domain, e.Cause().Code, err)
			}
		})
	}
	wg.Wait()
	for part, want := range map[string]int{"doh NS example.com.": 1, "doh A ns1.example.net.": 1,
		"doh A ns2.example.net.": 1, "doh CAA example.com.": 1, "udp CAA example.com.": 2,
		"doh CAA com.": 1, "doh SOA .": 1, "doh NS": 1,
		"doh TXT": 2 * siblings, "udp TXT": 2 * siblings, "tcp TXT": 2 * siblings,
		"doh CAA d": siblings, "udp CAA d": 2 * siblings} {
		if n := b.sent(part); n != want {
			t.Errorf("%d concurrent rehearsals sent %d queries %s, want %d", siblings, n, part,
				want)
		}
	}
}
