package dnsserver

import (
	"hash/maphash"
	"net/netip"
	"sync/atomic"
	"time"
)

// limiterSlots is the number of rate slots. Two networks in one slot share its rate. The hash is
// seeded, so that clients cannot choose to share another network's slot.
const limiterSlots = 1 << 17

// limiter limits the response rate per client network. It takes no lock, and its size does not
// depend on the number of clients.
type limiter struct {
	every  int64 // nanoseconds between answers
	exempt []netip.Prefix
	seed   maphash.Seed
	at     []atomic.Int64
}

// newLimiter returns a limiter, or nil, which permits everything, if rate is 0.
func newLimiter(rate int, exempt []netip.Prefix) *limiter {
	if rate == 0 {
		return nil
	}
	return &limiter{every: int64(time.Second) / int64(rate), exempt: exempt,
		seed: maphash.MakeSeed(), at: make([]atomic.Int64, limiterSlots)}
}

// allow counts one answer to a client. Over the limit it returns false, and the client gets a
// truncated answer. The answer is not larger than the question, so that a spoofed flood gains
// nothing, while a real client in the spoofed network retries over TCP. (Dropping some of these
// answers would cost that client a timeout each time.)
func (l *limiter) allow(client netip.Addr, now int64) bool {
	if l == nil {
		return true
	}
	client = client.Unmap()
	a, n := client.As16(), 7 // /56
	if client.Is4() {
		n = 15 // /24, after the 96-bit prefix of mapped addresses
	}
	return take(&l.at[maphash.Bytes(l.seed, a[:n])%limiterSlots], now, l.every,
		int64(time.Second)) ||
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
