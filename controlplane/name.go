package controlplane

import (
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// ChallengeLabel is the label that ACME's DNS-01 challenge stands under (RFC 8555 §8.4).
const ChallengeLabel = "_acme-challenge"

// maxNameLength leaves room for the challenge label within DNS's 253 characters.
const maxNameLength = 253 - len(ChallengeLabel) - 1

// profile is IDNA2008 as look-ups use it (RFC 5891), with the mapping of UTS 46, LDH rules
// and lengths enforced. Labels with hyphens at their edges are refused, and those with two in
// third place that are no A-labels (RFC 5890 §2.3.1), as CAs do.
var profile = idna.New(
	idna.MapForLookup(),
	idna.Transitional(false),
	idna.BidiRule(),
	idna.CheckJoiners(true),
	idna.StrictDomainName(true),
	idna.ValidateLabels(true),
	idna.VerifyDNSLength(true),
)

// ParseName returns a domain's name in stored form: lower case, A-labels, no trailing dot.
// Any case, a trailing dot and Unicode come in. Its error is a KindInvalid *Error about the
// field at pointer, with the remedy.
func ParseName(pointer, s string) (string, error) {
	bad := func(code, detail, fix string) (string, error) {
		return "", Invalid(pointer, code, detail, fix)
	}
	name := s
	for _, dot := range []string{".", "。", "．", "｡"} { // the last three map to the first (UTS 46)
		if cut, ok := strings.CutSuffix(s, dot); ok {
			name = cut
		}
	}
	switch {
	case name == "":
		return bad("name-empty", "The name is empty.", "Send a domain name such as example.com.")
	case len(s) > 1024:
		return bad("name-too-long", "The name is far longer than a domain name can be.", "A name has at most 237 characters, so that _acme-challenge. fits before it.")
	case strings.HasPrefix(name, "*.") || name == "*":
		return bad("name-wildcard", quote(s)+" is a wildcard.", `Send the name without "*." and set wildcard to true: the certificate then covers both.`)
	case strings.ContainsAny(name, " \t\r\n"):
		return bad("name-invalid", quote(s)+" contains white space.", "Send one name, without spaces.")
	case strings.Contains(name, "://") || strings.ContainsAny(name, "/:@?#"):
		if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
			break
		}
		return bad("name-invalid", quote(s)+" looks like a URL or an address.", "Send only the host name, without scheme, port or path.")
	}
	if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return bad("name-ip", quote(s)+" is an IP address.", "A DNS-01 challenge proves control of names only: send a domain name.")
	}
	if rest, ok := strings.CutPrefix(strings.ToLower(name), ChallengeLabel+"."); ok {
		return bad("name-challenge", quote(s)+" is a challenge name.", "Send the name that the certificate is for: "+rest+".")
	}
	ascii, err := profile.ToASCII(name)
	if err == nil && strings.HasSuffix(ascii, ".") {
		return bad("name-invalid", quote(s)+" has an empty label.", "Remove the dot that is too many.")
	}
	if err != nil {
		if len(ascii) > 253 {
			return bad("name-too-long", "The name has more than 253 characters.", "A name has at most 237 characters, so that _acme-challenge. fits before it.")
		}
		return bad("name-invalid", quote(s)+" is not a valid domain name.", "Use letters, digits and hyphens, labels of 1 to 63 characters, none beginning or ending with a hyphen; international names by IDNA2008 (no emoji).")
	}
	if hasSymbol(ascii) {
		return bad("name-invalid", quote(s)+" contains a character that domain names cannot have, such as an emoji.", "Use letters, marks and digits of any script (IDNA2008); symbols and emoji are none of them.")
	}
	if len(ascii) > maxNameLength {
		return bad("name-too-long", "The name is too long for a challenge record.", "A name has at most 237 characters, so that _acme-challenge. fits before it.")
	}
	if !strings.Contains(ascii, ".") {
		return bad("name-public-suffix", quote(s)+" has a single label.", "Send a full name such as example.com.")
	}
	if strings.Trim(lastLabel(ascii), "0123456789") == "" {
		return bad("name-ip", quote(s)+" ends in a number, like an IP address.", "A DNS-01 challenge proves control of names only: send a domain name.")
	}
	if last := lastLabel(ascii); isSpecialUse(last) {
		return bad("name-special-use", quote(s)+" ends in ."+last+", which is reserved for special use: CAs issue no certificates for such names.",
			"Send a name that is registered in the public DNS, such as example.com.")
	}
	if suffix, _ := publicsuffix.PublicSuffix(ascii); suffix == ascii {
		return bad("name-public-suffix", quote(s)+" is a public suffix: nobody registers names under it but its registry.", "Send a name below it, such as example."+ascii+".")
	}
	return ascii, nil
}

// isSpecialUse reports whether names under a top-level label are never on the public Internet,
// so that no CA issues for them: those of IANA's Special-Use Domain Names registry (RFC 6761)
// and .internal, which ICANN keeps for private use. Names of the registry that are for
// documentation and tests (.test, .example) are accepted: a CA for tests issues for them.
func isSpecialUse(topLevel string) bool {
	switch topLevel {
	case "alt", // RFC 9476
		"arpa",      // RFC 3172: home.arpa, in-addr.arpa, ip6.arpa, resolver.arpa and others
		"internal",  // ICANN Board resolution 2024.07.29.06
		"invalid",   // RFC 6761 §6.4
		"local",     // RFC 6762
		"localhost", // RFC 6761 §6.3
		"onion":     // RFC 7686: not in DNS, so DNS-01 proves nothing
		return true
	}
	return false
}

func lastLabel(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

// hasSymbol reports whether a name has a character that IDNA2008 does not allow and the
// mapping of UTS 46 lets pass: what is no letter, mark or digit, nor one of the exceptions
// and contextual characters (RFC 5892 §2.6, appendix A).
func hasSymbol(ascii string) bool {
	name, _ := profile.ToUnicode(ascii)
	return strings.ContainsFunc(name, func(r rune) bool {
		return r >= utf8.RuneSelf && !unicode.In(r, unicode.L, unicode.Mn, unicode.Mc, unicode.Nd) &&
			!strings.ContainsRune("\u00b7\u0375\u05f3\u05f4\u06fd\u06fe\u0f0b\u3007\u30fb\u200c\u200d", r)
	})
}

// ChallengeName returns the name at which the customer's CNAME stands.
func ChallengeName(name string) string { return ChallengeLabel + "." + name }

// CertificateNames returns the names that a domain's certificate is for.
func CertificateNames(name string, wildcard bool) []string {
	if wildcard {
		return []string{name, "*." + name}
	}
	return []string{name}
}

// RegisteredDomain returns the name that CAs count their limits by: one label more than the
// public suffix.
func RegisteredDomain(name string) string {
	d, err := publicsuffix.EffectiveTLDPlusOne(name)
	if err != nil {
		return name
	}
	return d
}
