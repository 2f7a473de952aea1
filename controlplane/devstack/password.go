package devstack

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"strings"
)

// newPassword returns 26 characters that need no escaping in a URL, with 128 random bits at least.
func newPassword() string { return rand.Text() }

// readPassword returns the password in the file, or "" if there is no such file.
func readPassword(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return strings.TrimSpace(string(b)), nil
}

// writePassword replaces the file by one that only its owner may read.
func writePassword(path, password string) error {
	return replaceFile(path, []byte(password+"\n"), 0o600)
}
