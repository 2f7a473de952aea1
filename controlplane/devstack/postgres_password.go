package devstack

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	// passwordFile is in the data directory, which only its owner can read.
	passwordFile = "dcvaas-password"
	// scramIterations is small, because iterations only slow down guessing, which is not possible
	// for random passwords, and tests open many connections.
	scramIterations = 16
	// hbaRules require the password for all connections. initdb writes the same rules.
	hbaRules = "# Written by dcvaas dev.\nlocal all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256"
)

// scramVerifier returns the verifier that Postgres stores instead of the password (RFC 5803). The
// password can't be derived from it.
func scramVerifier(password string) (string, error) {
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return "", err
	}
	salted, err := pbkdf2.Key(sha256.New, password, salt, scramIterations, sha256.Size)
	if err != nil {
		return "", err
	}
	sign := func(text string) []byte {
		h := hmac.New(sha256.New, salted)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	stored := sha256.Sum256(sign("Client Key"))
	base := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", scramIterations, base(salt), base(stored[:]),
		base(sign("Server Key"))), nil
}

// secure returns the superuser's password. Directories created by older versions have no password
// and trust every local user: secure sets a password while no server is running. After an
// interruption, the next start completes this.
func (d dataDir) secure(ctx context.Context, bin postgresPrograms, log io.Writer) (string, error) {
	path := filepath.Join(d.path, passwordFile)
	password, err := readPassword(path)
	if password != "" || err != nil {
		return password, err
	}
	password = newPassword()
	verifier, err := scramVerifier(password)
	if err != nil {
		return "", err
	}
	cmd := exec.Command(filepath.Join(bin.dir, "postgres"), "--single", "-D", d.path, "-c",
		"exit_on_error=on", "postgres")
	cmd.Dir = d.path
	cmd.Stdin = strings.NewReader("ALTER ROLE postgres PASSWORD '" + verifier + "'\n")
	process, err := startChild(cmd, d.owner, syscall.SIGTERM, log)
	if err != nil {
		return "", err
	}
	if err := process.wait(ctx); err != nil {
		failure := fmt.Errorf("setting a password: %w", process.failure())
		if isEnding(process.tail.String()) {
			return "", &passingError{failure}
		}
		return "", failure
	}
	if err := d.write(filepath.Join(d.path, "pg_hba.conf"), hbaRules); err != nil {
		return "", err
	}
	return password, d.write(path, password)
}

// initPassword writes the verifier of a new password to a file for initdb. The caller deletes the
// file.
func (d dataDir) initPassword(path string) (password string, err error) {
	password = newPassword()
	verifier, err := scramVerifier(password)
	if err != nil {
		return "", err
	}
	return password, d.write(path, verifier)
}

// write replaces a file with one that only the server's user can read.
func (d dataDir) write(path, text string) error {
	if err := replaceFile(path, []byte(text+"\n"), 0o600); err != nil {
		return err
	}
	return d.chown(path)
}
