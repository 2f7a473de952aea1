// Package seal encrypts secrets for the database: private keys, account keys, and credentials. It
// wraps a Tink keyset of AES-256-GCM keys. The primary key seals, and every key opens, so that keys
// can be rotated while old ciphertext remains readable. It is the only package that imports Tink.
// It stores nothing, and its errors never contain parts of its input.
package seal

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// The errors of this package. They do not wrap Tink's errors, which may quote their input.
var (
	ErrKeyset = errors.New("seal: malformed AEAD keyset")
	ErrSeal   = errors.New("seal: cannot seal")
	ErrOpen   = errors.New("seal: cannot open: wrong keyset, wrong owner, or damaged data")
)

// Sealer seals and opens data with one keyset. It is safe for concurrent use.
type Sealer struct {
	aead tink.AEAD
}

// Open returns the Sealer of a keyset in the format of New and Rotate. It returns ErrKeyset if the
// keyset is malformed.
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

// Seal encrypts plain. Only Open with the same associated text decrypts it. associated identifies
// the owner, such as an order's ID, and is not stored in the result, which is 33 bytes longer than
// plain.
func (s *Sealer) Seal(plain []byte, associated string) ([]byte, error) {
	sealed, err := s.aead.Encrypt(plain, []byte(associated))
	if err != nil {
		return nil, ErrSeal
	}
	return sealed, nil
}

// prefixLength is the length of the start of sealed data that identifies its key: the version 1 and
// the key's ID as a big-endian number (Tink's wire format).
const prefixLength = 5

// Prefix returns the first bytes of all data that the key with the ID has sealed.
func (id KeyID) Prefix() []byte { return binary.BigEndian.AppendUint32([]byte{1}, uint32(id)) }

// KeyOf returns the ID of the key that has sealed data with the given first bytes, without opening
// the data. It returns false for data that was not sealed.
func KeyOf(sealed []byte) (KeyID, bool) {
	if len(sealed) < prefixLength || sealed[0] != 1 {
		return 0, false
	}
	return KeyID(binary.BigEndian.Uint32(sealed[1:])), true
}

// Open decrypts the result of Seal. It returns ErrOpen if sealed was changed, was sealed for
// another associated text, or was sealed with a key that is not in the keyset.
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
