package dnscheck_test

import "testing"

// TestQueriesOfAnExamination counts the queries of one check, with two resolvers and two name
// servers.
func TestQueriesOfAnExamination(t *testing.T) {
	t.Parallel()
	fine := zone.with(fineAt)
	for _, tt := range []struct {
		what               string
		resolvers, servers view
		doh, udp, tcp      int32
	}{
		{"delegated", fine, fine, 9, 4, 2},
		{"delegated, by a chain of 4", zone.with(hops(3)...), zone.with(hops(1)[0]), 10, 4, 2},
		{"missing", zone, zone, 9, 9, 2},
		{"TXT in its place", zone.with(`_acme-challenge.example.com. 60 IN TXT "old"`),
			zone.with(`_acme-challenge.example.com. 60 IN TXT "old"`), 9, 8, 2},
		{"other target", zone.with("_acme-challenge.example.com. 60 IN CNAME other.example.net."),
			zone.with("_acme-challenge.example.com. 60 IN CNAME other.example.net."), 12, 7, 2},
		{"negative cached", zone, fine, 9, 4, 2},
	} {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			d, c := connected(two(tt.resolvers), two(tt.servers))
			if _, err := d.Examine(t.Context(), "example.com", target, false,
				bothCAs); err != nil {
				t.Fatal(err)
			}
			doh, udp, tcp := c.doh.Load(), c.udp.Load(), c.tcp.Load()
			if doh != tt.doh || udp != tt.udp || tcp != tt.tcp {
				t.Errorf("Examine sent %d queries over DoH, %d over UDP, %d over TCP, want %d, %d, %d",
					doh, udp, tcp, tt.doh, tt.udp, tt.tcp)
			}
		})
	}
}
