package dnscheck_test

import "testing"

// TestQueriesAreBounded counts the queries of one check, with two resolvers and two name servers.
func TestQueriesAreBounded(t *testing.T) {
	t.Parallel()
	fine := zone.with(fineAt)
	for _, tt := range []struct {
		what               string
		resolvers, servers view
		doh, udp, tcp      int32 // the largest number
	}{
		{"delegated", fine, fine, 14, 4, 2},
		{"delegated, by a chain of 4", zone.with(hops(3)...), zone.with(hops(1)[0]), 18, 4, 2},
		{"missing", zone, zone, 14, 9, 2},
		{"TXT in its place", zone.with(`_acme-challenge.example.com. 60 IN TXT "old"`),
			zone.with(`_acme-challenge.example.com. 60 IN TXT "old"`), 14, 8, 2},
		{"other target", zone.with("_acme-challenge.example.com. 60 IN CNAME other.example.net."),
			zone.with("_acme-challenge.example.com. 60 IN CNAME other.example.net."), 20, 7, 2},
		{"negative cached", zone, fine, 14, 4, 2},
	} {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			d, c := connected(two(tt.resolvers), two(tt.servers))
			if _, err := d.Examine(t.Context(), "example.com", target, false,
				bothCAs); err != nil {
				t.Fatal(err)
			}
			doh, udp, tcp := c.doh.Load(), c.udp.Load(), c.tcp.Load()
			t.Logf("%s: %d over DoH, %d over UDP, %d over TCP", tt.what, doh, udp, tcp)
			if doh > tt.doh || udp > tt.udp || tcp > tt.tcp {
				t.Errorf("Examine sent %d queries over DoH, %d over UDP, %d over TCP, want at most %d, %d, %d",
					doh, udp, tcp, tt.doh, tt.udp, tt.tcp)
			}
		})
	}
}
