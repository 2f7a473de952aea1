package rules

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"strings"
	"unicode/utf8"
)

// rawCSR is a PKCS#10 request (RFC 2986 §4.1) with the parts that crypto/x509 rejects or does not
// name.
type rawCSR struct {
	Info struct {
		Version   int
		Subject   asn1.RawValue
		PublicKey struct {
			Raw       asn1.RawContent
			Algorithm pkix.AlgorithmIdentifier
			Key       asn1.BitString
		}
		Attributes []asn1.RawValue `asn1:"tag:0"`
	}
	Signature pkix.AlgorithmIdentifier
	Value     asn1.BitString
}

func readCSR(der []byte) (*rawCSR, error) {
	var raw rawCSR
	rest, err := asn1.Unmarshal(der, &raw)
	if err == nil && len(rest) > 0 {
		err = errors.New("trailing data")
	}
	return &raw, err
}

// explain returns the reason why crypto/x509 rejects a request of the right form: its key, or a
// name that is not ASCII.
func (c *rawCSR) explain() *Error {
	if _, err := x509.ParsePKIXPublicKey(c.Info.PublicKey.Raw); err != nil {
		return badKey(c.keyName())
	}
	for _, name := range sanNames(c.extensions()) {
		if name.kind == nameKindDNS && !isASCII(name.value) {
			return unicodeInCSR(name.value)
		}
	}
	return malformedCSR("The PEM block contains no readable PKCS#10 request.",
		"Create a CSR with: "+CSRCommand([]string{"example.com"}))
}

// keyName returns what kind of key the CSR has, for messages about a key that crypto/x509 can't
// read.
func (c *rawCSR) keyName() string {
	key := c.Info.PublicKey.Algorithm
	switch {
	case key.Algorithm.Equal(oidRSAKey):
		return "malformed RSA"
	case !key.Algorithm.Equal(oidECKey):
		return nameOf(keyNames, key.Algorithm)
	}
	var curve asn1.ObjectIdentifier
	if _, err := asn1.Unmarshal(key.Parameters.FullBytes, &curve); err != nil {
		return "EC on a curve without a name"
	}
	return "EC on " + nameOf(curveNames, curve)
}

// extensions returns the extensions that the CSR requests (RFC 2985 §5.4.2). It leaves out
// unreadable ones.
func (c *rawCSR) extensions() []pkix.Extension {
	var found []pkix.Extension
	for _, raw := range c.Info.Attributes {
		var attribute struct {
			ID     asn1.ObjectIdentifier
			Values [][]pkix.Extension `asn1:"set"`
		}
		_, err := asn1.Unmarshal(raw.FullBytes, &attribute)
		if err != nil || !attribute.ID.Equal(oidExtensionRequest) {
			continue
		}
		for _, extensions := range attribute.Values {
			found = append(found, extensions...)
		}
	}
	return found
}

// sanName is an entry of the subject alternative names.
type sanName struct{ kind, value string }

// sanNames returns the subject alternative names among extensions.
func sanNames(extensions []pkix.Extension) []sanName {
	var names []sanName
	for _, ext := range extensions {
		var entries []asn1.RawValue
		if !ext.Id.Equal(oidSubjectAltName) {
			continue
		}
		if _, err := asn1.Unmarshal(ext.Value, &entries); err != nil {
			continue
		}
		for _, entry := range entries {
			if entry.Class == asn1.ClassContextSpecific && entry.Tag < len(nameKinds) {
				names = append(names, sanName{nameKinds[entry.Tag], string(entry.Bytes)})
			}
		}
	}
	return names
}

// unicodeInCSR returns the error of a name that is not in A-labels.
func unicodeInCSR(name string) *Error {
	if !utf8.ValidString(name) {
		name = fromLatin1(name)
	}
	fix := "Use A-labels (xn--…) in the CSR."
	wildcard := ""
	base := name
	if cut, ok := strings.CutPrefix(name, "*."); ok {
		wildcard, base = "*.", cut
	}
	if ascii, err := CanonicalName(base); err == nil {
		fix = "Write it as " + wildcard + ascii + ". Create a CSR with: " +
			CSRCommand([]string{wildcard + ascii})
	}
	return &Error{Code: "csr-names", Message: "The CSR contains " + Quote(name) +
		" in Unicode, but certificates contain A-labels.", Fix: fix}
}

// fromLatin1 returns the text of ISO 8859-1 bytes, which each have the number of their character.
func fromLatin1(s string) string {
	runes := make([]rune, len(s))
	for i := range len(s) {
		runes[i] = rune(s[i])
	}
	return string(runes)
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
}
