package api

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"

	"github.com/oapi-codegen/nullable"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

const (
	cursorVersion = 1
	cursorMAC     = 16 // bytes of HMAC-SHA256 that are kept (RFC 2104 §5)
	defaultLimit  = 50
)

// listing is what a cursor is good for: one operation, organization, order and set of
// filters. Its fields' order is part of the format.
type listing struct {
	Operation string
	Org       string
	Filters   any
}

// next returns the cursor of the page after this one, null after the last. It is opaque: a
// version, the position, and a MAC over position and listing.
func (a *API) next(l listing, at *postgres.Cursor) nullable.Nullable[string] {
	if at == nil {
		return nullable.NewNullNullable[string]()
	}
	b := binary.AppendUvarint([]byte{cursorVersion}, uint64(len(at.Key)))
	b = append(b, at.Key...)
	b = append(b, at.ID...)
	b = append(b, a.cursorMAC(l, b)...)
	return nullable.NewNullableWithValue(base64.RawURLEncoding.EncodeToString(b))
}

// position returns where a page begins: nil for the first. Its error is the 400
// "invalid-cursor" for whatever this listing did not give out.
func (a *API) position(l listing, cursor *string) (*postgres.Cursor, error) {
	if cursor == nil || *cursor == "" {
		return nil, nil
	}
	b, err := controlplane.DecodeBase64URL(*cursor)
	if err != nil || len(b) < 1+cursorMAC || b[0] != cursorVersion {
		return nil, errCursor()
	}
	body, mac := b[:len(b)-cursorMAC], b[len(b)-cursorMAC:]
	if !hmac.Equal(mac, a.cursorMAC(l, body)) {
		return nil, errCursor()
	}
	n, width := binary.Uvarint(body[1:])
	rest := body[1+max(width, 0):]
	if width <= 0 || n > uint64(len(rest)) {
		return nil, errCursor()
	}
	return &postgres.Cursor{Key: string(rest[:n]), ID: string(rest[n:])}, nil
}

func (a *API) cursorMAC(l listing, body []byte) []byte {
	mac := hmac.New(sha256.New, a.config.CursorKey)
	head, _ := json.Marshal(l) // of strings, times and numbers only
	var length [8]byte
	binary.BigEndian.PutUint64(length[:], uint64(len(head)))
	mac.Write(length[:])
	mac.Write(head)
	mac.Write(body)
	return mac.Sum(nil)[:cursorMAC]
}

func errCursor() error {
	const detail = "The cursor is none that a page of this listing, with these filters and this order, gave out."
	return &controlplane.Error{Kind: controlplane.KindMalformed, Code: codeInvalidCursor, Message: detail,
		Fields: []controlplane.FieldError{{Pointer: "/cursor", Code: codeInvalidCursor, Detail: detail}}}
}

// limitOf returns how many a page is to have at most; the contract has checked its bounds.
func limitOf(limit *Limit) int {
	if limit == nil {
		return defaultLimit
	}
	return *limit
}
