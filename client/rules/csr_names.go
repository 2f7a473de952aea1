package rules

import (
	"crypto/x509"
	"slices"
	"strings"
	"unicode/utf8"
)

// CheckCSRNames returns an *Error unless a CSR contains exactly names, in any order, as DNS subject
// alternative names. A common name must be one of them.
func CheckCSRNames(req *x509.CertificateRequest, names []string) error {
	bad := func(message, fix string) error {
		return &Error{Code: "csr-names", Message: message, Fix: fix}
	}
	create := "Create a CSR with: " + CSRCommand(names)
	for _, name := range sanNames(req.Extensions) {
		if name.kind != nameKindDNS {
			return bad("The CSR contains "+name.kind+".",
				"Create a CSR with exactly these DNS names: "+strings.Join(names, ", ")+".")
		}
	}
	commonNames := commonNamesOf(req)
	for _, name := range slices.Concat(req.DNSNames, commonNames) {
		if e := misspelled(name, names); e != nil {
			return e
		}
	}
	inSAN := lower(req.DNSNames)
	found := append(slices.Clone(inSAN), lower(commonNames)...)
	if missing := without(names, found); len(missing) > 0 {
		return bad("The CSR is missing "+strings.Join(missing, ", ")+".", create)
	}
	if len(inSAN) == 0 {
		return bad("The CSR contains its name only as the common name, which CAs ignore.", create)
	}
	if missing := without(names, inSAN); len(missing) > 0 {
		return bad("The CSR contains "+strings.Join(missing, ", ")+
			" only as the common name, not as a subject alternative name.", create)
	}
	if more := without(found, names); len(more) > 0 {
		return bad("The CSR also contains "+Quote(strings.Join(more, ", "))+
			", which does not belong in this domain's certificate.", create)
	}
	for _, name := range commonNames {
		if utf8.RuneCountInString(name) > maxCommonName {
			return bad("The CSR's common name has more than 64 characters.",
				"Leave out the common name, or use a shorter one of the names. "+create)
		}
	}
	return nil
}

// misspelled returns an *Error if a name in a CSR is one of names in a spelling that CAs reject: in
// Unicode, or with a trailing dot.
func misspelled(name string, names []string) *Error {
	base, wildcard := strings.CutPrefix(strings.ToLower(name), "*.")
	canonical, err := CanonicalName(base)
	if err != nil || canonical == base {
		return nil
	}
	if wildcard {
		canonical = "*." + canonical
	}
	if !slices.Contains(names, canonical) {
		return nil
	}
	message := "The CSR contains " + Quote(name) + ", which CAs reject in this spelling."
	if !isASCII(name) {
		message = "The CSR contains " + Quote(name) +
			" in Unicode, but certificates contain A-labels."
	}
	return &Error{Code: "csr-names", Message: message,
		Fix: "Write it as " + canonical + ". Create a CSR with: " + CSRCommand(names)}
}

// commonNamesOf returns all common names of a CSR's subject. crypto/x509 has only the last.
func commonNamesOf(req *x509.CertificateRequest) []string {
	var names []string
	for _, attribute := range req.Subject.Names {
		if name, ok := attribute.Value.(string); ok && name != "" &&
			attribute.Type.Equal(oidCommonName) {
			names = append(names, name)
		}
	}
	return names
}

func lower(names []string) []string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = strings.ToLower(name)
	}
	return out
}

// without returns the elements of all that are not in some.
func without(all, some []string) []string {
	return slices.DeleteFunc(slices.Clone(all),
		func(s string) bool { return slices.Contains(some, s) })
}
