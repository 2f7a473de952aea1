package edge

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const (
	cursorVersion = 1
	cursorMAC     = 16 // bytes of HMAC-SHA256 in a cursor (RFC 2104 §5)
)

// Cursors encodes and decodes the cursors of lists. A cursor is opaque to clients: a version, a
// position, and a MAC over the position and the list. Every process needs the same key.
type Cursors struct{ Key []byte }

// Position is a place in a sorted list: the sort key's value as text, and the ID that breaks ties.
type Position struct{ Key, ID string }

// Encode returns the cursor of a position in list. list identifies the list with its filters and
// order, as a struct of strings, numbers, and times; the order of its fields is part of the format.
func (c Cursors) Encode(list any, at Position) string {
	b := binary.AppendUvarint([]byte{cursorVersion}, uint64(len(at.Key)))
	b = append(b, at.Key...)
	b = append(b, at.ID...)
	b = append(b, c.mac(list, b)...)
	return base64.RawURLEncoding.EncodeToString(b)
}

// Decode returns the position of a cursor. It returns false if Encode did not create the cursor for
// the same list.
func (c Cursors) Decode(list any, cursor string) (Position, bool) {
	b, err := controlplane.DecodeBase64URL(cursor)
	if err != nil || len(b) < 1+cursorMAC || b[0] != cursorVersion {
		return Position{}, false
	}
	body, mac := b[:len(b)-cursorMAC], b[len(b)-cursorMAC:]
	if !hmac.Equal(mac, c.mac(list, body)) {
		return Position{}, false
	}
	n, width := binary.Uvarint(body[1:])
	rest := body[1+max(width, 0):]
	if width <= 0 || n > uint64(len(rest)) {
		return Position{}, false
	}
	return Position{Key: string(rest[:n]), ID: string(rest[n:])}, true
}

func (c Cursors) mac(list any, body []byte) []byte {
	mac := hmac.New(sha256.New, c.Key)
	head, _ := json.Marshal(list) // strings, numbers, and times only
	var length [8]byte
	binary.BigEndian.PutUint64(length[:], uint64(len(head)))
	mac.Write(length[:])
	mac.Write(head)
	mac.Write(body)
	return mac.Sum(nil)[:cursorMAC]
}
