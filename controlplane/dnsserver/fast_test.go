package dnsserver

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// offline returns a server with content and without sockets. Its lookups return immediately, and
// its clock is constant.
func offline(t testing.TB) *Server {
	t.Helper()
	now := time.Now()
	expired := challenge(4, "expired")
	expired.ExpiresAt = now
	var many []Challenge
	for i := range 30 {
		many = append(many, challenge(3, strings.Repeat("v", 10*i)))
	}
	source := newSource(
		row{label(1), []Challenge{challenge(1, "one"), challenge(1, strings.Repeat("1", 300))}},
		row{label(2), nil}, row{label(3), many}, row{label(4), []Challenge{expired}})
	c := testConfig(source)
	c.Now = func() time.Time { return now }
	c.LookupRate = 1e9
	c.LookupConcurrency = 100
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop(t.Context()) })
	ctx := t.Context()
	go func() { _ = source.Follow(ctx, &feed{server: s}) }()
	eventually(t, "loaded", s.memory.synced.Load)
	source.put(label(5), challenge(5, "through")) // found only by a lookup
	source.put(label(6))
	return s
}

// settle returns the answers of both paths, after any lookup that they need.
func settle(s *Server, pkt []byte, tcp bool) (fast, slow reply, isFast bool) {
	now := s.now().UnixNano()
	for {
		q, ok := parse(pkt, false)
		if ok {
			fast, ok = s.fast(make([]byte, 0, 64), pkt, q, tcp, now)
		}
		slow = s.slow(make([]byte, 0, 64), pkt, tcp, now, nil)
		wait := slow.wait
		if ok && fast.wait != nil {
			wait = fast.wait
		}
		if wait == nil {
			return fast, slow, ok
		}
		<-wait.done
	}
}

// canonical formats a message without irrelevant differences: case matters in the question and the
// answer, not in the authority section.
func canonical(t testing.TB, wire []byte) string {
	t.Helper()
	m := new(dns.Msg)
	if err := m.Unpack(wire); err != nil {
		t.Fatalf("malformed answer: %v\n% x", err, wire)
	}
	ns := strings.ToLower(rrTexts(m.Ns))
	return strings.Join([]string{m.MsgHdr.String(), m.Question[0].String(), rrTexts(m.Answer), ns,
		rrTexts(m.Extra)}, "\n")
}

func compare(t testing.TB, s *Server, pkt []byte, tcp bool) (isFast bool) {
	t.Helper()
	fast, slow, isFast := settle(s, pkt, tcp)
	if !isFast {
		return false
	}
	if len(slow.wire) == 0 {
		t.Fatalf("only one path answers the query % x", pkt)
	}
	expect(t, "fast and slow path", canonical(t, fast.wire), canonical(t, slow.wire))
	if fast.rcode != slow.rcode || fast.qtype != slow.qtype || fast.tc != slow.tc {
		t.Errorf("fast = %+v, slow = %+v; want the same metrics", fast, slow)
	}
	return true
}

func TestFastIsSlow(t *testing.T) {
	t.Parallel()
	s := offline(t)
	r := rand.New(rand.NewPCG(1, 2))
	fast := 0
	const rounds = 20000
	for range rounds {
		pkt := randomQuery(t, r)
		if compare(t, s, pkt, r.IntN(4) == 0) {
			fast++
		}
		if t.Failed() {
			t.Fatalf("paths differ for the query % x", pkt)
		}
	}
	if fast < rounds/4 || fast > rounds*9/10 {
		t.Errorf("plain questions = %d of %d, outside the expected range", fast, rounds)
	}
}

// randomQuery returns a query that is mostly valid.
func randomQuery(t testing.TB, r *rand.Rand) []byte {
	t.Helper()
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	first := label(r.IntN(8))
	if r.IntN(4) == 0 {
		first = pick("www", "ns1", "dns", "ns2.dns", "_acme-challenge", label(1)[:31], label(1)+"a",
			"x."+label(1), label(1)[:31]+"8",
			`a\.b`, `\000`, `\255`, label(1)[:28]+`\.acme`, strings.Repeat("a", 63), "")
	}
	name := pick(testZone, testZone, testZone, testZone, testZone, "dcvaas-verify.com.",
		"example.com.", ".")
	if first != "" {
		name = first + "." + strings.TrimPrefix(name, ".")
	}
	m := new(dns.Msg).SetQuestion(randomCase(r, name),
		[]uint16{16, 16, 16, 1, 28, 257, 2, 6, 255, 252, 41, 0, 128, 249, 65280}[r.IntN(15)])
	m.RecursionDesired, m.CheckingDisabled, m.AuthenticatedData, m.Zero, m.Authoritative = r.IntN(
		2) == 0, r.IntN(2) == 0, r.IntN(2) == 0, r.IntN(9) == 0, r.IntN(9) == 0
	if r.IntN(20) == 0 {
		m.Question[0].Qclass = uint16(r.IntN(5))
	}
	if r.IntN(2) == 0 {
		m.SetEdns0([]uint16{0, 511, 512, 700, 1232, 4096}[r.IntN(6)], r.IntN(2) == 0)
		o := m.IsEdns0()
		switch r.IntN(8) {
		case 0:
			o.Option = append(o.Option, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE,
				Cookie: "0102030405060708"})
		case 1:
			o.Option = append(o.Option, &dns.EDNS0_NSID{Code: dns.EDNS0NSID},
				&dns.EDNS0_PADDING{Padding: make([]byte, 9)})
		case 2:
			o.Option = append(o.Option, &dns.EDNS0_LOCAL{Code: 65001, Data: []byte{1}})
		case 3:
			o.SetVersion(uint8(r.IntN(3)))
		}
	}
	pkt, err := m.Pack()
	if err != nil {
		t.Fatalf("pack %s: %v", m, err)
	}
	switch r.IntN(30) {
	case 0:
		pkt = pkt[:r.IntN(len(pkt))]
	case 1:
		pkt = append(pkt, 0)
	case 2:
		pkt[r.IntN(len(pkt))] ^= 1 << r.IntN(8)
	}
	return pkt
}

func randomCase(r *rand.Rand, name string) string {
	b := []byte(name)
	for i, c := range b {
		if c >= 'a' && c <= 'z' && r.IntN(3) == 0 {
			b[i] = c - 'a' + 'A'
		}
	}
	return string(b)
}

// FuzzQuery sends arbitrary messages to both paths: they do not panic, they agree, no answer is too
// long, and no answer triggers a response.
func FuzzQuery(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 100 {
		f.Add(randomQuery(f, r), r.IntN(2) == 0)
	}
	s := offline(f)
	f.Fuzz(func(t *testing.T, pkt []byte, tcp bool) {
		before := bytes.Clone(pkt)
		compare(t, s, pkt, tcp)
		_, slow, _ := settle(s, pkt, tcp)
		if !bytes.Equal(pkt, before) {
			t.Error("answering modified the question")
		}
		if len(slow.wire) > 0 && (len(slow.wire) < headerLen || slow.wire[2]&0x80 == 0 || !tcp &&
			len(slow.wire) > udpSize) {
			t.Errorf("invalid answer: % x", slow.wire)
		}
		if q, ok := parse(pkt, false); ok {
			canonical(t, truncated(nil, pkt, q))
		}
	})
}
