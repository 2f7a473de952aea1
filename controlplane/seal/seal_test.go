package seal_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/seal"
)

func TestSealAndOpen(t *testing.T) {
	t.Parallel()
	s := open(t, newKeyset(t))
	for _, plain := range [][]byte{nil, []byte("a"), bytes.Repeat([]byte("key"), 10_000)} {
		sealed, err := s.Seal(plain, "ord_1")
		if err != nil {
			t.Fatal(err)
		}
		if len(sealed) != len(plain)+33 {
			t.Errorf("sealed %d bytes into %d, want 33 more", len(plain), len(sealed))
		}
		if len(plain) > 3 && bytes.Contains(sealed, plain[:3]) {
			t.Error("Seal: the result contains the plain text")
		}
		got, err := s.Open(sealed, "ord_1")
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("Open = %d bytes, %v, want the %d that were sealed", len(got), err, len(plain))
		}
		again, err := s.Seal(plain, "ord_1")
		if err != nil || bytes.Equal(again, sealed) {
			t.Errorf("second Seal = the same bytes or error %v, want other bytes", err)
		}
	}
}

func TestOpenRejects(t *testing.T) {
	t.Parallel()
	s, other := open(t, newKeyset(t)), open(t, newKeyset(t))
	sealed, err := s.Seal([]byte("secret-text"), "ord_1")
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Clone(sealed)
	damaged[len(damaged)-1] ^= 1
	tests := map[string]struct {
		sealer     *seal.Sealer
		sealed     []byte
		associated string
	}{
		"another owner":  {s, sealed, "ord_2"},
		"no owner":       {s, sealed, ""},
		"another keyset": {other, sealed, "ord_1"},
		"damaged":        {s, damaged, "ord_1"},
		"truncated":      {s, sealed[:20], "ord_1"},
		"empty":          {s, nil, "ord_1"},
	}
	for name, tt := range tests {
		if plain, err := tt.sealer.Open(tt.sealed, tt.associated); !errors.Is(err, seal.ErrOpen) ||
			plain != nil {
			t.Errorf("%s: Open = %q, %v, want ErrOpen", name, plain, err)
		}
	}
}

func TestRotate(t *testing.T) {
	t.Parallel()
	first := newKeyset(t)
	before, err := open(t, first).Seal([]byte("old"), "acc_1")
	if err != nil {
		t.Fatal(err)
	}
	second, err := seal.Rotate(first)
	if err != nil {
		t.Fatal(err)
	}
	third, err := seal.Rotate(second)
	if err != nil {
		t.Fatal(err)
	}
	rotated := open(t, third)
	if got, err := rotated.Open(before, "acc_1"); err != nil || string(got) != "old" {
		t.Errorf("Open of data sealed before the rotations = %q, %v; want old", got, err)
	}
	after, err := rotated.Seal([]byte("new"), "acc_1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, second).Open(after, "acc_1"); !errors.Is(err, seal.ErrOpen) {
		t.Errorf("Open with the keyset before the rotation: error = %v, want ErrOpen", err)
	}
	if got := keysOf(t, third); got != 3 {
		t.Errorf("keys after two rotations = %d, want 3", got)
	}
}

// A prepared key opens what the rotated keyset seals, so that processes can be restarted one after
// the other.
func TestPrepare(t *testing.T) {
	t.Parallel()
	first := newKeyset(t)
	prepared, err := seal.Prepare(first)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := seal.Prepare(prepared); err != nil || keysOf(t, again) != 2 {
		t.Errorf("keys after Prepare of a prepared keyset = %d, %v, want 2", keysOf(t, again), err)
	}
	rotated, err := seal.Rotate(prepared)
	if err != nil {
		t.Fatal(err)
	}
	if got := keysOf(t, rotated); got != 2 {
		t.Errorf("keys after Prepare and Rotate = %d, want 2", got)
	}
	for name, pair := range map[string][2][]byte{
		"prepared opens rotated": {rotated, prepared}, "first opens prepared": {prepared, first},
		"rotated opens first": {first, rotated}, "rotated opens prepared": {prepared, rotated},
	} {
		sealed, err := open(t, pair[0]).Seal([]byte("key"), "acc_1")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := open(t, pair[1]).Open(sealed, "acc_1"); err != nil || string(got) != "key" {
			t.Errorf("%s: Open = %q, %v, want key", name, got, err)
		}
	}
	sealed, err := open(t, rotated).Seal(nil, "acc_1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, first).Open(sealed, "acc_1"); !errors.Is(err, seal.ErrOpen) {
		t.Errorf("the first keyset opens data of the rotated one: error = %v, want ErrOpen", err)
	}
}

// Remove leaves the primary and a prepared key. The result opens nothing that the removed keys have
// sealed.
func TestRemove(t *testing.T) {
	t.Parallel()
	first := newKeyset(t)
	old, err := open(t, first).Seal([]byte("old"), "acc_1")
	if err != nil {
		t.Fatal(err)
	}
	oldID, ok := seal.KeyOf(old)
	if !ok || !bytes.HasPrefix(old, oldID.Prefix()) {
		t.Fatalf("KeyOf(%x) = %s, %v, want the ID in its prefix", old[:5], oldID, ok)
	}
	second, err := seal.Rotate(first)
	if err != nil {
		t.Fatal(err)
	}
	third, err := seal.Rotate(second)
	if err != nil {
		t.Fatal(err)
	}
	prepared, err := seal.Prepare(third)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := seal.KeysOf(prepared)
	if err != nil || len(keys.Old) != 2 || keys.Old[0] != oldID || keys.Primary == keys.Newest {
		t.Fatalf("KeysOf = %v, %v, want two old keys, first %s, and a prepared one", keys, err, oldID)
	}
	for keyset, left := range map[string]int{string(third): 1, string(prepared): 2} {
		rest, removed, err := seal.Remove([]byte(keyset))
		if err != nil || len(removed) != 2 || removed[0] != oldID || keysOf(t, rest) != left {
			t.Fatalf("Remove = %d keys, removed %v, %v, want %d, and 2 removed", keysOf(t, rest),
				removed, err, left)
		}
		if _, err := open(t, rest).Open(old, "acc_1"); !errors.Is(err, seal.ErrOpen) {
			t.Errorf("Open of data of a removed key: error = %v, want ErrOpen", err)
		}
		now, err := open(t, rest).Seal([]byte("new"), "acc_1")
		if err != nil {
			t.Fatal(err)
		}
		if id, ok := seal.KeyOf(now); !ok || id != keys.Primary {
			t.Errorf("KeyOf after Remove = %s, %v, want the primary key %s", id, ok, keys.Primary)
		}
		if _, err := open(t, []byte(keyset)).Open(now, "acc_1"); err != nil {
			t.Errorf("the keyset before Remove does not open what the rest sealed: %v", err)
		}
		if _, removed, err := seal.Remove(rest); err != nil || len(removed) != 0 {
			t.Errorf("second Remove = %v, %v, want no removed key", removed, err)
		}
	}
	for _, not := range [][]byte{nil, {1, 2, 3}, []byte("text, not sealed")} {
		if id, ok := seal.KeyOf(not); ok {
			t.Errorf("KeyOf(%q) = %s, want none", not, id)
		}
	}
}

// keysOf returns the number of keys in a keyset.
func keysOf(t *testing.T, keysetJSON []byte) int {
	t.Helper()
	var keyset struct{ Key []json.RawMessage }
	if err := json.Unmarshal(keysetJSON, &keyset); err != nil {
		t.Fatal(err)
	}
	return len(keyset.Key)
}

func TestBadKeysetIsNotQuoted(t *testing.T) {
	t.Parallel()
	good := newKeyset(t)
	for name, bad := range map[string][]byte{
		"empty":     nil,
		"not JSON":  []byte("hunter2"),
		"no keys":   []byte(`{"primaryKeyId":7,"key":[]}`),
		"truncated": good[:len(good)/2],
		"other key": bytes.Replace(good, []byte("AesGcmKey"), []byte("HunterKey"), 1),
	} {
		_, openErr := seal.Open(bad)
		_, rotateErr := seal.Rotate(bad)
		if !errors.Is(openErr, seal.ErrKeyset) {
			t.Errorf("%s: Open: %v, want ErrKeyset", name, openErr)
		}
		if name != "other key" && !errors.Is(rotateErr, seal.ErrKeyset) {
			t.Errorf("%s: Rotate: %v, want ErrKeyset", name, rotateErr)
		}
		if openErr != nil && strings.Contains(strings.ToLower(openErr.Error()), "hunter") {
			t.Errorf("%s: the error quotes the keyset: %v", name, openErr)
		}
	}
}

func TestSealerInParallel(t *testing.T) {
	t.Parallel()
	s := open(t, newKeyset(t))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				sealed, err := s.Seal([]byte("key"), "ord_1")
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := s.Open(sealed, "ord_1"); err != nil || string(got) != "key" {
					t.Errorf("Open = %q, %v; want key", got, err)
				}
			}
		})
	}
	wg.Wait()
}

func newKeyset(t *testing.T) []byte {
	t.Helper()
	keyset, err := seal.New()
	if err != nil {
		t.Fatal(err)
	}
	return keyset
}

func open(t *testing.T, keyset []byte) *seal.Sealer {
	t.Helper()
	s, err := seal.Open(keyset)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
