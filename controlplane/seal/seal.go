// Package seal encrypts what must not lie open in the database: private keys, account keys
// and credentials. It wraps a Tink keyset of AES-256-GCM keys, of which the primary one
// seals and any of them opens, so that keys can be rotated while old ciphertext is still
// read. It is the only owner of Tink, stores nothing itself, and its errors never contain
// a byte of what it was given.
package seal

import (
	"bytes"
	"errors"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// The errors of this package. Tink's own are not wrapped: they may quote their input.
var (
	ErrKeyset = errors.New("seal: not a readable AEAD keyset")
	ErrSeal   = errors.New("seal: cannot seal")
	ErrOpen   = errors.New("seal: cannot open: another keyset, another owner, or damaged data")
)

// Sealer seals and opens with one keyset. It may be used from any goroutine.
type Sealer struct {
	aead tink.AEAD
}

// Open returns the Sealer of a keyset as New and Rotate write it. It returns ErrKeyset for
// anything else.
func Open(keysetJSON []byte) (*Sealer, error) {
	handle, err := read(keysetJSON)
	if err != nil {
		return nil, err
	}
	primitive, err := aead.New(handle)
	if err != nil {
		return nil, ErrKeyset
	}
	return &Sealer{aead: primitive}, nil
}

// Seal encrypts plain so that only Open with the same associated text gives it back.
// associated names the owner, an order's id for instance; it is not stored in the result,
// which is 33 bytes longer than plain.
func (s *Sealer) Seal(plain []byte, associated string) ([]byte, error) {
	sealed, err := s.aead.Encrypt(plain, []byte(associated))
	if err != nil {
		return nil, ErrSeal
	}
	return sealed, nil
}

// Open gives back what Seal was given. It returns ErrOpen if sealed was changed, was sealed
// for another associated text, or with a key that the keyset does not have.
func (s *Sealer) Open(sealed []byte, associated string) ([]byte, error) {
	plain, err := s.aead.Decrypt(sealed, []byte(associated))
	if err != nil {
		return nil, ErrOpen
	}
	return plain, nil
}

func read(keysetJSON []byte) (*keyset.Handle, error) {
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(keysetJSON)))
	if err != nil {
		return nil, ErrKeyset
	}
	return handle, nil
}

func write(handle *keyset.Handle) ([]byte, error) {
	var out bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&out)); err != nil {
		return nil, ErrKeyset
	}
	return out.Bytes(), nil
}
