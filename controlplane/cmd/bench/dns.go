package main

import (
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// benchZone is the validation zone that is measured.
const benchZone = "acme.dcvaas-verify.com"

// Sizes of the zone. At the large one, every target has a live value where answers are
// measured, which is far beyond what a real zone holds at a time, and a thousand have where
// memory is.
const (
	smallZone = 1_000
	largeZone = 1_000_000
	liveAtOne = 1_000
)

// dnsAnswers measures answers per second and CPU per answer over UDP, and memory. Each name
// server is a process of its own, so that its CPU can be told from that of who asks.
func dnsAnswers(b *bench, items []string) error {
	limit := findDNSLimit()
	asker := findDNSAsker(b.dir)
	if slices.Contains(items, "memory") {
		if err := b.dnsMemory(); err != nil {
			return err
		}
	}
	var small float64
	if slices.Contains(items, "txt") || slices.Contains(items, "nxdomain") {
		for _, n := range []int{smallZone, largeZone} {
			rate, err := b.dnsZone(limit, asker, n, items)
			if err != nil {
				return err
			}
			if n == smallZone {
				small = rate
			} else if small > 0 && rate > 0 {
				b.table.add("TXT over UDP, 1,000,000 targets beside 1,000", "/s", []float64{rate}, []float64{small}, ratioAtLeast(0.85))
			}
		}
	}
	b.table.note("dns: our server with EDNS, rate limiting (loopback exempt, as in the program) and metrics on, fed from memory, every target with a live value; limit: %s; asked by %s. CPU is the server's alone, user and system.", limit.describe, asker.describe)
	if !limit.peer {
		b.table.note("dns: targets are set against Knot, which is not installed here (nor NSD), so those rows are not judged.")
	}
	return nil
}

// dnsZone measures at one size of the zone, and returns our TXT answers per second.
func (b *bench) dnsZone(limit dnsLimit, asker dnsAsker, n int, items []string) (float64, error) {
	ours, err := b.startChild("ours", n, n)
	if err != nil {
		return 0, err
	}
	defer ours.stop()
	other, err := limit.start(b, n)
	if err != nil {
		return 0, err
	}
	defer other.stop()
	size := thousands(fmt.Sprint(n))
	rate := 0.0
	if slices.Contains(items, "txt") {
		r, err := b.dnsRounds("dns/txt-"+fmt.Sprint(n), ours, other, asker, liveNames(n), false)
		if err != nil {
			return 0, err
		}
		b.table.add("TXT over UDP, "+size+" targets", "/s", r[0].rate, r[1].rate, limit.judge(ratioAtLeast(0.9)))
		b.table.add("TXT over UDP, "+size+" targets, CPU an answer", "µs", r[0].cpu, r[1].cpu, limit.judge(ratioAtMost(1.2)))
		rate = median(r[0].rate)
	}
	if slices.Contains(items, "nxdomain") && n == smallZone {
		r, err := b.dnsRounds("dns/nxdomain", ours, other, asker, inventedNames(), true)
		if err != nil {
			return 0, err
		}
		b.table.add("NXDOMAIN over UDP, invented targets, "+size+" targets", "/s", r[0].rate, r[1].rate, limit.judge(ratioAtLeast(0.9)))
		b.table.add("NXDOMAIN over UDP, CPU an answer", "µs", r[0].cpu, r[1].cpu, target{})
		if rate > 0 {
			b.table.add("NXDOMAIN beside TXT, ours", "/s", []float64{median(r[0].rate)}, []float64{rate}, ratioAtLeast(0.9))
		}
	}
	return rate, nil
}

// dnsSide is what the rounds gave for one server.
type dnsSide struct{ rate, cpu []float64 }

func (b *bench) dnsRounds(name string, ours, limit *child, asker dnsAsker, names []string, absent bool) ([2]dnsSide, error) {
	var sides [2]dnsSide
	length := pick(b.options.quick, time.Second, 2*time.Second)
	questions, err := asker.prepare(names)
	if err != nil {
		return sides, err
	}
	turn := func(side *dnsSide, server *child) func(int) error {
		return func(int) error {
			before, err := server.cpu()
			if err != nil {
				return err
			}
			got, err := asker.ask(b.ctx, server.addr, questions, length, absent)
			if err != nil {
				return err
			}
			after, err := server.cpu()
			if err != nil {
				return err
			}
			if got.lost*1000 > got.answers {
				b.say("%s: %d of %d questions were lost", name, got.lost, got.answers+got.lost)
			}
			side.rate = append(side.rate, float64(got.answers)/got.elapsed.Seconds())
			side.cpu = append(side.cpu, float64((after-before).Microseconds())/float64(got.answers))
			return nil
		}
	}
	return sides, b.interleave(name, turn(&sides[0], ours), turn(&sides[1], limit))
}

// dnsMemory measures what a server holds with a zone of the large size.
func (b *bench) dnsMemory() error {
	s, err := b.startChild("ours", largeZone, liveAtOne)
	if err != nil {
		return err
	}
	defer s.stop()
	resident, err := s.resident()
	if err != nil {
		return err
	}
	b.table.add("memory of the name server, 1,000,000 targets, 1,000 live", "MB", []float64{resident}, nil, atMost(100, "MB"))
	return nil
}

// targetLabel returns the n-th target: evenly spread, as HMACs are.
func targetLabel(n int) string {
	var k [20]byte
	x := uint64(n+1) * 0x9e3779b97f4a7c15
	binary.BigEndian.PutUint64(k[:], x)
	binary.BigEndian.PutUint64(k[8:], x*x)
	return strings.ToLower(base32.StdEncoding.EncodeToString(k[:]))
}

// targetValue returns the TXT value that the n-th target has, as long as ACME's are.
func targetValue(n int) string { return fmt.Sprintf("%043d", n) }

// askedNames is how many different questions are asked at most.
const askedNames = 1 << 16

// liveNames returns names of a zone of n targets, at random.
func liveNames(n int) []string {
	names := make([]string, min(n, askedNames))
	for i := range names {
		pick := i
		if n > askedNames {
			pick = rand.IntN(n)
		}
		names[i] = targetLabel(pick) + "." + benchZone
	}
	return names
}

// inventedNames returns names that look like targets and are none, at which a server that
// can ask its source about what it does not hold works hardest.
func inventedNames() []string {
	names := make([]string, askedNames)
	for i := range names {
		names[i] = targetLabel(2*largeZone+i) + "." + benchZone
	}
	return names
}
