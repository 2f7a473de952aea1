package provider

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"golang.org/x/net/idna"
)

// challengeLabel stands before a name to make the name of its CNAME (RFC 8555 §8.4).
const challengeLabel = "_acme-challenge"

// idnaProfile is the mapping that the API stores names by: IDNA2008 for look-ups with UTS 46, LDH rules and lengths.
var idnaProfile = idna.New(
	idna.MapForLookup(),
	idna.Transitional(false),
	idna.BidiRule(),
	idna.CheckJoiners(true),
	idna.StrictDomainName(true),
	idna.ValidateLabels(true),
	idna.VerifyDNSLength(true),
)

// canonicalName returns a domain's name as the API stores it: lower case, A-labels, no trailing dot. Two spellings of one
// name have one canonical form. Its error says what is wrong and what to write instead. What only the API knows, such as
// public suffixes, is left to it.
func canonicalName(s string) (string, error) {
	name := s
	for _, dot := range []string{".", "。", "．", "｡"} { // the last three map to the first (UTS 46)
		if cut, ok := strings.CutSuffix(s, dot); ok {
			name = cut
		}
	}
	switch {
	case name == "":
		return "", errors.New("the name is empty: write a domain name such as example.com")
	case len(s) > 1024:
		return "", errors.New("the name is far longer than a domain name can be")
	case name == "*" || strings.HasPrefix(name, "*."):
		return "", fmt.Errorf("%q is a wildcard: write the name without \"*.\" and set wildcard = true, and the certificate covers both", s)
	case strings.ContainsAny(name, " \t\r\n"):
		return "", fmt.Errorf("%q contains white space", s)
	}
	if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return "", fmt.Errorf("%q is an IP address: DNS-01 proves control of names only", s)
	}
	if user, host, ok := strings.Cut(name, "@"); ok && !strings.ContainsAny(user, "/:") {
		return "", fmt.Errorf("%q looks like an e-mail address: write only its domain, %s", s, host)
	}
	if strings.ContainsAny(name, "/:@?#") {
		return "", fmt.Errorf("%q looks like a URL: write only the host name, without scheme, port or path", s)
	}
	if rest, ok := strings.CutPrefix(strings.ToLower(name), challengeLabel+"."); ok {
		return "", fmt.Errorf("%q is a challenge name: write the name that the certificate is for, %s", s, rest)
	}
	ascii, err := idnaProfile.ToASCII(name)
	if err != nil || strings.HasSuffix(ascii, ".") || hasSymbol(ascii) {
		return "", fmt.Errorf("%q is not a domain name: write letters, digits and hyphens in labels of 1 to 63 characters, none beginning or ending with a hyphen; no emoji", s)
	}
	if len(challengeLabel)+1+len(ascii) > 253 {
		return "", fmt.Errorf("%q is too long: at most 237 characters leave room for %s", s, challengeLabel)
	}
	switch last := ascii[strings.LastIndexByte(ascii, '.')+1:]; last {
	case "alt", "arpa", "internal", "invalid", "local", "localhost", "onion": // as the API does (IANA's special-use names)
		return "", fmt.Errorf("%q ends in .%s, which is reserved for special use: CAs issue no certificates for such names", s, last)
	}
	return ascii, nil
}

// hasSymbol reports whether a name has a character that IDNA2008 does not allow and the mapping of UTS 46 lets pass: what
// is no letter, mark or digit, nor one of the exceptions and contextual characters (RFC 5892 §2.6, appendix A).
func hasSymbol(ascii string) bool {
	name, _ := idnaProfile.ToUnicode(ascii)
	return strings.ContainsFunc(name, func(r rune) bool {
		return r >= utf8.RuneSelf && !unicode.In(r, unicode.L, unicode.Mn, unicode.Mc, unicode.Nd) &&
			!strings.ContainsRune("\u00b7\u0375\u05f3\u05f4\u06fd\u06fe\u0f0b\u3007\u30fb\u200c\u200d", r)
	})
}

// sameName reports whether two spellings name the same domain.
func sameName(a, b string) bool {
	if a == b {
		return true
	}
	ca, errA := canonicalName(a)
	cb, errB := canonicalName(b)
	return errA == nil && errB == nil && ca == cb
}

// sameRecord reports whether two spellings name the same record; unlike a domain it may begin with an underscore.
func sameRecord(a, b string) bool {
	plain := func(s string) string { return strings.ToLower(strings.TrimSuffix(s, ".")) }
	pa, pb := plain(a), plain(b)
	if pa == pb {
		return true
	}
	na, okA := strings.CutPrefix(pa, challengeLabel+".")
	nb, okB := strings.CutPrefix(pb, challengeLabel+".")
	return okA && okB && sameName(na, nb)
}

// nameValidator accepts domain names in any spelling.
type nameValidator struct{}

func (nameValidator) Description(context.Context) string {
	return "must be a domain name, in any case, with or without a trailing dot, in Unicode or A-labels"
}

func (v nameValidator) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (nameValidator) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	if _, err := canonicalName(req.ConfigValue.ValueString()); err != nil {
		resp.Diagnostics.AddAttributeError(req.Path, "Invalid domain name", sentence(err.Error()))
	}
}
