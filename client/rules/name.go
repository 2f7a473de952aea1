package rules

import (
	"net/netip"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// ChallengeLabel is the label of the DNS-01 challenge record (RFC 8555 §8.4).
const ChallengeLabel = "_acme-challenge"

// CodeUnknownTLD is the code of a name under an unknown top-level domain. The list is that of the
// build, so a newer version may accept the name.
const CodeUnknownTLD = "name-unknown-tld"

// profile is IDNA2008 for lookups (RFC 5891), with the mapping of UTS 46, LDH rules, and length
// limits. It rejects labels with hyphens at either end, and those with hyphens in the third and
// fourth position that are not A-labels (RFC 5890 §2.3.1), as CAs do.
var profile = idna.New(
	idna.MapForLookup(),
	idna.Transitional(false),
	idna.BidiRule(),
	idna.CheckJoiners(true),
	idna.StrictDomainName(true),
	idna.ValidateLabels(true),
	idna.VerifyDNSLength(true),
)

// ChallengeName returns the name of the CNAME record that delegates the challenges of name.
func ChallengeName(name string) string { return ChallengeLabel + "." + name }

// ParseName returns a domain name in canonical form: lowercase, A-labels, no trailing dot. It
// accepts any case, a trailing dot, and Unicode. It returns an *Error if s is not the name of a
// domain that can have a certificate.
func ParseName(s string) (string, error) {
	name, err := CanonicalName(s)
	if err != nil {
		return "", err
	}
	last := lastLabel(name)
	switch {
	case strings.Count(name, ".") >= maxNameLabels:
		return "", &Error{Code: "name-too-many-labels",
			Message: Quote(s) + " has more than 10 labels.",
			Fix:     "Use a name of at most 10 labels: CAs reject longer ones."}
	case slices.Contains(specialUse, last):
		return "", &Error{Code: "name-special-use", Message: Quote(s) + " ends in ." + last +
			", which is reserved for special use: CAs don't issue certificates for such names.",
			Fix: "Use a name that is registered in public DNS, such as example.com."}
	}
	if err := checkSuffix(name); err != nil {
		return "", err
	}
	return name, nil
}

// CanonicalName is ParseName without the rules that depend on the registry or on the CAs. It is for
// comparing and finding names.
func CanonicalName(s string) (string, error) {
	const maxLength = "Use a name of at most 237 characters: the challenge record prepends _acme-challenge."
	bad := func(code, message, fix string) (string, error) {
		return "", &Error{Code: code, Message: message, Fix: fix}
	}
	if err := checkLength(s, 0, MaxNameInput); err != nil {
		return "", err
	}
	name := s
	for _, dot := range []string{".", "。", "．", "｡"} { // UTS 46 maps the last three to the first
		if cut, ok := strings.CutSuffix(s, dot); ok {
			name = cut
		}
	}
	switch {
	case name == "":
		return bad("name-empty", "The name is empty.", "Use a domain name such as example.com.")
	case strings.HasPrefix(name, "*.") || name == "*":
		return bad("name-wildcard", Quote(s)+" is a wildcard.",
			`Remove "*." and set wildcard to true: the certificate then covers the name and its wildcard.`)
	case strings.ContainsAny(name, " \t\r\n"):
		return bad("name-invalid", Quote(s)+" contains white space.",
			"Use one name without spaces.")
	}
	if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return bad("name-ip", Quote(s)+" is an IP address.",
			"Use a domain name: DNS-01 validates names only.")
	}
	if user, host, ok := strings.Cut(name, "@"); ok && !strings.ContainsAny(user, "/:") {
		return bad("name-invalid", Quote(s)+" looks like an email address.",
			"Use only its domain: "+host+".")
	}
	if strings.ContainsAny(name, "/:@?#") {
		return bad("name-invalid", Quote(s)+" looks like a URL.",
			"Use only the host name, without scheme, port, or path.")
	}
	if rest, ok := strings.CutPrefix(strings.ToLower(name), ChallengeLabel+"."); ok {
		return bad("name-challenge", Quote(s)+" is a challenge name.",
			"Use the name that the certificate is for: "+rest+".")
	}
	ascii, err := profile.ToASCII(name)
	switch {
	case err == nil && strings.HasSuffix(ascii, "."):
		return bad("name-invalid", Quote(s)+" has an empty label.", "Remove the extra dot.")
	case err != nil && len(ascii) > 253:
		return bad("name-too-long", "The name has more than 253 characters.", maxLength)
	case err != nil && strings.Contains(name, "_"):
		return bad("name-invalid", Quote(s)+" contains an underscore.",
			"Use a name without underscores: certificates can't contain them.")
	case err != nil:
		return bad("name-invalid", Quote(s)+" is not a valid domain name.",
			"Use labels of 1 to 63 letters, digits, and hyphens that neither start nor end with a hyphen. "+
				"International names follow IDNA2008, which excludes emoji.")
	case hasSymbol(ascii):
		return bad("name-invalid", Quote(s)+
			" contains a character that domain names can't contain, such as an emoji.",
			"Use letters, marks, and digits of any script (IDNA2008).")
	case len(ascii) > maxNameLength:
		return bad("name-too-long", "The name has more than 237 characters.", maxLength)
	}
	last := lastLabel(ascii)
	switch {
	case last == ascii:
		return bad("name-public-suffix", Quote(s)+" has only one label.",
			"Use a full name such as example.com.")
	case isNumeric(last):
		return bad("name-ip", Quote(s)+" ends in a number, like an IP address.",
			"Use a domain name: DNS-01 validates names only.")
	}
	return ascii, nil
}

// UnicodeName returns a name, or a part of one, as people read and type it: lowercase, with
// A-labels in Unicode. It is for searching, and returns anything that it can't convert as it is.
func UnicodeName(s string) string {
	name, _ := profile.ToUnicode(s)
	return strings.ToLower(name)
}

func lastLabel(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

func isNumeric(label string) bool { return strings.Trim(label, "0123456789") == "" }

// hasSymbol reports whether a name contains a character that IDNA2008 disallows but that the
// mapping of UTS 46 passes: anything except letters, marks, digits, and the exceptions and
// contextual characters (RFC 5892 §2.6, appendix A).
func hasSymbol(ascii string) bool {
	name, _ := profile.ToUnicode(ascii)
	return strings.ContainsFunc(name, func(r rune) bool {
		return r >= utf8.RuneSelf && !unicode.In(r, unicode.L, unicode.Mn, unicode.Mc,
			unicode.Nd) &&
			!strings.ContainsRune(
				"\u00b7\u0375\u05f3\u05f4\u06fd\u06fe\u0f0b\u3007\u30fb\u200c\u200d", r)
	})
}
