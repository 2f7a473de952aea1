// Package keystore creates PKCS#12 files from a certificate and its private key, for servers that
// do not read PEM: Windows, Java, and appliances. The API calls it for downloads that have been
// authorized and audited. It stores nothing, and its errors contain no part of a key or a password.
package keystore

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"

	"software.sslmate.com/src/go-pkcs12"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// The errors of this package, except for the one about the password, which the caller can fix.
var (
	ErrChain    = errors.New("keystore: the chain is not valid PEM")
	ErrKey      = errors.New("keystore: the private key is not valid PKCS#8 in PEM")
	ErrMismatch = errors.New("keystore: the private key does not match the certificate")
	ErrEncode   = errors.New("keystore: cannot create the file")
)

// PKCS12 returns a PKCS#12 file (RFC 7292) with the certificates of chainPEM, leaf first, and the
// leaf's private key, PKCS#8 in keyPEM. It is encrypted with AES-256-CBC, with a key derived from
// password by PBKDF2-HMAC-SHA-256, and protected by HMAC-SHA-256. OpenSSL 1.1, Java 8u301, Windows
// Server 2019, and later versions can read it.
//
// An invalid password returns the error of CheckPassword. Other errors are internal.
func PKCS12(chainPEM, keyPEM, password string) ([]byte, error) {
	if err := CheckPassword(password); err != nil {
		return nil, err
	}
	chain, err := parseChain(chainPEM)
	if err != nil {
		return nil, err
	}
	key, err := parseKey(keyPEM)
	if err != nil {
		return nil, err
	}
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(chain[0].PublicKey) {
		return nil, ErrMismatch
	}
	file, err := pkcs12.Modern2023.Encode(key, chain[0], chain[1:], password)
	if err != nil {
		return nil, ErrEncode // the cause may quote its input
	}
	return file, nil
}

// CheckPassword returns a KindInvalid *controlplane.Error about /password if PKCS12 would reject
// the password, so that callers can check it before opening a key.
func CheckPassword(password string) error {
	if password == "" {
		return controlplane.Invalid("/password", "password-empty",
			"A PKCS#12 file requires a password.", "Send the password that will open the file.")
	}
	if !encodable(password) {
		return controlplane.Invalid("/password", "password-characters",
			"The password contains characters that PKCS#12 does not support.",
			"Use letters, digits, and punctuation. Emoji and other characters outside Unicode's basic multilingual plane are not supported.")
	}
	return nil
}

// encodable reports whether a password can be written in UCS-2, as PKCS#12 does.
func encodable(password string) bool {
	for _, r := range password {
		if r > 0xffff || r >= 0xd800 && r < 0xe000 {
			return false
		}
	}
	return true
}

func parseChain(text string) ([]*x509.Certificate, error) {
	var chain []*x509.Certificate
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil || block.Type != "CERTIFICATE" {
			return nil, ErrChain
		}
		chain = append(chain, cert)
	}
	if len(chain) == 0 {
		return nil, ErrChain
	}
	return chain, nil
}

func parseKey(text string) (crypto.Signer, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, ErrKey
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, ErrKey
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, ErrKey
	}
	return signer, nil
}
