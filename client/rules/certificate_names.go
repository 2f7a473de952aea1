package rules

import "strings"

const wildcardPrefix = "*."

// BaseName returns the name whose delegation proves control of a name in a certificate: a
// wildcard's without "*.", and otherwise the name.
func BaseName(name string) string { return strings.TrimPrefix(name, wildcardPrefix) }

// ParseAdditionalName is ParseName for an additional name of a certificate, which can be a
// wildcard: the canonical form has the prefix "*.".
func ParseAdditionalName(s string) (string, error) {
	base, isWildcard := strings.CutPrefix(s, wildcardPrefix)
	if isWildcard && strings.HasPrefix(base, "*") {
		return "", &Error{Code: "name-wildcard", Message: Quote(s) +
			" has more than one asterisk: a wildcard covers one level of subdomains.",
			Fix: "Use one asterisk as the first label, such as *.example.com."}
	}
	if s == "*" {
		return "", &Error{Code: "name-wildcard", Message: `"*" is a wildcard without a name.`,
			Fix: "Use a name such as *.example.com."}
	}
	name, err := ParseName(base)
	if err != nil || !isWildcard {
		return name, err
	}
	return wildcardPrefix + name, nil
}

// CheckAdditionalNames returns an *Error for each additional name, by its index, that can't be in a
// certificate together with name, its wildcard if wildcard is set, and the other additional names:
// CAs reject duplicates, and names that a wildcard covers. All names are in canonical form. It
// skips empty ones.
func CheckAdditionalNames(name string, wildcard bool, additional []string) map[int]*Error {
	const own, ofOption = -1, -2 // in place of an index
	at := make(map[string]int, len(additional)+2)
	if name != "" {
		at[name] = own
		if wildcard {
			at[wildcardPrefix+name] = ofOption
		}
	}
	wrong := map[int]*Error{}
	for i, one := range additional {
		first, found := at[one]
		switch {
		case one == "":
		case !found:
			at[one] = i
		default:
			wrong[i] = duplicate(one, first == own, first == ofOption)
		}
	}
	for i, one := range additional {
		if one == "" || wrong[i] != nil {
			continue
		}
		if cover := coverOf(one); cover != "" {
			if _, found := at[cover]; found {
				wrong[i] = &Error{Code: "name-redundant", Message: cover + " covers " + one +
					", and CAs reject certificates with both.",
					Fix: "Remove " + one + ": the wildcard is in the same certificate."}
			}
		}
		if one == coverOf(name) {
			wrong[i] = &Error{Code: "name-redundant", Message: one + " covers " + name +
				", the domain's name, and CAs reject certificates with both.",
				Fix: "Remove " + one + ", or use a domain with the name " + BaseName(one) +
					" and wildcard set to true."}
		}
	}
	return wrong
}

func duplicate(name string, isOwn, ofOption bool) *Error {
	message := name + " is listed more than once."
	switch {
	case isOwn:
		message = name + " is the domain's name, which is in the certificate already."
	case ofOption:
		message = name + " is in the certificate already, because wildcard is true."
	}
	return &Error{Code: "name-duplicate", Message: message,
		Fix: "Remove it from additional_names."}
}

// coverOf returns the wildcard that would cover a name, "" for a wildcard.
func coverOf(name string) string {
	_, parent, ok := strings.Cut(name, ".")
	if !ok || strings.HasPrefix(name, wildcardPrefix) {
		return ""
	}
	return wildcardPrefix + parent
}

// PartialWithCSR returns the error of issue_partial with a CSR.
func PartialWithCSR() *Error {
	return &Error{Code: "partial-with-csr",
		Message: "A certificate for a CSR contains all of its names, so it can't be issued for a part of them.",
		Fix:     "Set issue_partial to false, or leave out csr_pem."}
}
