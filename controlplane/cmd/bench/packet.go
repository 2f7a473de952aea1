package main

import (
	"encoding/binary"
	"strings"
)

// DNS messages, packed by hand (RFC 1035 §4). bench uses only one kind of query.

const dnsHeader = 12

// packName returns a name in wire format and lowercase.
func packName(name string) []byte {
	var wire []byte
	for label := range strings.SplitSeq(strings.ToLower(strings.TrimSuffix(name, ".")), ".") {
		wire = append(append(wire, byte(len(label))), label...)
	}
	return append(wire, 0)
}

// packQuestion returns a TXT query with EDNS (RFC 6891), without recursion.
func packQuestion(name string) []byte {
	m := []byte{0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1}
	m = append(m, packName(name)...)
	m = append(m, 0, 16, 0, 1)
	return append(m, 0, 0, 41, 1232>>8, 1232&0xff, 0, 0, 0, 0, 0, 0)
}

// questionName returns the name in the question section in lowercase and wire format, and the end
// of the section. The name is nil for a message without a question.
func questionName(m []byte) (name []byte, end int) {
	if len(m) < dnsHeader {
		return nil, 0
	}
	for at := dnsHeader; at < len(m); at += 1 + int(m[at]) {
		if m[at] == 0 && at+5 <= len(m) {
			return []byte(strings.ToLower(string(m[dnsHeader : at+1]))), at + 5
		}
	}
	return nil, 0
}

// packTXT appends the response to a query, which ends with its question section. The response has
// the values, or NXDOMAIN without values.
func packTXT(out, question []byte, values []string) []byte {
	start := len(out)
	out = append(out, question...)
	h := out[start:]
	h[2], h[3] = 0x84|h[2]&1, 0
	if len(values) == 0 {
		h[3] = 3
	}
	binary.BigEndian.PutUint16(h[6:], uint16(len(values)))
	binary.BigEndian.PutUint32(h[8:], 0)
	for _, v := range values {
		out = append(out, 0xc0, dnsHeader, 0, 16, 0, 1, 0, 0, 0, 0, 0, byte(len(v)+1), byte(len(v)))
		out = append(out, v...)
	}
	return out
}
