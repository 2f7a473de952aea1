package dnscheck_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/dnscheck"
)

// countdown answers like before until it was asked so often, and like after from then on.
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
		what    string
		servers []dns.Handler
		say     []string // in the error; none where it succeeds
	}{
		{what: "at once", servers: []dns.Handler{both, both}},
		{what: "others beside them", servers: []dns.Handler{both.with(target + `. 1 IN TXT "three"`)}},
		{what: "one comes later", servers: []dns.Handler{both, countdown(5, nothing, both)}},
		{what: "second value comes later", servers: []dns.Handler{countdown(3, one, both)}},
		{what: "after failures", servers: []dns.Handler{countdown(3, fails, both)}},
		{what: "after silence", servers: []dns.Handler{countdown(1, silent, both)}},
		{what: "over TCP", servers: []dns.Handler{view{records: both.records, noUDP: true}}},
		{what: "never there", servers: []dns.Handler{both, nothing}, say: []string{"NXDOMAIN"}},
		{what: "one value only", servers: []dns.Handler{one}, say: []string{`not "two"`}},
		{what: "fails", servers: []dns.Handler{fails, both}, say: []string{"SERVFAIL"}},
		{what: "silent", servers: []dns.Handler{silent}, say: []string{"did not answer"}},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			var addrs []string
			for _, h := range tt.servers {
				addrs = append(addrs, serveDNS(t, h))
			}
			limit := 20 * time.Second
			if len(tt.say) > 0 {
				limit = time.Second
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			err := dnscheck.WaitTXT(ctx, addrs, target, []string{"one", "two"})
			if len(tt.say) == 0 {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("error is %v", err)
			}
			for _, s := range tt.say {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("%q does not say %q", err, s)
				}
			}
		})
	}
}

func TestWaitTXTNeedsServers(t *testing.T) {
	t.Parallel()
	if err := dnscheck.WaitTXT(t.Context(), nil, target, []string{"one"}); err == nil {
		t.Error("waiting for no server at all succeeded")
	}
}

func TestWaitTXTNamesTheServer(t *testing.T) {
	t.Parallel()
	good := serveDNS(t, view{records: []string{target + `. 1 IN TXT "one"`}})
	bad := serveDNS(t, view{})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	err := dnscheck.WaitTXT(ctx, []string{good, bad}, target, []string{"one"})
	if err == nil || !strings.Contains(err.Error(), bad+" said NXDOMAIN") || strings.Contains(err.Error(), good) {
		t.Errorf("error is %v", err)
	}
}
