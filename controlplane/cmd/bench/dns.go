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

// benchZone is the validation zone of the benchmarks.
const benchZone = "acme.dcvaas-verify.com"

// Sizes of the zone. In the large zone, every target has a pending challenge when answers are
// measured, which is far more than in a real zone. When memory is measured, a thousand targets have
// one.
const (
	smallZone = 1_000
	largeZone = 1_000_000
	liveAtOne = 1_000
)

// dnsAnswers measures answers per second and CPU per answer over UDP, and memory. Each name server
// is a separate process, so that its CPU time excludes the load generator.
func dnsAnswers(b *bench, items []string) error {
	limit := findDNSLimit()
	asker := findDNSAsker(b.dir)
	if slices.Contains(items, "memory") {
		if err := b.dnsMemory(); err != nil {
			return err
		}
	}
	if slices.Contains(items, "txt") || slices.Contains(items, "nxdomain") {
		if err := b.dnsOverUDP(limit, asker, items); err != nil {
			return err
		}
	}
	b.table.note(
		"dns: our server with EDNS, rate limiting (loopback exempt, as in the program) and metrics enabled, fed from memory, every target with a pending challenge, NXDOMAIN for invented targets; limit: %s; queried by %s. CPU is only that of the server, user and system.", limit.describe, asker.describe)
	if !limit.peer {
		b.table.note(
			"dns: the targets refer to Knot. Neither Knot nor NSD is installed, so those rows have no target.")
	}
	return nil
}

// dnsOverUDP measures answers with a small and a large zone, and compares both sizes of our server.
func (b *bench) dnsOverUDP(limit dnsLimit, asker dnsAsker, items []string) error {
	small, err := b.startChild("ours", smallZone, smallZone)
	if err != nil {
		return err
	}
	defer small.stop()
	if err := b.dnsZone(limit, asker, small, smallZone, items); err != nil ||
		!slices.Contains(items, "txt") {
		return err
	}
	large, err := b.startChild("ours", largeZone, largeZone)
	if err != nil {
		return err
	}
	defer large.stop()
	if err := b.dnsZone(limit, asker, large, largeZone, []string{"txt"}); err != nil {
		return err
	}
	r, err := b.dnsRounds("dns/flatness", [2]*child{large, small}, asker,
		[2][]string{liveNames(largeZone), liveNames(smallZone)}, [2]bool{})
	if err != nil {
		return err
	}
	b.table.add("TXT over UDP, ours: 1,000,000 targets beside 1,000", "/s", r[0].rate, r[1].rate,
		ratioAtLeast(0.85))
	b.table.add("TXT over UDP, ours: 1,000,000 targets beside 1,000, CPU", "µs", r[0].cpu, r[1].cpu,
		target{})
	return nil
}

// dnsZone compares our server with the limit, with a zone of n targets.
func (b *bench) dnsZone(limit dnsLimit, asker dnsAsker, ours *child, n int, items []string) error {
	other, err := limit.start(b, n)
	if err != nil {
		return err
	}
	defer other.stop()
	sides := [2]*child{ours, other}
	size := thousands(fmt.Sprint(n)) + " targets"
	if slices.Contains(items, "txt") {
		names := liveNames(n)
		r, err := b.dnsRounds("dns/txt-"+fmt.Sprint(n), sides, asker, [2][]string{names, names},
			[2]bool{})
		if err != nil {
			return err
		}
		b.table.add("TXT over UDP, "+size, "/s", r[0].rate, r[1].rate,
			limit.judge(ratioAtLeast(0.9)))
		b.table.add("TXT over UDP, "+size+", CPU an answer", "µs", r[0].cpu, r[1].cpu,
			limit.judge(ratioAtMost(1.2)))
	}
	if slices.Contains(items, "nxdomain") {
		invented := inventedNames()
		r, err := b.dnsRounds("dns/nxdomain", sides, asker, [2][]string{invented, invented},
			[2]bool{true, true})
		if err != nil {
			return err
		}
		b.table.add("NXDOMAIN over UDP, "+size, "/s", r[0].rate, r[1].rate,
			limit.judge(ratioAtLeast(0.9)))
		b.table.add("NXDOMAIN over UDP, "+size+", CPU an answer", "µs", r[0].cpu, r[1].cpu,
			target{})
		live := liveNames(n)
		if r, err = b.dnsRounds("dns/nxdomain-beside-txt", [2]*child{ours, ours}, asker,
			[2][]string{invented, live}, [2]bool{true, false}); err != nil {
			return err
		}
		b.table.add("NXDOMAIN over UDP, ours: beside TXT", "/s", r[0].rate, r[1].rate,
			ratioAtLeast(0.9))
	}
	return nil
}

// dnsSide has the results of one server.
type dnsSide struct{ rate, cpu []float64 }

// dnsRounds queries two servers in alternating rounds, each for its names. absent states for each
// whether every answer must be NXDOMAIN.
func (b *bench) dnsRounds(
	name string, servers [2]*child, asker dnsAsker, names [2][]string, absent [2]bool,
) ([2]dnsSide, error) {
	var sides [2]dnsSide
	var turns [2]func(int) error
	length := pick(b.options.quick, time.Second, 1500*time.Millisecond)
	for i, server := range servers {
		questions, err := asker.prepare(names[i])
		if err != nil {
			return sides, err
		}
		turns[i] = func(int) error {
			before, err := server.cpu()
			if err != nil {
				return err
			}
			got, err := asker.ask(b.ctx, server.addr, questions, length, absent[i])
			if err != nil {
				return err
			}
			after, err := server.cpu()
			if err != nil {
				return err
			}
			if got.lost*1000 > got.answers {
				b.say("%s: %d of %d queries were lost", name, got.lost, got.answers+got.lost)
			}
			sides[i].rate = append(sides[i].rate, float64(got.answers)/got.elapsed.Seconds())
			sides[i].cpu = append(sides[i].cpu,
				float64((after-before).Microseconds())/float64(got.answers))
			return nil
		}
	}
	err := b.interleave(name, turns[0], turns[1])
	return sides, err
}

// dnsMemory measures the memory of our server with the large zone.
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
	b.table.add("memory of the name server, 1,000,000 targets, 1,000 live",
		"MB", []float64{resident}, nil, atMost(100, "MB"))
	return nil
}

// targetLabel returns the label of the nth target. Labels are evenly distributed, like HMACs.
func targetLabel(n int) string {
	var k [20]byte
	x := uint64(n+1) * 0x9e3779b97f4a7c15
	binary.BigEndian.PutUint64(k[:], x)
	binary.BigEndian.PutUint64(k[8:], x*x)
	return strings.ToLower(base32.StdEncoding.EncodeToString(k[:]))
}

// targetValue returns the TXT value of the nth target, with the length of ACME's values.
func targetValue(n int) string { return fmt.Sprintf("%043d", n) }

// askedNames is the maximum number of different names that are queried.
const askedNames = 1 << 16

// liveNames returns random names of a zone of n targets.
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

// inventedNames returns names that look like targets but do not exist. They are the most expensive
// for a server that looks up missing names in its source.
func inventedNames() []string {
	names := make([]string, askedNames)
	for i := range names {
		names[i] = targetLabel(2*largeZone+i) + "." + benchZone
	}
	return names
}
