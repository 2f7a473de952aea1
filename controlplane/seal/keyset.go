package seal

import (
	"fmt"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
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

// Remove returns keysetJSON without the keys that were primary before the current primary key, and
// the IDs of the removed keys. A prepared key stays. The result can't open data that a removed key
// has sealed.
func Remove(keysetJSON []byte) (remaining []byte, removed []KeyID, err error) {
	handle, err := read(keysetJSON)
	if err != nil {
		return nil, nil, err
	}
	keys, err := keysOf(handle)
	if err != nil {
		return nil, nil, err
	}
	manager := keyset.NewManagerFromHandle(handle)
	for _, id := range keys.Old {
		if err := manager.Delete(uint32(id)); err != nil {
			return nil, nil, ErrKeyset
		}
	}
	if handle, err = manager.Handle(); err != nil {
		return nil, nil, ErrKeyset
	}
	remaining, err = write(handle)
	return remaining, keys.Old, err
}

// KeyID identifies a key of a keyset. It is not a secret.
type KeyID uint32

// String returns the ID as 8 hexadecimal digits.
func (id KeyID) String() string { return fmt.Sprintf("%08x", uint32(id)) }

// Keys are the IDs of the keys of a keyset.
type Keys struct {
	Primary KeyID   // seals
	Newest  KeyID   // the prepared key, or else the primary key
	Old     []KeyID // only open: were primary before the current primary key
}

// KeysOf returns the IDs of the keys of a keyset.
func KeysOf(keysetJSON []byte) (Keys, error) {
	handle, err := read(keysetJSON)
	if err != nil {
		return Keys{}, err
	}
	return keysOf(handle)
}

func keysOf(handle *keyset.Handle) (Keys, error) {
	info := handle.KeysetInfo()
	keys := Keys{Primary: KeyID(info.GetPrimaryKeyId())}
	for _, key := range info.GetKeyInfo() { // in the order of their addition
		if key.GetOutputPrefixType() != tinkpb.OutputPrefixType_TINK {
			return Keys{}, ErrKeyset // its data does not say which key has sealed it
		}
		keys.Newest = KeyID(key.GetKeyId())
		if keys.Newest != keys.Primary {
			keys.Old = append(keys.Old, keys.Newest)
		}
	}
	if keys.Newest != keys.Primary { // prepared
		keys.Old = keys.Old[:len(keys.Old)-1]
	}
	return keys, nil
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
