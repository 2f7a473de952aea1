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
}

// newLimiter returns nil, which lets everything pass, where rate is 0.
func newLimiter(rate int, exempt []netip.Prefix) *limiter {
	if rate == 0 {
		return nil
	}
	return &limiter{every: int64(time.Second) / int64(rate), exempt: exempt,
		seed: maphash.MakeSeed(), at: make([]atomic.Int64, limiterSlots)}
}

// allow counts one answer to a client. Over the limit it reports false, and the client gets a
// truncated answer: no larger than the question, so that a spoofed flood gains nothing from it,
// while the real client in the spoofed network learns to come over TCP. (To drop some of these
// answers would cost that client a timeout each time.)
func (l *limiter) allow(client netip.Addr, now int64) bool {
	if l == nil {
		return true
	}
	client = client.Unmap()
	a, n := client.As16(), 7 // /56
	if client.Is4() {
		n = 15 // /24, behind the 96 bits of the mapping
	}
	return take(&l.at[maphash.Bytes(l.seed, a[:n])%limiterSlots], now, l.every, int64(time.Second)) ||
		within(l.exempt, client)
}

// within reports whether an address is in one of the networks.
func within(networks []netip.Prefix, a netip.Addr) bool {
	for _, p := range networks {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
