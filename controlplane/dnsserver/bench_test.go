package dnsserver

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/ipv4"
)

// numbered is a source of n targets, the first live of which have a challenge.
type numbered struct{ n, live int }

func (s numbered) Follow(ctx context.Context, f Feed) error {
	snap := f.StartSnapshot()
	for i := range s.n {
		snap.Target(numberedLabel(i))
		if i < s.live {
			snap.Challenge(Challenge{numberedLabel(i), fmt.Sprintf("%043d", i),
				time.Now().Add(time.Hour)})
		}
	}
	snap.Commit()
	<-ctx.Done()
	return ctx.Err()
}

func (numbered) Lookup(context.Context, string) (bool, []Challenge, error) {
	return false, nil, nil
}

// numberedLabel returns labels that are distributed like real ones, by a multiplicative hash.
func numberedLabel(i int) string {
	var k key
	x := uint64(i+1) * 0x9e3779b97f4a7c15
	binary.BigEndian.PutUint64(k[:], x)
	binary.BigEndian.PutUint64(k[8:], x*x)
	return k.String()
}

// TestMillionTargets checks the memory of a million targets. It is not parallel and runs before the
// parallel tests.
func TestMillionTargets(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	before := heap()
	s := startReady(t, testConfig(numbered{1_000_000, 1000}))
	if n := s.memory.targets.Load(); n != 1_000_000 {
		t.Fatalf("targets in memory = %d, want 1000000", n)
	}
	used := heap() - before
	t.Logf("1,000,000 targets and 1,000 challenges: %d MB", used>>20)
	if used > 100<<20 {
		t.Errorf("1,000,000 targets take %d octets, want at most 100 MB", used)
	}
	expect(t, "last target", askTXT(t, s, numberedLabel(999_999)), "NOERROR")
	runtime.KeepAlive(s)
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// questions packs TXT questions with EDNS for n targets.
func questions(b *testing.B, n int) [][]byte {
	b.Helper()
	all := make([][]byte, 0, 4096)
	for i := range cap(all) {
		m := query(numberedLabel(i*(n/1000+1)%n)+"."+testZone, dns.TypeTXT)
		pkt, err := m.SetEdns0(1232, false).Pack()
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, pkt)
	}
	return all
}

// BenchmarkAnswer measures an answer without the network, by the fast path and by miekg/dns.
func BenchmarkAnswer(b *testing.B) {
	for _, n := range []int{1000, 1_000_000} {
		s := startReady(b, testConfig(numbered{n, n}))
		pkts := questions(b, n)
		now := time.Now().UnixNano()
		out := make([]byte, 0, packetSize)
		b.Run(fmt.Sprintf("fast/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if r := s.answer(out, pkts[i%len(pkts)], false, now); r.rcode != 0 {
					b.Fatalf("answer() = rcode %d, want 0", r.rcode)
				}
			}
		})
		b.Run(fmt.Sprintf("slow/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if r := s.slow(out, pkts[i%len(pkts)], false, now, nil); r.rcode != 0 {
					b.Fatalf("slow() = rcode %d, want 0", r.rcode)
				}
			}
		})
	}
}

// BenchmarkUDP sends questions from eight sockets with 32 outstanding questions each, with rate
// limiting. The time includes the client's.
func BenchmarkUDP(b *testing.B) {
	for _, n := range []int{1000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			c := testConfig(numbered{n, n})
			c.RateLimit = 100_000_000
			s := startReady(b, c)
			pkts := questions(b, n)
			var left atomic.Int64
			left.Store(int64(b.N))
			b.ResetTimer()
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					if err := flood(s.Addr(), pkts, &left); err != nil {
						b.Error(err)
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "answers/s")
		})
	}
}

// flood sends questions until left is used up, 32 at a time.
func flood(addr string, pkts [][]byte, left *atomic.Int64) error {
	conn, err := net.Dial("udp", addr)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	pc := ipv4.NewPacketConn(conn.(*net.UDPConn))
	out, in := make([]ipv4.Message, 32), make([]ipv4.Message, 32)
	for i := range in {
		in[i].Buffers = [][]byte{make([]byte, 2048)}
	}
	for at := 0; left.Add(-32) > -32; at += 32 {
		for i := range out {
			out[i].Buffers = [][]byte{pkts[(at+i)%len(pkts)]}
		}
		if _, err := pc.WriteBatch(out, 0); err != nil {
			return err
		}
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		for got := 0; got < 32; {
			n, err := pc.ReadBatch(in, 0)
			if err != nil {
				return err
			}
			got += n
		}
	}
	return nil
}

// BenchmarkLatencyWhileWritten measures the 99th percentile of a question's round trip, without
// changes and with 10,000 changes per second from the feed.
func BenchmarkLatencyWhileWritten(b *testing.B) {
	for _, perTick := range []int{0, 10} {
		b.Run(fmt.Sprintf("%d_changes_per_second", perTick*1000), func(b *testing.B) {
			s := startReady(b, testConfig(numbered{100_000, 1000}))
			ctx, cancel := context.WithCancel(b.Context())
			var wg sync.WaitGroup
			wg.Go(func() { change(ctx, s, perTick) })
			conn, err := net.Dial("udp", s.Addr())
			if err != nil {
				b.Fatal(err)
			}
			pkts, buf := questions(b, 1000), make([]byte, 2048)
			var took []time.Duration
			for i := 0; b.Loop(); i++ {
				begin := time.Now()
				_, _ = conn.Write(pkts[i%len(pkts)])
				if _, err := conn.Read(buf); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(begin))
			}
			cancel()
			wg.Wait()
			_ = conn.Close()
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		})
	}
}

// change adds targets and challenges every millisecond and removes them again.
func change(ctx context.Context, s *Server, perTick int) {
	f := &feed{server: s}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for i := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for range perTick {
			l := numberedLabel(1_000_000 + i%5000)
			f.AddTarget(l)
			f.AddChallenge(Challenge{l, "v", time.Now().Add(time.Hour)})
			f.RemoveTarget(l)
			i++
		}
	}
}
