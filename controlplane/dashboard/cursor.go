package dashboard

import (
	"crypto/hmac"
	"encoding/base64"
	"encoding/json"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

const cursorMAC = 16 // bytes of HMAC-SHA256 that are kept (RFC 2104 §5)

// sealCursor returns a position in a list as a link carries it: with a MAC over it and over
// the list that it is good for.
func (d *Dashboard) sealCursor(list any, at *postgres.Cursor) string {
	if at == nil {
		return ""
	}
	body, _ := json.Marshal(at) // of strings only
	return base64.RawURLEncoding.EncodeToString(append(body, d.cursorMAC(list, body)...))
}

// openCursor returns where a page begins: nil for the first. Its error is for whatever this
// list did not give out.
func (d *Dashboard) openCursor(list any, cursor string) (*postgres.Cursor, error) {
	if cursor == "" {
		return nil, nil
	}
	bad := &controlplane.Error{Kind: controlplane.KindMalformed, Code: "invalid-cursor",
		Message: "This link to a further page of the list is damaged or out of date.", Fix: "Begin at the first page again."}
	raw, err := controlplane.DecodeBase64URL(cursor)
	if err != nil || len(raw) <= cursorMAC {
		return nil, bad
	}
	body, mac := raw[:len(raw)-cursorMAC], raw[len(raw)-cursorMAC:]
	var at postgres.Cursor
	if !hmac.Equal(mac, d.cursorMAC(list, body)) || json.Unmarshal(body, &at) != nil {
		return nil, bad
	}
	return &at, nil
}

func (d *Dashboard) cursorMAC(list any, body []byte) []byte {
	head, _ := json.Marshal(list) // of strings only
	return sign(d.cursorKey, append(append(head, 0), body...))[:cursorMAC]
}
