package dnscheck

import (
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// caaVerdict is what a set of CAA records says about one CA.
type caaVerdict struct {
	why      string        // it forbids: sentences; empty where it allows
	critical []*dns.CAA    // records that no CA can honour: they have to go before anything helps
	add      []caaProperty // what would allow it then
	loose    bool          // add lets other accounts in than the records do now
}

// caaProperty is a property to be added.
type caaProperty struct{ tag, value string }

// String is the record in presentation form, without its name (RFC 8659 §4.1.1).
func (p caaProperty) String() string { return "0 " + p.tag + ` "` + p.value + `"` }

// judge applies a domain's relevant record set to one CA (RFC 8659 §4.2 to §4.5). With
// wildcard the certificate is for the name and for *.name, and has to pass for both.
func judge(set []*dns.CAA, ca controlplane.CAIdentity, wildcard bool) caaVerdict {
	var v caaVerdict
	var properties, wild []property
	for _, rr := range set {
		switch {
		case critical(rr):
			v.critical = append(v.critical, rr)
		case strings.EqualFold(rr.Tag, tagIssue):
			properties = append(properties, parseProperty(rr.Value))
		case strings.EqualFold(rr.Tag, tagIssueWild):
			wild = append(wild, parseProperty(rr.Value))
		}
	}
	if len(v.critical) > 0 {
		v.why = "The record " + caaData(v.critical[0]) + " is marked critical and CAs do not know its property, so none of them issues (RFC 8659 §4.5)."
	}
	v.require(tagIssue, properties, ca)
	if wildcard {
		v.require(tagIssueWild, wild, ca) // without any, issue counted for the wildcard too (RFC 8659 §4.3)
	}
	return v
}

// require asks that one of the properties allows the CA, unless there is none.
func (v *caaVerdict) require(tag string, properties []property, ca controlplane.CAIdentity) {
	if len(properties) == 0 || slices.ContainsFunc(properties, func(p property) bool { return p.refusal(ca) == "" }) {
		return
	}
	v.why = strings.TrimPrefix(v.why+" "+explain(tag, properties, ca), " ")
	value, loose := proposal(properties, ca)
	v.add = append(v.add, caaProperty{tag, value})
	v.loose = v.loose || loose
}

// explain says why none of the properties allows the CA: by the one that was meant for it,
// where there is one, and by who is allowed otherwise.
func explain(tag string, properties []property, ca controlplane.CAIdentity) string {
	what := "The " + tag + " property"
	var others []string
	for _, p := range properties {
		if p.names(ca) {
			return what + " that names " + controlplane.Shorten(p.issuer) + " " + p.refusal(ca) + "."
		}
		if p.issuer != "" && p.malformed == "" && !slices.Contains(others, p.issuer) {
			others = append(others, p.issuer)
		}
	}
	if len(others) > 0 {
		return what + " allows " + controlplane.Observed(others, ", ") + " only."
	}
	for _, p := range properties {
		if p.malformed != "" {
			return what + " " + p.refusal(ca) + "."
		}
	}
	return what + " allows nobody."
}

// proposal is the value of a property that would allow the CA. It is bound to account and
// method where the properties meant for the CA were; loose is that it could not be.
func proposal(properties []property, ca controlplane.CAIdentity) (value string, loose bool) {
	bound, limited := false, false
	for _, p := range properties {
		if p.names(ca) {
			bound = bound || len(p.params["accounturi"]) > 0
			limited = limited || len(p.params["validationmethods"]) > 0
		}
	}
	value = ca.Identities[0]
	if bound && ca.AccountURI != "" {
		value += "; accounturi=" + ca.AccountURI
	}
	if limited {
		value += "; validationmethods=" + challengeMethod
	}
	return value, bound && ca.AccountURI == ""
}

// caaData is a record as zone files have it, without the name, shortened.
func caaData(rr *dns.CAA) string {
	return controlplane.Shorten(strings.TrimPrefix(rr.String(), rr.Hdr.String()))
}
