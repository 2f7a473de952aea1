package devstack

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"strings"
)

// newPassword returns 26 characters with at least 128 random bits, which need no escaping in a URL.
func newPassword() string { return rand.Text() }

// readPassword returns the password in the file, or "" if the file does not exist.
func readPassword(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return strings.TrimSpace(string(b)), nil
}

// writePassword replaces the file with one that only its owner can read.
func writePassword(path, password string) error {
	return replaceFile(path, []byte(password+"\n"), 0o600)
}
