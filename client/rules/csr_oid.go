package rules

import "encoding/asn1"

// Object identifiers in CSRs.
var (
	oidExtensionRequest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 14} // RFC 2985 §5.4.2
	oidSubjectAltName   = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidCommonName       = asn1.ObjectIdentifier{2, 5, 4, 3}
	oidECKey            = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}     // RFC 5480 §2.1.1
	oidRSAKey           = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1} // RFC 8017 appendix A
)

// Names of algorithms that CAs reject, for messages.
var (
	signatureNames = map[string]string{
		"1.2.840.113549.1.1.2":   "MD2 and RSA",
		"1.2.840.113549.1.1.4":   "MD5 and RSA",
		"1.2.840.113549.1.1.5":   "SHA-1 and RSA",
		"1.2.840.113549.1.1.14":  "SHA-224 and RSA",
		"1.2.840.113549.1.1.10":  "RSASSA-PSS",
		"1.2.840.10040.4.3":      "SHA-1 and DSA",
		"2.16.840.1.101.3.4.3.2": "SHA-256 and DSA",
		"1.2.840.10045.4.1":      "SHA-1 and ECDSA",
		"1.2.840.10045.4.3.1":    "SHA-224 and ECDSA",
		"1.3.101.112":            "Ed25519",
		"1.3.101.113":            "Ed448",
	}
	keyNames = map[string]string{
		"1.2.840.113549.1.1.10":   "RSASSA-PSS only",
		"1.2.840.10040.4.1":       "DSA",
		"1.3.101.110":             "X25519",
		"1.3.101.112":             "Ed25519",
		"1.3.101.113":             "Ed448",
		"2.16.840.1.101.3.4.3.17": "ML-DSA-44",
		"2.16.840.1.101.3.4.3.18": "ML-DSA-65",
		"2.16.840.1.101.3.4.3.19": "ML-DSA-87",
	}
	curveNames = map[string]string{
		"1.3.132.0.33":          "P-224",
		"1.3.132.0.35":          "P-521",
		"1.3.132.0.10":          "secp256k1",
		"1.2.840.10045.3.1.1":   "P-192",
		"1.2.840.10045.3.1.7":   "P-256",
		"1.3.132.0.34":          "P-384",
		"1.3.36.3.3.2.8.1.1.7":  "brainpoolP256r1",
		"1.3.36.3.3.2.8.1.1.11": "brainpoolP384r1",
		"1.3.36.3.3.2.8.1.1.13": "brainpoolP512r1",
	}
)

// nameOf returns the name of an object identifier, or the identifier if names has none.
func nameOf(names map[string]string, id asn1.ObjectIdentifier) string {
	if name, ok := names[id.String()]; ok {
		return name
	}
	return "the algorithm " + id.String()
}
