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

// Prepare returns keysetJSON with a further key that only opens data, for the next Rotate. If there
// is one already, it returns keysetJSON with the same keys. Every process must have the result
// before one of them has that of Rotate.
func Prepare(keysetJSON []byte) ([]byte, error) {
	handle, err := read(keysetJSON)
	if err != nil {
		return nil, err
	}
	if prepared(handle) != 0 {
		return write(handle)
	}
	manager := keyset.NewManagerFromHandle(handle)
	if _, err := manager.Add(aead.AES256GCMKeyTemplate()); err != nil {
		return nil, ErrKeyset
	}
	if handle, err = manager.Handle(); err != nil {
		return nil, ErrKeyset
	}
	return write(handle)
}

// Rotate returns keysetJSON with the prepared key, or else with a new one, as its primary key. The
// result opens data sealed with keysetJSON. The reverse is true only if the key was prepared:
// otherwise, every process that opens data must have the result before any process seals with it.
func Rotate(keysetJSON []byte) ([]byte, error) {
	handle, err := read(keysetJSON)
	if err != nil {
		return nil, err
	}
	manager := keyset.NewManagerFromHandle(handle)
	id := prepared(handle)
	if id == 0 {
		if id, err = manager.Add(aead.AES256GCMKeyTemplate()); err != nil {
			return nil, ErrKeyset
		}
	}
	if err := manager.SetPrimary(id); err != nil {
		return nil, ErrKeyset
	}
	if handle, err = manager.Handle(); err != nil {
		return nil, ErrKeyset
	}
	return write(handle)
}

// prepared returns the ID of the key that Prepare added, or 0. Keys are in the order of their
// addition, so only a prepared key is after the primary one.
func prepared(handle *keyset.Handle) uint32 {
	info := handle.KeysetInfo()
	if keys := info.GetKeyInfo(); len(keys) > 0 {
		if id := keys[len(keys)-1].GetKeyId(); id != info.GetPrimaryKeyId() {
			return id
		}
	}
	return 0
}
