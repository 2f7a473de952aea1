package rules

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Lengths of texts, in characters. The API description has the same limits.
const (
	MaxNameInput      = 1024 // of a domain name in any spelling
	MaxLabelValue     = 255
	maxLabelKey       = 63
	MaxProfile        = 64
	MaxPreferredChain = 255
	MaxCA             = 64
	MaxCSR            = 64 << 10 // far above the length of a CSR for 100 names
	MaxDisplayName    = 200      // of a token or an organization
	MaxDescription    = 200      // of a webhook
	MaxLogin          = 100      // GitHub's have up to 39, plus a suffix for accounts of an enterprise
	MaxWebhookURL     = 2048
	MaxWebhookSecret  = 128
	MaxSearch         = 253                                    // of a search for domains
	MaxLabelFilter    = maxLabelKey + len("=") + MaxLabelValue // of a filter by a label
	MaxPassword       = 1024                                   // of a PKCS#12 file
)

// TooLong returns the error of a text of more than limit characters.
func TooLong(limit uint64) *Error {
	return &Error{Code: "too-long",
		Message: fmt.Sprintf("It must have at most %d characters.", limit), Fix: "Shorten it."}
}

// TooShort returns the error of a text of less than limit characters.
func TooShort(limit uint64) *Error {
	if limit == 1 {
		return &Error{Code: "too-short", Message: "It must not be empty.",
			Fix: "Use at least one character."}
	}
	return &Error{Code: "too-short",
		Message: fmt.Sprintf("It must have at least %d characters.", limit),
		Fix:     "Use a longer text."}
}

// TooMany returns the error of a list or map of more than limit entries.
func TooMany(limit uint64) *Error {
	return &Error{Code: "too-many",
		Message: fmt.Sprintf("It must have at most %d entries.", limit), Fix: "Use fewer entries."}
}

// NotOneOf returns the error of a text that is not one of the allowed ones.
func NotOneOf(allowed []string) *Error {
	return &Error{Code: codeNotOneOf,
		Message: "It must be one of " + strings.Join(allowed, ", ") + ".",
		Fix:     "Use one of these values."}
}

const codeNotOneOf = "not-one-of"

// checkLength returns an *Error unless s has from least to most characters.
func checkLength(s string, least, most uint64) error {
	// No character has more than 4 bytes, so a long text is not counted.
	switch n := uint64(len(s)); {
	case n < least:
		return TooShort(least)
	case n <= most:
	case n > 4*most || uint64(utf8.RuneCountInString(s)) > most:
		return TooLong(most)
	}
	return nil
}

// DisplayName returns the name of a token or an organization without white space around it. It
// returns an *Error if it is blank or too long.
func DisplayName(s string) (string, error) {
	if err := checkLength(s, 1, MaxDisplayName); err != nil {
		return "", err
	}
	name := strings.TrimSpace(s)
	if name == "" {
		return "", &Error{Code: "name-invalid",
			Message: "It must have 1 to 200 characters, and not only white space.",
			Fix:     "Use such a name."}
	}
	return name, nil
}

// CheckDescription returns an *Error if the description of a webhook is too long.
func CheckDescription(s string) error { return checkLength(s, 0, MaxDescription) }

// CheckSearch returns an *Error if a search for domains is too long.
func CheckSearch(s string) error { return checkLength(s, 0, MaxSearch) }

// CheckPassword returns an *Error if the password of a PKCS#12 file is too long.
func CheckPassword(s string) error { return checkLength(s, 0, MaxPassword) }

// CheckLogin returns an *Error if s does not have the form of a GitHub login. The ID of a user has
// it, too.
func CheckLogin(s string) error {
	if err := checkLength(s, 1, MaxLogin); err != nil {
		return err
	}
	if strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' &&
			r != '_'
	}) {
		return LoginUnknown()
	}
	return nil
}

// LoginUnknown returns the error of a login that no user has.
func LoginUnknown() *Error {
	return &Error{Code: "login-unknown", Message: "This login does not belong to a GitHub user.",
		Fix: "Check the spelling. If you do not know the login, create an invitation and send its link."}
}
