package controlplane

import (
	"encoding/base64"
	"errors"
	"strings"
)

// DecodeBase64URL decodes unpadded base64url (RFC 4648 §5) in its one canonical spelling. The
// decoder of the standard library skips line breaks even if it is strict, so that one value
// would have many spellings.
func DecodeBase64URL(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, errors.New("base64url contains a line break")
	}
	return base64.RawURLEncoding.Strict().DecodeString(s)
}
