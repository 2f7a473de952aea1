package dnsserver

// labelLen is the length of a target's label: 160 bits in base32 (RFC 4648 §6, unpadded).
const labelLen = 32

// key is a target's label, decoded.
type key [20]byte

const alphabet = "abcdefghijklmnopqrstuvwxyz234567"

// digits maps an octet to its base32 value, in either case, or to 0xff.
var digits = func() (t [256]byte) {
	for i := range t {
		t[i] = 0xff
	}
	for i := range len(alphabet) {
		t[alphabet[i]] = byte(i)
		if c := alphabet[i]; c >= 'a' {
			t[c-'a'+'A'] = byte(i)
		}
	}
	return t
}()

// parseLabel decodes a label in any case. It returns false if the label is not 32 base32 characters
// and therefore not a target.
func parseLabel[S string | []byte](s S) (k key, ok bool) {
	if len(s) != labelLen {
		return k, false
	}
	var bad byte
	for i := range 4 { // 8 characters are 5 octets
		var v uint64
		for j := range 8 {
			d := digits[s[8*i+j]]
			bad |= d
			v = v<<5 | uint64(d&31)
		}
		k[5*i], k[5*i+1], k[5*i+2], k[5*i+3], k[5*i+4] =
			byte(v>>32), byte(v>>24), byte(v>>16), byte(v>>8), byte(v)
	}
	return k, bad&0x80 == 0
}

// target returns the target that answers at a label directly below the zone, if there can be one.
func target[S string | []byte](z *static, label S) (key, bool) {
	if k, ok := parseLabel(label); ok || len(z.aliases) == 0 {
		return k, ok
	}
	var buf [63]byte
	k, ok := z.aliases[string(lower(buf[:0], label))]
	return k, ok
}

// lower appends a label in lower case.
func lower[S string | []byte](out []byte, label S) []byte {
	for i := range len(label) {
		c := label[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		out = append(out, c)
	}
	return out
}

// String returns the label in lower case.
func (k key) String() string {
	var s [labelLen]byte
	for i := range 4 {
		v := uint64(k[5*i])<<32 | uint64(k[5*i+1])<<24 | uint64(k[5*i+2])<<16 | uint64(k[5*i+
			3])<<8 | uint64(k[5*i+4])
		for j := range 8 {
			s[8*i+j] = alphabet[v>>(35-5*j)&31]
		}
	}
	return string(s[:])
}
