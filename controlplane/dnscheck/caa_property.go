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

// challengeMethod is how names are proved here (RFC 8555 §8.4).
const challengeMethod = "dns-01"

// property is the value of one issue or issuewild record (RFC 8659 §4.2).
type property struct {
	issuer    string // as written; empty allows nobody
	params    map[string][]string
	malformed string // what is wrong with it, where it is not by the grammar: it then allows nobody
}

// parseProperty reads a value by the grammar of RFC 8659 §4.2.
func parseProperty(value string) property {
	issuer, rest, more := strings.Cut(value, ";")
	p := property{issuer: trimSpace(issuer), params: map[string][]string{}}
	switch {
	case strings.HasSuffix(p.issuer, "."):
		p.malformed = "its CA ends in a dot"
		return p
	case p.issuer != "" && !isIssuer(p.issuer):
		p.malformed = "its CA is no domain name"
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
			p.malformed = "it has a semicolon with no parameter after it"
		case !ok:
			p.malformed = "a parameter has no equals sign"
		case !isTag(tag):
			p.malformed = "a parameter's name has a character that is not allowed"
		case !isValue(v):
			p.malformed = "a parameter's value has a space or a character that is not allowed"
		default:
			p.params[tag] = append(p.params[tag], v)
			continue
		}
		return p
	}
	return p
}

// names reports whether the property is meant for the CA, whatever else it asks for. Case
// is looked at apart: some CAs compare byte by byte.
func (p property) names(ca controlplane.CAIdentity) bool {
	return slices.ContainsFunc(ca.Identities, func(id string) bool { return strings.EqualFold(strings.TrimSuffix(p.issuer, "."), id) })
}

// refusal says why the property does not let the CA issue for our account by our method, as
// the end of a sentence; it is empty where it does.
func (p property) refusal(ca controlplane.CAIdentity) string {
	accounts, bound := p.params["accounturi"]
	methods, limited := p.params["validationmethods"]
	switch {
	case p.malformed != "":
		return "is malformed, as " + controlplane.Shorten(p.malformed) + ", and CAs take it to allow nobody (RFC 8659 §4.2)"
	case p.issuer == "":
		return "allows nobody"
	case !p.names(ca):
		return "allows " + controlplane.Shorten(p.issuer) + " only"
	case !slices.Contains(ca.Identities, p.issuer):
		return "is not in lower case, and CAs compare it letter by letter"
	case bound && (len(accounts) != 1 || !isURI(accounts[0])):
		return "has no single account URI, and CAs take it to allow nobody (RFC 8657 §3)"
	case bound && ca.AccountURI == "":
		return "allows the account " + controlplane.Shorten(accounts[0]) + " only (RFC 8657 §3), and ours is not registered yet"
	case bound && accounts[0] != ca.AccountURI:
		return "allows the account " + controlplane.Shorten(accounts[0]) + " only (RFC 8657 §3), and ours is " + ca.AccountURI
	case limited && !allowsMethod(methods):
		return "allows the validation methods \"" + controlplane.Shorten(strings.Join(methods, "; ")) + "\" only (RFC 8657 §4), and names are proved by " + challengeMethod + " here"
	}
	return ""
}

// allowsMethod reports whether a validationmethods parameter has dns-01. One label that is
// not by the grammar spoils the whole (RFC 8657 §4).
func allowsMethod(values []string) bool {
	if len(values) != 1 {
		return false
	}
	methods := strings.Split(values[0], ",")
	for _, m := range methods {
		if m == "" || strings.ContainsFunc(m, func(r rune) bool { return !isAlnum(r) && r != '-' }) {
			return false
		}
	}
	return slices.Contains(methods, challengeMethod)
}

// critical reports whether CAs must refuse because of this record: they do not know its
// property, and it says that they have to (RFC 8659 §4.5). Bit 0 is widely mistaken for the
// critical one, and Let's Encrypt takes it for that.
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

// isTag reports whether s is a label or a parameter's tag (RFC 8659 §4.2): both have the
// same form.
func isTag(s string) bool {
	return s != "" && !strings.HasPrefix(s, "-") && !strings.HasSuffix(s, "-") &&
		!strings.ContainsFunc(s, func(r rune) bool { return !isAlnum(r) && r != '-' })
}

// isValue reports whether s is visible ASCII; a semicolon ended it before.
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
