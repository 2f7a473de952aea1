package devstack

import (
	"encoding/base64"
	"encoding/json"
	"path"
	"time"

	"github.com/letsencrypt/pebble/v2/acme"
	"github.com/letsencrypt/pebble/v2/core"
	"github.com/letsencrypt/pebble/v2/db"
)

// freshAuthorizations makes every order prove control again. Pebble compares a random number from 0
// to 99 with its setting to decide whether to reuse a valid authorization. It reuses it if both are
// equal, so that even 0 means one reuse in a hundred.
type freshAuthorizations struct{ store *db.MemoryStore }

// hide makes the account's valid authorizations for the names of a new order look expired, until
// show is called. body is the order's JWS. No other request may run meanwhile.
func (f *freshAuthorizations) hide(body []byte) (show func()) {
	hidden := make(map[*core.Authorization]time.Time)
	account, names := newOrder(body)
	for _, name := range names {
		for {
			a := f.store.FindValidAuthorization(account, name)
			if a == nil {
				break
			}
			a.Lock()
			hidden[a], a.ExpiresDate = a.ExpiresDate, time.Time{}
			a.Unlock()
		}
	}
	return func() {
		for a, expires := range hidden {
			a.Lock()
			a.ExpiresDate = expires
			a.Unlock()
		}
	}
}

// newOrder returns the account ID (the end of its URL, the JWS's kid) and the names of a newOrder
// request. It does not verify the signature; Pebble reports errors in the request.
func newOrder(body []byte) (account string, names []acme.Identifier) {
	var jws struct{ Protected, Payload string }
	var protected struct{ Kid string }
	var payload struct{ Identifiers []acme.Identifier }
	_ = json.Unmarshal(body, &jws)
	decode := func(part string, into any) {
		raw, _ := base64.RawURLEncoding.DecodeString(part)
		_ = json.Unmarshal(raw, into)
	}
	decode(jws.Protected, &protected)
	decode(jws.Payload, &payload)
	return path.Base(protected.Kid), payload.Identifiers
}
