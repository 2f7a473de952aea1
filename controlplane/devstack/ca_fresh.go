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

// freshAuthorizations has every order prove control anew. Pebble draws from 0-99 whether it uses
// a valid authorization again, and does so up to and including the number that it is given: even
// 0 is one time in a hundred.
type freshAuthorizations struct{ store *db.MemoryStore }

// hide makes the account's valid authorizations for the names of a new order, of which body is the
// JWS, look as if they had expired, until show is called. No other request may run meanwhile.
func (f *freshAuthorizations) hide(body []byte) (show func()) {
	hidden := make(map[*core.Authorization]time.Time)
	account, names := newOrder(body)
	for _, name := range names {
		for a := f.store.FindValidAuthorization(account, name); a != nil; a = f.store.FindValidAuthorization(account, name) {
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

// newOrder reads a new order as far as it can be read, unproved: the id of the account (the end
// of its URL, the JWS's kid), and the names. What is wrong with it is for Pebble to say.
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
