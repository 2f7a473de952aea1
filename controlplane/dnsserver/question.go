package dnsserver

import "encoding/binary"

const (
	headerLen = 12
	maxName   = 255
	optLen    = 11 // length of an OPT record without options

	udpSize    = 1232 // largest UDP message with EDNS (RFC 9715 §3)
	udpMinimum = 512  // without EDNS (RFC 1035 §4.2.1)
	tcpMaximum = 65535
)

// question is a parsed plain query: one question, and optionally one OPT record of version 0.
type question struct {
	label  int // length of the first label
	end    int // offset after the question
	qtype  uint16
	qclass uint16
	edns   bool
	do     bool
	size   uint16 // of the client's UDP buffer
}

// parse parses a plain query. It returns false for any other message, valid or not, which slow then
// handles. Unless allOptions is set, only certain EDNS options are plain.
func parse(pkt []byte, allOptions bool) (q question, ok bool) {
	// QR, opcode and TC clear; one question, no answers, no authorities, at most one more.
	if len(pkt) < headerLen+1+4 || pkt[2]&^0x05 != 0 ||
		binary.BigEndian.Uint32(pkt[4:]) != 1<<16 || binary.BigEndian.Uint16(pkt[8:]) != 0 ||
		pkt[10] != 0 || pkt[11] > 1 {
		return q, false
	}
	q.label = int(pkt[headerLen])
	at := headerLen
	for {
		n := int(pkt[at])
		if n == 0 {
			at++
			break
		}
		at += 1 + n
		if n > 63 || at-headerLen >= maxName || at >= len(pkt) {
			return q, false
		}
	}
	if at+4 > len(pkt) {
		return q, false
	}
	q.qtype = binary.BigEndian.Uint16(pkt[at:])
	q.qclass = binary.BigEndian.Uint16(pkt[at+2:])
	q.end = at + 4
	rest := pkt[q.end:]
	if pkt[11] == 0 {
		return q, len(rest) == 0
	}
	// The OPT record (RFC 6891 §6.1.2): root, type 41, size, extended rcode, version, flags.
	if len(rest) < optLen || rest[0] != 0 || rest[1] != 0 || rest[2] != 41 || rest[6] != 0 ||
		int(binary.BigEndian.Uint16(rest[9:])) != len(rest)-optLen || !allOptions &&
		!plainOptions(rest[optLen:]) {
		return q, false
	}
	q.edns = true
	q.size = binary.BigEndian.Uint16(rest[3:])
	q.do = rest[7]&0x80 != 0
	return q, true
}

// plainOptions reports whether all options are ones that do not affect this server's answers: NSID,
// COOKIE, and padding (RFC 5001, 7873, 7830).
func plainOptions(o []byte) bool {
	for len(o) > 0 {
		if len(o) < 4 {
			return false
		}
		n := 4 + int(binary.BigEndian.Uint16(o[2:]))
		if n > len(o) {
			return false
		}
		switch binary.BigEndian.Uint16(o) {
		case 3, 10, 12:
		default:
			return false
		}
		o = o[n:]
	}
	return true
}

// limit returns the maximum length of an answer.
func limit(tcp, edns bool, size uint16) int {
	switch {
	case tcp:
		return tcpMaximum
	case edns:
		return min(max(int(size), udpMinimum), udpSize)
	}
	return udpMinimum
}
