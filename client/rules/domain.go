package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// MaxLabels is the largest number of labels of a domain.
const MaxLabels = 64

// CodeChainNotOffered is the reason of a condition: the certificate has another chain than the
// preferred one.
const CodeChainNotOffered = "preferred-chain-not-offered"

var (
	labelKey    = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$`)
	profileName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)
)

// CheckLabelKey returns an *Error if key is not a valid key of a label.
func CheckLabelKey(key string) error {
	if labelKey.MatchString(key) {
		return nil
	}
	return &Error{Code: "label-key-invalid", Message: "The label key " + Quote(key) +
		" is invalid.",
		Fix: "Use 1 to 63 letters, digits, and . _ / -, starting and ending with a letter or digit."}
}

// CheckLabelValue returns an *Error if value is too long for a label.
func CheckLabelValue(value string) error { return checkLength(value, 0, MaxLabelValue) }

// CheckLabelCount returns an *Error if a domain can't have n labels.
func CheckLabelCount(n int) error {
	if n > MaxLabels {
		return TooMany(MaxLabels)
	}
	return nil
}

// CheckKeyType returns an *Error if no certificate can have a key of the type.
func CheckKeyType(keyType string) error {
	if slices.Contains(KeyTypes(), keyType) {
		return nil
	}
	return NotOneOf(KeyTypes())
}

// KeyTypeMismatch returns the error of a key type that is not that of the CSR.
func KeyTypeMismatch(keyType, ofCSR string) *Error {
	return &Error{Code: "key-type-mismatch",
		Message: "The CSR has a key of type " + ofCSR + ".",
		Fix:     "Omit key_type, or use a CSR with a key of type " + keyType + "."}
}

// CheckCA returns an *Error if no CA can have the name.
func CheckCA(name string) error { return checkLength(name, 1, MaxCA) }

// CheckProfile returns an *Error if name is not the name of an ACME profile, or that of a profile
// that its CA no longer offers.
func CheckProfile(name string) error {
	if err := checkLength(name, 0, MaxProfile); err != nil {
		return err
	}
	if ended, ok := endedProfiles[name]; ok {
		return &Error{Code: "profile-invalid", Message: "Let's Encrypt ended the profile " +
			Quote(name) + " on " + ended + ".",
			Fix: "Use a profile that the CA offers, such as classic, tlsserver, or shortlived."}
	}
	if profileName.MatchString(name) {
		return nil
	}
	return &Error{Code: "profile-invalid", Message: "The profile " + Quote(name) +
		" is not a profile name.",
		Fix: "Use a profile that the CA offers, such as classic, tlsserver, or shortlived."}
}

// CheckNames returns an *Error if a certificate with a profile can't have all of the names. "" is
// the CA's default profile.
func CheckNames(names []string, profile string) error {
	total := 0
	for _, name := range names {
		total += len(name)
	}
	of := ""
	if profile != "" {
		of = " with the profile " + Quote(profile)
	}
	switch limit := MaxNamesOf(profile); {
	case len(names) > limit:
		return &Error{Code: "names-too-many", Message: fmt.Sprintf(
			"The certificate would have %d names. CAs issue certificates%s for at most %d.",
			len(names), of, limit),
			Fix: "Divide the names among several certificates, or choose a profile for more names."}
	case total > maxNamesLength:
		return &Error{Code: "names-too-long", Message: fmt.Sprintf(
			"The certificate's names have %d bytes in total. CAs accept at most %d.", total,
			maxNamesLength),
			Fix: "Divide the names among several certificates."}
	}
	return nil
}

// CheckPreferredChain returns an *Error if name can't be the common name of a root certificate.
func CheckPreferredChain(name string) error {
	if err := checkLength(name, 0, MaxPreferredChain); err != nil {
		return err
	}
	if name != "" && name == strings.TrimSpace(name) {
		return nil
	}
	return &Error{Code: "chain-invalid",
		Message: "The preferred chain is not the common name of a root certificate.",
		Fix:     "Use 1 to 255 characters that neither start nor end with white space."}
}
