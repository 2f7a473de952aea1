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
				if err := dnscheck.WaitTXT(ctx, addrs, target, []string{"one", "two"}); err != nil {
					t.Fatal(err)
				}
				return
			}
			// On a busy machine, the last query can be too late to have an answer.
			var err error
			for range 20 {
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				err = dnscheck.WaitTXT(ctx, addrs, target, []string{"one", "two"})
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

func TestWaitTXTNeedsServers(t *testing.T) {
	t.Parallel()
	if err := dnscheck.WaitTXT(t.Context(), nil, target, []string{"one"}); err == nil {
		t.Error("WaitTXT without servers = nil error, want an error")
	}
}

func TestWaitTXTNamesTheServer(t *testing.T) {
	t.Parallel()
	good := serveDNS(t, view{records: []string{target + `. 1 IN TXT "one"`}})
	bad := serveDNS(t, view{})
	var err error
	for range 5 { // as in TestWaitTXT
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		err = dnscheck.WaitTXT(ctx, []string{good, bad}, target, []string{"one"})
		cancel()
		if err != nil && strings.Contains(err.Error(), bad+" answered NXDOMAIN") &&
			!strings.Contains(err.Error(), good) {
			return
		}
	}
	t.Errorf("WaitTXT error = %v, want it to name only %s", err, bad)
}
