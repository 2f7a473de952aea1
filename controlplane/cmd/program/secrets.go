package program

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/alecthomas/kong"
)

// secretFiles resolves a flag from the file that its environment variable with the suffix _FILE
// names.
func secretFiles(lookup func(string) (string, bool)) kong.Resolver {
	return kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		for _, env := range flag.Envs {
			if _, set := lookup(env); set {
				return nil, nil // the variable itself takes precedence
			}
			path, set := lookup(env + "_FILE")
			if !set || path == "" {
				continue
			}
			b, err := os.ReadFile(path)
			if err != nil {
				return nil, fmt.Errorf("%s_FILE: %w", env, err)
			}
			return strings.TrimSpace(string(b)), nil
		}
		return nil, nil
	})
}

// keys are derived from the secret key, each for one purpose (RFC 5869).
type keys struct{ target, cursor, session, limits, canary []byte }

func deriveKeys(secret string) (keys, error) {
	if secret == "" {
		return keys{},
			errors.New("secret-key (DCVAAS_SECRET_KEY) is required; generate it with: openssl rand -base64 32")
	}
	master, err := base64.StdEncoding.DecodeString(secret)
	if err != nil || len(master) < 32 {
		return keys{},
			errors.New("secret-key (DCVAAS_SECRET_KEY): must be at least 32 bytes in base64; generate it with: openssl rand -base64 32")
	}
	var k keys
	for purpose, into := range map[string]*[]byte{"dcvaas target": &k.target,
		"dcvaas cursor": &k.cursor, "dcvaas session": &k.session, "dcvaas limits": &k.limits, "dcvaas canary": &k.canary} {
		if *into, err = hkdf.Key(sha256.New, master, nil, purpose, 32); err != nil {
			return keys{}, err
		}
	}
	return k, nil
}
