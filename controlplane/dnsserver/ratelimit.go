package dnsserver

import (
	"hash/maphash"
	"net/netip"
	"sync/atomic"
	"time"
)

// limiterSlots is how many client networks are told apart; two in one slot share its rate.
// The hash is seeded, so that nobody can choose to share another's.
const limiterSlots = 1 << 17

// limiter is the response-rate limit, by client network. It takes no lock and its size does
// not depend on who asks.
type limiter struct {
	every  int64 // nanoseconds between answers
	exempt []netip.Prefix
	seed   maphash.Seed
	at     []atomic.Int64
	over   atomic.Uint32
}

// newLimiter returns nil, which lets everything pass, where rate is 0.
func newLimiter(rate int, exempt []netip.Prefix) *limiter {
	if rate == 0 {
		return nil
	}
	return &limiter{every: int64(time.Second) / int64(rate), exempt: exempt,
		seed: maphash.MakeSeed(), at: make([]atomic.Int64, limiterSlots)}
}

// verdict is what becomes of an answer.
type verdict int

const (
	pass verdict = iota
	slip         // send it truncated
	drop
)

// check counts one answer to a client.
func (l *limiter) check(client netip.Addr, now int64) verdict {
	if l == nil {
		return pass
	}
	client = client.Unmap()
	a, n := client.As16(), 7 // /56
	if client.Is4() {
		n = 15 // /24, behind the 96 bits of the mapping
	}
	if take(&l.at[maphash.Bytes(l.seed, a[:n])%limiterSlots], now, l.every, int64(time.Second)) {
		return pass
	}
	for _, p := range l.exempt {
		if p.Contains(client) {
			return pass
		}
	}
	if l.over.Add(1)%2 == 0 {
		return slip
	}
	return drop
}
