package dnsserver

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"

	"github.com/miekg/dns"
)

// maxValue is the length of the longest TXT value that is served; an ACME challenge's is 43.
const maxValue = 8192

// records are a target's challenges, one after another: when each expires, in nanoseconds
// since 1970 (8 octets), the length of its record (2), and the record as it is answered, its
// owner pointing at the question. One block holds them all, so that an answer touches no
// other memory. They are never changed in place, so readers keep them without a lock.
type records []byte

// newRecord packs one challenge. It reports false for a value that is too long.
func newRecord(c Challenge) (records, bool) {
	if len(c.Value) > maxValue {
		return nil, false
	}
	data := len(c.Value) + max(1, (len(c.Value)+254)/255)
	r := make([]byte, 0, 10+12+data)
	r = binary.BigEndian.AppendUint64(r, uint64(c.ExpiresAt.UnixNano()))
	r = binary.BigEndian.AppendUint16(r, uint16(12+data))
	r = append(r, 0xc0, headerLen)
	r = binary.BigEndian.AppendUint16(r, dns.TypeTXT)
	r = binary.BigEndian.AppendUint16(r, dns.ClassINET)
	r = binary.BigEndian.AppendUint32(r, ttlTXT)
	r = binary.BigEndian.AppendUint16(r, uint16(data))
	for v := c.Value; ; {
		n := min(len(v), 255)
		r = append(append(r, byte(n)), v[:n]...)
		if v = v[n:]; v == "" {
			break
		}
	}
	return r, true
}

// next returns the first of at least one, and those after it.
func (r records) next() (expires int64, rr []byte, rest records) {
	end := 10 + int(binary.BigEndian.Uint16(r[8:]))
	return int64(binary.BigEndian.Uint64(r)), r[10:end], r[end:]
}

// with returns these and one more, in place of that with its value.
func (r records) with(one records) records {
	return slices.Concat(r.without(one), one)
}

// without returns all but that with the value of one, whenever it expires.
func (r records) without(one records) records {
	_, record, _ := one.next()
	return r.filter(func(_ int64, rr []byte) bool { return !bytes.Equal(rr, record) })
}

// after returns those that live on.
func (r records) after(now int64) records {
	return r.filter(func(expires int64, _ []byte) bool { return expires > now })
}

// filter returns those to keep: r itself, and no copy, where that is all of them.
func (r records) filter(keep func(expires int64, rr []byte) bool) records {
	at := 0
	for at < len(r) {
		expires, rr, rest := r[at:].next()
		if !keep(expires, rr) {
			return slices.Concat(r[:at], rest.filter(keep))
		}
		at = len(r) - len(rest)
	}
	return r
}

// first returns when the first of them expires, or the end of time.
func (r records) first() int64 {
	first := int64(math.MaxInt64)
	for len(r) > 0 {
		expires, _, rest := r.next()
		first, r = min(first, expires), rest
	}
	return first
}

// anyLive reports whether one of them has not expired by now.
func (r records) anyLive(now int64) bool {
	for len(r) > 0 {
		expires, _, rest := r.next()
		if expires > now {
			return true
		}
		r = rest
	}
	return false
}

func (r records) count() (n int64) {
	for ; len(r) > 0; n++ {
		_, _, r = r.next()
	}
	return n
}
