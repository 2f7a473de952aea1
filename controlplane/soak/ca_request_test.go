package soak

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
)

var b64 = base64.RawURLEncoding

// request is a request that was signed for an account (RFC 8555 §6.2).
type request struct {
	*http.Request
	account *account
	payload []byte
}

// nonce returns a new nonce (RFC 8555 §6.5).
func (a *ca) nonce() string {
	value := rand.Text()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.nonces[value] = true
	return value
}

func (a *ca) spend(nonce string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	known := a.nonces[nonce]
	delete(a.nonces, nonce)
	return known
}

// read checks the signature, the nonce, and the URL. Keys must be on P-256, like those of the
// engine.
func (a *ca) read(r *http.Request) (*request, answer) {
	var jws struct{ Protected, Payload, Signature string }
	var header struct {
		Alg, KID, Nonce, URL string
		JWK                  *struct{ Crv, Kty, X, Y string }
	}
	malformed := func(what string) (*request, answer) {
		return nil,
			problem(400, "malformed", "%s", what)
	}
	if json.NewDecoder(r.Body).Decode(&jws) != nil {
		return malformed("not a JWS")
	}
	protected, err := b64.DecodeString(jws.Protected)
	if err != nil || json.Unmarshal(protected, &header) != nil || header.Alg != "ES256" {
		return malformed("malformed protected header")
	}
	if header.URL != a.server.URL+r.URL.Path {
		return malformed("signed for another URL")
	}
	req := &request{Request: r}
	switch {
	case header.JWK != nil && r.URL.Path == "/account":
		if req.account = readKey(header.JWK.X, header.JWK.Y); req.account == nil {
			return malformed("malformed key")
		}
	default:
		a.mu.Lock()
		req.account = a.accounts[header.KID]
		a.mu.Unlock()
		if req.account == nil {
			return nil, problem(400, "accountDoesNotExist", "no account %q", header.KID)
		}
	}
	if !verify(req.account.key, jws.Protected+"."+jws.Payload, jws.Signature) {
		return malformed("invalid signature")
	}
	if !a.spend(header.Nonce) || a.happens("nonce rejected", oddsNonce) {
		return nil, problem(400, "badNonce", "invalid nonce")
	}
	if req.payload, err = b64.DecodeString(jws.Payload); err != nil {
		return malformed("malformed payload")
	}
	return req, answer{}
}

func readKey(x, y string) *account {
	xb, xerr := b64.DecodeString(x)
	yb, yerr := b64.DecodeString(y)
	if xerr != nil || yerr != nil {
		return nil
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(),
		append(append([]byte{4}, xb...), yb...))
	if err != nil {
		return nil
	}
	// RFC 7638 §3
	sum := sha256.Sum256(fmt.Appendf(nil, `{"crv":"P-256","kty":"EC","x":%q,"y":%q}`, x, y))
	return &account{key: key, thumbprint: b64.EncodeToString(sum[:])}
}

// verify checks an ES256 signature (RFC 7518 §3.4).
func verify(key *ecdsa.PublicKey, text, signature string) bool {
	raw, err := b64.DecodeString(signature)
	if err != nil || len(raw) != 64 {
		return false
	}
	sum := sha256.Sum256([]byte(text))
	return ecdsa.Verify(key, sum[:], new(big.Int).SetBytes(raw[:32]),
		new(big.Int).SetBytes(raw[32:]))
}
