package rules

import (
	"crypto/x509"
	"encoding/asn1"
	"slices"
)

// This file is the table of what Let's Encrypt and ZeroSSL issue for. The other files of the
// package check input against it, so that a request that a CA would reject is rejected at once.
// Two documents determine the table:
//
//   - Boulder, the software of Let's Encrypt, github.com/letsencrypt/boulder at 2d00c8e
//   - BR, the Baseline Requirements of the CA/Browser Forum, version 2.2.6, which bind both
//
// The CAs' own lists are not here: names that they block, and keys that are known to be compromised
// or to be Debian weak keys (BR §6.1.1.3). They reject those themselves.

// Limits of names.
const (
	// maxNameLength leaves room for the challenge label within the 253 characters of a DNS name
	// (Boulder policy/pa.go, maxDNSIdentifierLength).
	maxNameLength = 253 - len(ChallengeLabel) - 1
	// maxNameLabels does not count the "*" of a wildcard (Boulder policy/pa.go, maxLabels).
	maxNameLabels = 10
	// maxCommonName is the longest common name (RFC 5280 appendix A.1, ub-common-name; Boulder
	// csr/csr.go, maxCNLength).
	maxCommonName = 64
	// MaxNames is the largest number of names in a certificate (Boulder ra/ra.go, MaxNames).
	MaxNames = 100
	// maxNamesLength is the largest total length of the names in an order, in bytes (Boulder
	// wfe2/wfe.go, maxCumulativeIdentifierLength). The value is that of Boulder's configuration for
	// tests; Let's Encrypt does not publish its own.
	maxNamesLength = 10_000
)

// specialUse are the top-level labels whose names are never on the public Internet (RFC 6761). The
// names for documentation and tests (.test, .example) are accepted, because test CAs issue for
// them.
var specialUse = []string{
	"alt",       // RFC 9476
	"arpa",      // RFC 3172; BR §7.1.2.7.12 forbids the reverse zones
	"internal",  // ICANN Board resolution 2024.07.29.06
	"invalid",   // RFC 6761 §6.4
	"local",     // RFC 6762; BR §3.2.2.6
	"localhost", // RFC 6761 §6.3
	"onion",     // RFC 7686: not in DNS, so DNS-01 proves nothing
}

// forTests are the top-level labels that are not registered, but reserved for documentation and
// tests (RFC 6761 §6.2 and §6.5).
var forTests = []string{"example", "test"}

// Key types of certificates (BR §6.1.5; Boulder goodkey/good_key.go, LetsEncryptCPS). The BR permit
// P-521 and RSA keys of other sizes, but neither CA issues for them.
const (
	KeyEC256   = "ec256"
	KeyEC384   = "ec384"
	KeyRSA2048 = "rsa2048"
	KeyRSA3072 = "rsa3072"
	KeyRSA4096 = "rsa4096"
)

// DefaultKeyType is the key type of a domain that has neither a key type nor a CSR.
const DefaultKeyType = KeyEC256

// KeyTypes returns the supported key types.
func KeyTypes() []string {
	return []string{KeyEC256, KeyEC384, KeyRSA2048, KeyRSA3072, KeyRSA4096}
}

const (
	// rsaExponent is the only RSA exponent that CAs accept (Boulder goodkey/good_key.go).
	rsaExponent = 65537
	// maxSmallPrime bounds the factors that an RSA modulus must not have (BR §6.1.6).
	maxSmallPrime = 752
	// fermatRounds are the rounds of Fermat's factorization that a modulus must withstand (BR
	// §6.1.1.3 requires 100; Boulder goodkey/good_key.go has 110).
	fermatRounds = 110

	acceptedKeys = "an EC key on P-256 or P-384, or an RSA key of 2048, 3072, or 4096 bits with the exponent 65537"
)

// signatures are the algorithms that a CSR may be signed with (Boulder csr/csr.go,
// goodSignatureAlgorithms). RSASSA-PSS is not among them.
var signatures = []x509.SignatureAlgorithm{
	x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA,
	x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512,
}

// refusedExtensions are the extensions that a CSR must not request. CAs ignore all others, except
// for the subject alternative names.
var refusedExtensions = []struct {
	id      asn1.ObjectIdentifier
	refused func(value []byte) bool // nil: any value
	reason  string                  // completes "The CSR requests …"
}{
	{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}, nil, // Boulder ra/ra.go, containsMustStaple
		"the extension TLS Feature (OCSP must-staple), which CAs no longer issue"},
	{asn1.ObjectIdentifier{2, 5, 29, 19}, isCA, // BR §7.1.2.7.8
		"a CA certificate (CA:TRUE in the basic constraints)"},
	{asn1.ObjectIdentifier{2, 5, 29, 30}, nil, // BR §7.1.2.7.6
		"name constraints, which only CA certificates have"},
}

// nameKinds are the kinds of subject alternative names by their tags (RFC 5280 §4.2.1.6). A CSR may
// contain DNS names only: BR §7.1.2.7.12 also permits IP addresses, which DNS-01 can't validate,
// and Boulder csr/csr.go rejects email addresses and URIs.
var nameKinds = []string{"another name (otherName)", "an email address", nameKindDNS,
	"an X.400 address", "a directory name", "an EDI party name", "a URI", "an IP address",
	"a registered ID"}

const nameKindDNS = "a DNS name"

// profiles are Let's Encrypt's profiles and their numbers of names (letsencrypt.org/docs/profiles).
// ZeroSSL has none. Other CAs have their own.
var profiles = []struct {
	name  string
	names int
}{
	{"classic", MaxNames},
	{"tlsserver", 25},
	{"shortlived", 25},
}

// endedProfiles are the profiles that Let's Encrypt no longer offers, and when they ended.
var endedProfiles = map[string]string{"tlsclient": "July 8, 2026"}

// MaxNamesOf returns the largest number of names in a certificate with a profile, "" for the CA's
// default.
func MaxNamesOf(profile string) int {
	for _, p := range profiles {
		if p.name == profile {
			return p.names
		}
	}
	return MaxNames
}

// isCA reports whether a basic constraints extension marks a CA, or is malformed.
func isCA(value []byte) bool {
	var constraints struct {
		IsCA       bool `asn1:"optional"`
		MaxPathLen int  `asn1:"optional,default:-1"`
	}
	rest, err := asn1.Unmarshal(value, &constraints)
	return err != nil || len(rest) > 0 || constraints.IsCA
}

func isAccepted(alg x509.SignatureAlgorithm) bool { return slices.Contains(signatures, alg) }
