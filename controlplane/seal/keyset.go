package seal

import (
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
)

// New returns a keyset with one fresh key, as JSON in clear text. Who has it can open
// everything: it belongs in a secret store or in a file that only the program can read.
func New() ([]byte, error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, ErrKeyset
	}
	return write(handle)
}

// Rotate returns keysetJSON with a fresh key added and made primary. What was sealed before
// still opens with the result; what is sealed with the result does not open with keysetJSON,
// so every process that opens must have the new keyset before one seals with it.
func Rotate(keysetJSON []byte) ([]byte, error) {
	handle, err := read(keysetJSON)
	if err != nil {
		return nil, err
	}
	manager := keyset.NewManagerFromHandle(handle)
	id, err := manager.Add(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, ErrKeyset
	}
	if err := manager.SetPrimary(id); err != nil {
		return nil, ErrKeyset
	}
	if handle, err = manager.Handle(); err != nil {
		return nil, ErrKeyset
	}
	return write(handle)
}
