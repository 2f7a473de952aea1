package dnscheck

import (
	"net/url"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// CAA property tags (RFC 8659 §4.2, §4.3).
const (
	tagIssue     = "issue"
	tagIssueWild = "issuewild"
)

// challengeMethod is the validation method of this service (RFC 8555 §8.4).
const challengeMethod = "dns-01"

// property is the value of one issue or issuewild record (RFC 8659 §4.2).
type property struct {
	issuer    string // as written; empty authorizes no CA
	params    map[string][]string
	malformed string // the grammar error, if any; a malformed property authorizes no CA
}

// parseProperty parses a value by the grammar of RFC 8659 §4.2.
func parseProperty(value string) property {
	issuer, rest, more := strings.Cut(value, ";")
	p := property{issuer: trimSpace(issuer), params: map[string][]string{}}
	switch {
	case strings.HasSuffix(p.issuer, "."):
		p.malformed = "the CA's name ends with a dot"
		return p
	case p.issuer != "" && !isIssuer(p.issuer):
		p.malformed = "the CA's name is not a domain name"
		return p
	}
	if !more || trimSpace(rest) == "" {
		return p
	}
	for param := range strings.SplitSeq(rest, ";") {
		tag, v, ok := strings.Cut(param, "=")
		tag, v = trimSpace(tag), trimSpace(v)
		switch {
		case trimSpace(param) == "":
			p.malformed = "a semicolon is not followed by a parameter"
		case !ok:
			p.malformed = "a parameter has no equals sign"
		case !isTag(tag):
			p.malformed = "a parameter's name has an invalid character"
		case !isValue(v):
			p.malformed = "a parameter's value has a space or an invalid character"
		default:
			p.params[tag] = append(p.params[tag], v)
			continue
		}
		return p
	}
	return p
}

// names reports whether the property names the CA, regardless of its parameters. The comparison
// ignores case. Some CAs compare byte by byte, which refusal checks.
func (p property) names(ca controlplane.CAIdentity) bool {
	return slices.ContainsFunc(ca.Identities,
		func(id string) bool { return strings.EqualFold(strings.TrimSuffix(p.issuer, "."), id) })
}

// refusal returns why the property does not authorize this account and method at the CA, as the end
// of a sentence. It returns "" if the property authorizes them.
func (p property) refusal(ca controlplane.CAIdentity) string {
	accounts, bound := p.params["accounturi"]
	methods, limited := p.params["validationmethods"]
	switch {
	case p.malformed != "":
		return "is malformed (" + controlplane.Shorten(p.malformed) +
			"), so it authorizes no CA (RFC 8659 §4.2)"
	case p.issuer == "":
		return "authorizes no CA"
	case !p.names(ca):
		return "authorizes only " + controlplane.Shorten(p.issuer)
	case !slices.Contains(ca.Identities, p.issuer):
		return "is not in lower case, but CAs compare it case-sensitively"
	case bound && (len(accounts) != 1 || !isURI(accounts[0])):
		return "must have exactly one valid account URI, so it authorizes no account (RFC 8657 §3)"
	case bound && ca.AccountURI == "":
		return "authorizes only the account " + controlplane.Shorten(accounts[0]) +
			" (RFC 8657 §3), and this service's account is not registered yet"
	case bound && accounts[0] != ca.AccountURI:
		return "authorizes only the account " + controlplane.Shorten(accounts[0]) +
			" (RFC 8657 §3), not this service's account " + ca.AccountURI
	case limited && !allowsMethod(methods):
		return "authorizes only the validation methods \"" +
			controlplane.Shorten(strings.Join(methods, "; ")) +
			"\" (RFC 8657 §4), but this service uses " + challengeMethod
	}
	return ""
}

// allowsMethod reports whether a validationmethods parameter contains dns-01. A malformed label
// invalidates the whole parameter (RFC 8657 §4).
func allowsMethod(values []string) bool {
	if len(values) != 1 {
		return false
	}
	methods := strings.Split(values[0], ",")
	for _, m := range methods {
		if m == "" || strings.ContainsFunc(m,
			func(r rune) bool { return !isAlnum(r) && r != '-' }) {
			return false
		}
	}
	return slices.Contains(methods, challengeMethod)
}

// critical reports whether this record prevents CAs from issuing: it is marked critical and has an
// unknown property (RFC 8659 §4.5). Bit 0 is often used by mistake instead of bit 7, and Let's
// Encrypt treats it as critical.
func critical(rr *dns.CAA) bool {
	switch strings.ToLower(rr.Tag) {
	case tagIssue, tagIssueWild, "iodef", "issuemail":
		return false
	}
	return rr.Flag&(1<<7|1) != 0
}

func isIssuer(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if !isTag(label) {
			return false
		}
	}
	return true
}

// isTag reports whether s is a label or a parameter's tag, which have the same grammar (RFC 8659
// §4.2).
func isTag(s string) bool {
	return s != "" && !strings.HasPrefix(s, "-") && !strings.HasSuffix(s, "-") &&
		!strings.ContainsFunc(s, func(r rune) bool { return !isAlnum(r) && r != '-' })
}

// isValue reports whether s is visible ASCII. Semicolons have been split off before.
func isValue(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < '!' || r > '~' })
}

func isURI(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.IsAbs()
}

func isAlnum(r rune) bool {
	return (r >= '0' && r <= '9') || (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z')
}

func trimSpace(s string) string { return strings.Trim(s, " \t") }
