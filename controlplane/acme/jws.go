package acme

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
)

// jwk is a public key on P-256 (RFC 7518 §6.2), the curve of all account keys. The fields are in
// the order of RFC 7638.
type jwk struct {
	Curve string `json:"crv"`
	Type  string `json:"kty"`
	X     string `json:"x"`
	Y     string `json:"y"`
}

func publicJWK(key crypto.Signer) (*jwk, error) {
	public, ok := key.Public().(*ecdsa.PublicKey)
	if !ok || public.Curve != elliptic.P256() {
		return nil, errors.New("unsupported account key: must be on P-256")
	}
	point, err := public.Bytes()
	if err != nil {
		return nil, err
	}
	encode := base64.RawURLEncoding.EncodeToString
	return &jwk{Curve: "P-256", Type: "EC", X: encode(point[1:33]), Y: encode(point[33:])}, nil
}

// signJWS returns a flattened JWS with ES256 for url (RFC 7515 §7.2.2, RFC 8555 §6.2). It exists
// because lego cannot sign a JWS inside a JWS. If kid is empty, the header embeds the public key.
// nonce may be empty in an inner JWS.
func signJWS(key crypto.Signer, kid, nonce, url string, payload []byte) ([]byte, error) {
	private, ok := key.(*ecdsa.PrivateKey)
	public, err := publicJWK(key)
	if err != nil || !ok {
		return nil, errors.Join(errors.New("unsupported account key: cannot sign with ES256"), err)
	}
	header := struct {
		Algorithm string `json:"alg"`
		KeyID     string `json:"kid,omitempty"`
		Key       *jwk   `json:"jwk,omitempty"`
		Nonce     string `json:"nonce,omitempty"`
		URL       string `json:"url"`
	}{Algorithm: "ES256", KeyID: kid, Nonce: nonce, URL: url}
	if kid == "" {
		header.Key = public
	}
	protected, err := json.Marshal(header)
	if err != nil {
		return nil, err
	}
	encode := base64.RawURLEncoding.EncodeToString
	signed := struct {
		Protected string `json:"protected"`
		Payload   string `json:"payload"`
		Signature string `json:"signature"`
	}{Protected: encode(protected), Payload: encode(payload)}
	sum := sha256.Sum256([]byte(signed.Protected + "." + signed.Payload))
	r, s, err := ecdsa.Sign(rand.Reader, private, sum[:])
	if err != nil {
		return nil, err
	}
	var signature [64]byte // RFC 7518 §3.4
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	signed.Signature = encode(signature[:])
	return json.Marshal(signed)
}
