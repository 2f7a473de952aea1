package dnscheck

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

// cacheWorld is a cache with a clock, and counts the queries of its callers.
type cacheWorld struct {
	*cache
	clock   time.Time
	queries int
	reply   reply // to the next queries
}

func newCacheWorld(size int) *cacheWorld {
	w := &cacheWorld{clock: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	w.cache = newCache(func() time.Time { return w.clock }, size)
	return w
}

// ask asks for the CAA records of a name, requested after since.
func (w *cacheWorld) ask(name string, since moment) answer {
	return w.get(context.Background(), caaKey(name), since, func(context.Context) reply {
		w.queries++
		return w.reply
	})
}

func caaKey(name string) key {
	return key{source: "resolver", question: question{name: name, qtype: dns.TypeCAA}}
}

// message returns a reply with records in zone-file form. SOA records are in its authority section.
func message(rcode int, records ...string) reply {
	m := new(dns.Msg)
	m.SetQuestion("example.com.", dns.TypeCAA)
	m.Response, m.Rcode = true, rcode
	for _, s := range records {
		rr, err := dns.NewRR(s)
		if err != nil {
			panic(err)
		}
		if rr.Header().Rrtype == dns.TypeSOA {
			m.Ns = append(m.Ns, rr)
		} else {
			m.Answer = append(m.Answer, rr)
		}
	}
	return reply{msg: m}
}

const (
	issues = `example.com. 300 IN CAA 0 issue "letsencrypt.org"`
	soa    = "example.com. 600 IN SOA ns. h. 1 2 3 4 120"
)

func TestLifetimeOfAnswers(t *testing.T) {
	t.Parallel()
	lame, truncated := message(0, issues), message(0, issues)
	lame.err, truncated.err = errLame, errTruncated
	for _, tt := range []struct {
		what  string
		reply reply
		want  time.Duration
	}{
		{"records", message(0, issues), 300 * time.Second},
		{"the shortest TTL", message(0, "example.com. 60 IN CNAME a.example.net.",
			`a.example.net. 300 IN CAA 0 issue ";"`), time.Minute},
		{"a long TTL", message(0, `example.com. 604800 IN CAA 0 issue ";"`), longestReuse},
		{"a TTL of 0", message(0, `example.com. 0 IN CAA 0 issue ";"`), 0},
		{"no records", message(0, soa), 120 * time.Second},
		{"NXDOMAIN", message(dns.RcodeNameError, soa), 120 * time.Second},
		{"the SOA's TTL", message(0, "example.com. 30 IN SOA ns. h. 1 2 3 4 120"),
			30 * time.Second},
		{"a long negative TTL", message(0, "example.com. 86400 IN SOA ns. h. 1 2 3 4 86400"),
			longestNegative},
		{"a CNAME to no records", message(0, "example.com. 60 IN CNAME a.example.net.", soa),
			time.Minute},
		{"no records and no SOA", message(0), 0},
		{"a CNAME and no SOA", message(0, "example.com. 60 IN CNAME a.example.net."), 0},
		{"SERVFAIL", message(dns.RcodeServerFailure, issues), 0},
		{"an answer that is not authoritative", lame, 0},
		{"a truncated answer", truncated, 0},
		{"an error", reply{err: errors.New("timed out")}, 0},
	} {
		if got := tt.reply.lifetime(dns.TypeCAA); got != tt.want {
			t.Errorf("lifetime of %s = %s, want %s", tt.what, got, tt.want)
		}
	}
}

func TestCacheKeepsAnAnswerForItsTTL(t *testing.T) {
	t.Parallel()
	w := newCacheWorld(cacheSize)
	w.reply = message(0, issues)
	first := w.ask("example.com.", 0)
	w.clock = w.clock.Add(299 * time.Second)
	again := w.ask("example.com.", 0)
	if w.queries != 1 || again.sent != first.sent || !again.at.Equal(first.at) ||
		again.msg.String() != first.msg.String() {
		t.Errorf("after 299 s, get = %v, %d queries; want the first answer, %v", again, w.queries,
			first)
	}
	w.clock = w.clock.Add(time.Second)
	if w.has(caaKey("example.com."), 0) {
		t.Error("after the TTL, has = true, want false")
	}
	if got := w.ask("example.com.", 0); w.queries != 2 || got.sent <= first.sent {
		t.Errorf("after the TTL, get sent %d queries in all, want 2", w.queries)
	}
	if got := w.ask("example.com.", w.moment()); w.queries != 3 || got.sent <= first.sent {
		t.Errorf("get of a current answer sent %d queries in all, want 3", w.queries)
	}
}

// TestCacheForgetsAfterAFailure checks that a failure is not kept, and that neither is the answer
// before it.
func TestCacheForgetsAfterAFailure(t *testing.T) {
	t.Parallel()
	w := newCacheWorld(cacheSize)
	w.reply = message(0, issues)
	w.ask("example.com.", 0)
	w.reply = message(dns.RcodeServerFailure)
	if got := w.ask("example.com.", w.moment()); got.usable() {
		t.Errorf("get of a current answer = %v, want the failure", got)
	}
	for range 2 {
		if got := w.ask("example.com.", 0); got.usable() {
			t.Errorf("get after a failure = %v, want another query that fails", got)
		}
	}
	if w.queries != 4 || len(w.entries) != 0 || w.used != 0 {
		t.Errorf("%d queries, %d entries of %d bytes; want 4, 0, 0", w.queries, len(w.entries),
			w.used)
	}
}

// TestCacheIsBounded keeps more answers than the cache can hold. It removes those that were not
// used for the longest time, and a large answer takes the place of many.
func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	const size = 64 << 10
	w := newCacheWorld(size)
	w.reply = message(0, issues)
	for i := range 1000 {
		w.ask("used.example.com.", 0)
		w.ask(fmt.Sprintf("d%d.example.com.", i), 0)
		if w.used > size {
			t.Fatalf("after %d answers, the cache uses %d bytes, want at most %d", i, w.used, size)
		}
	}
	if w.queries != 1001 {
		t.Errorf("%d queries for 1000 names and one that is used, want 1001", w.queries)
	}
	if n := len(w.entries); n < 100 || n != w.recent.Len() {
		t.Errorf("the cache has %d entries, of %d in its list; want at least 100", n,
			w.recent.Len())
	}
	var large []string
	for i := range 200 {
		large = append(large, fmt.Sprintf(`example.com. 60 IN CAA 0 issue "%d%s"`, i,
			strings.Repeat("x", 240)))
	}
	before := len(w.entries)
	w.reply = message(0, large...)
	w.ask("large.example.com.", 0)
	if n := len(w.entries); w.used > size || n >= before {
		t.Errorf("after a large answer, %d entries of %d bytes; want fewer than %d of %d", n, w.used,
			before, size)
	}
	w.cache.size = 1000
	w.ask("larger.example.com.", 0)
	if len(w.entries) != 0 || w.used != 0 {
		t.Errorf("after an answer larger than the cache, %d entries of %d bytes; want none",
			len(w.entries), w.used)
	}
}

// TestQueryEndsWithItsLastCaller lets one of two callers leave, and then the other.
func TestQueryEndsWithItsLastCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newCacheWorld(cacheSize)
		w.reply = message(0, issues)
		w.ask("example.com.", 0)
		since := w.moment()
		ended := false
		query := func(ctx context.Context) reply {
			<-ctx.Done()
			ended = true
			return reply{err: ctx.Err()}
		}
		first, leaveFirst := context.WithCancel(t.Context())
		second, leaveSecond := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for _, ctx := range []context.Context{first, second} {
			wg.Go(func() {
				if a := w.get(ctx, caaKey("example.com."), since, query); !errors.Is(a.err,
					context.Canceled) {
					t.Errorf("get after its context = %v, want the context's error", a.err)
				}
			})
			synctest.Wait()
		}
		leaveFirst()
		synctest.Wait()
		if ended || len(w.flights) != 1 {
			t.Errorf("query ended = %v with %d queries in progress, want false, 1", ended,
				len(w.flights))
		}
		leaveSecond()
		wg.Wait()
		synctest.Wait()
		if !ended || len(w.flights) != 0 {
			t.Errorf("query ended = %v with %d queries in progress, want true, 0", ended,
				len(w.flights))
		}
		if !w.has(caaKey("example.com."), 0) {
			t.Error("has = false, want the earlier answer, because the query failed for no server")
		}
	})
}

// TestQueriesInProgressAreShared checks that a failure is given to every caller that waits for it,
// and that a caller that needs a current answer does not wait for an earlier query.
func TestQueriesInProgressAreShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newCacheWorld(cacheSize)
		sent := 0
		query := func(context.Context) reply {
			sent++
			time.Sleep(time.Second)
			return message(dns.RcodeServerFailure)
		}
		var wg sync.WaitGroup
		ask := func(since moment) {
			wg.Go(func() {
				if a := w.get(t.Context(), caaKey("example.com."), since, query); a.usable() ||
					a.msg == nil {
					t.Errorf("get = %v, want the failure", a)
				}
			})
			synctest.Wait()
		}
		for range 20 {
			ask(0)
		}
		if sent != 1 {
			t.Errorf("20 callers sent %d queries, want 1", sent)
		}
		now := w.moment()
		for range 20 {
			ask(now)
		}
		if sent != 2 {
			t.Errorf("20 callers and 20 later ones sent %d queries, want 2", sent)
		}
		wg.Wait()
		if len(w.flights) != 0 || len(w.entries) != 0 {
			t.Errorf("%d queries in progress and %d entries after a failure, want 0, 0",
				len(w.flights), len(w.entries))
		}
	})
}
