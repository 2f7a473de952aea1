package dnsserver

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"

	"github.com/miekg/dns"
)

// maxValue is the length of the longest TXT value that is served. An ACME challenge's is 43.
const maxValue = 8192

// records are a target's challenges in sequence. Each consists of its expiry in nanoseconds since
// 1970 (8 octets), the length of its record (2), and the packed record, whose owner is a pointer to
// the question. They are in one block, so that an answer reads no other memory. They are never
// modified in place, so readers use them without a lock.
type records []byte

// newRecord packs one challenge. It returns false if the value is too long.
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

// next returns the first record and the remaining ones. r must not be empty.
func (r records) next() (expires int64, rr []byte, rest records) {
	end := 10 + int(binary.BigEndian.Uint16(r[8:]))
	return int64(binary.BigEndian.Uint64(r)), r[10:end], r[end:]
}

// with returns r with one added. It replaces a record with the same value.
func (r records) with(one records) records {
	return slices.Concat(r.without(one), one)
}

// without returns r without the record that has one's value, regardless of its expiry.
func (r records) without(one records) records {
	_, record, _ := one.next()
	return r.filter(func(_ int64, rr []byte) bool { return !bytes.Equal(rr, record) })
}

// after returns the records that expire after now.
func (r records) after(now int64) records {
	return r.filter(func(expires int64, _ []byte) bool { return expires > now })
}

// filter returns the records to keep. If all are kept, it returns r itself.
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

// first returns the earliest expiry, or the largest int64 if r is empty.
func (r records) first() int64 {
	first := int64(math.MaxInt64)
	for len(r) > 0 {
		expires, _, rest := r.next()
		first, r = min(first, expires), rest
	}
	return first
}

// anyLive reports whether any record has not expired by now.
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
