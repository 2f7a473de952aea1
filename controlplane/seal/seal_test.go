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
	var keyset struct{ Key []json.RawMessage }
	if err := json.Unmarshal(third, &keyset); err != nil || len(keyset.Key) != 3 {
		t.Errorf("keys after two rotations = %d (%v), want 3", len(keyset.Key), err)
	}
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
