package dnscheck_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/dnscheck"
)

// countdown answers like before until it has received n queries, and like after from then on.
func countdown(n int32, before, after view) dns.Handler {
	var asked atomic.Int32
	return dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
		if asked.Add(1) <= n {
			before.ServeDNS(w, r)
			return
		}
		after.ServeDNS(w, r)
	})
}

func TestWaitTXT(t *testing.T) {
	t.Parallel()
	one := view{records: []string{target + `. 1 IN TXT "one"`}}
	both := one.with(target + `. 1 IN TXT "two"`)
	nothing, fails, silent := view{}, view{rcode: dns.RcodeServerFailure}, view{silent: true}
	tests := []struct {
		what     string
		servers  []dns.Handler
		contains []string // parts of the error; empty on success
	}{
		{what: "at once", servers: []dns.Handler{both, both}},
		{what: "besides other values",
			servers: []dns.Handler{both.with(target + `. 1 IN TXT "three"`)}},
		{what: "one server is later", servers: []dns.Handler{both, countdown(5, nothing, both)}},
		{what: "second value is later", servers: []dns.Handler{countdown(3, one, both)}},
		{what: "after failures", servers: []dns.Handler{countdown(3, fails, both)}},
		{what: "after silence", servers: []dns.Handler{countdown(1, silent, both)}},
		{what: "over TCP", servers: []dns.Handler{view{records: both.records, noUDP: true}}},
		{what: "never served", servers: []dns.Handler{both, nothing},
			contains: []string{"NXDOMAIN"}},
		{what: "one value only", servers: []dns.Handler{one}, contains: []string{`not "two"`}},
		{what: "fails", servers: []dns.Handler{fails, both}, contains: []string{"SERVFAIL"}},
		{what: "silent", servers: []dns.Handler{silent}, contains: []string{"did not answer"}},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			var addrs []string
			for _, h := range tt.servers {
				addrs = append(addrs, serveDNS(t, h))
			}
			if len(tt.contains) == 0 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if err := dnscheck.WaitTXT(ctx, fixed(addrs...), target,
					[]string{"one", "two"}); err != nil {
					t.Fatal(err)
				}
				return
			}
			// On a busy machine, the last query can be too late to have an answer.
			var err error
			for range 20 {
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				err = dnscheck.WaitTXT(ctx, fixed(addrs...), target, []string{"one", "two"})
				cancel()
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Fatalf("WaitTXT error = %v, want one of the context", err)
				}
				if !slices.ContainsFunc(tt.contains, func(part string) bool {
					return !strings.Contains(err.Error(), part)
				}) {
					return
				}
			}
			t.Errorf("WaitTXT error = %q, want it to contain %q", err, tt.contains)
		})
	}
}

func fixed(servers ...string) dnscheck.Servers {
	return func(context.Context) ([]string, error) { return servers, nil }
}

// sets is a set of servers that changes with each read. The last one stays.
func sets(reads ...func() ([]string, error)) dnscheck.Servers {
	n := 0
	return func(context.Context) ([]string, error) {
		n++
		return reads[min(n, len(reads))-1]()
	}
}

func TestWaitTXTFollowsTheSetOfServers(t *testing.T) {
	t.Parallel()
	good := serveDNS(t, view{records: []string{target + `. 1 IN TXT "one"`}})
	stale := serveDNS(t, view{})
	later := serveDNS(t, countdown(3, view{}, view{records: []string{target + `. 1 IN TXT "one"`}}))
	set := func(servers ...string) func() ([]string, error) {
		return func() ([]string, error) { return servers, nil }
	}
	unread := func() ([]string, error) { return nil, errors.New("the database is away") }
	for _, tt := range []struct {
		what    string
		servers dnscheck.Servers
		err     string // part of the error; empty on success
	}{
		{"a stale server leaves", sets(set(good, stale), set(good)), ""},
		{"a server joins and is waited for", sets(set(stale), set(stale, later), set(later)), ""},
		{"the first read fails", sets(unread, set(good)), ""},
		{"a later read fails", sets(set(later), unread), ""},
		{"nobody is in the set", sets(set()), "no name server is able to serve them"},
		{"the set is never read", sets(unread), "the database is away"},
	} {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			limit := time.Minute
			if tt.err != "" {
				limit = time.Second
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			err := dnscheck.WaitTXT(ctx, tt.servers, target, []string{"one"})
			if tt.err == "" && err != nil {
				t.Errorf("WaitTXT = %v, want no error", err)
			}
			if tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("WaitTXT = %v, want an error that contains %q", err, tt.err)
			}
		})
	}
}

func TestWaitTXTNamesTheServer(t *testing.T) {
	t.Parallel()
	good := serveDNS(t, view{records: []string{target + `. 1 IN TXT "one"`}})
	bad := serveDNS(t, view{})
	var err error
	for range 5 { // as in TestWaitTXT
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		err = dnscheck.WaitTXT(ctx, fixed(good, bad), target, []string{"one"})
		cancel()
		if err != nil && strings.Contains(err.Error(), bad+" answered NXDOMAIN") &&
			!strings.Contains(err.Error(), good) {
			return
		}
	}
	t.Errorf("WaitTXT error = %v, want it to name only %s", err, bad)
}
