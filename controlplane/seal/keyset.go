package seal

import (
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
)

// New returns a keyset with one new key, as unencrypted JSON. Anyone who has it can open all sealed
// data. Keep it in a secret store or in a file that only the program can read.
func New() ([]byte, error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, ErrKeyset
	}
	return write(handle)
}

// Rotate returns keysetJSON with a new primary key. The result opens data sealed with keysetJSON,
// but not the reverse. Deploy the new keyset to every process that opens data before any process
// seals with it.
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
