package dnscheck

import (
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// caaVerdict is the result of applying a set of CAA records to one CA.
type caaVerdict struct {
	why      string        // sentences that explain why the CA is not authorized; empty if it is
	critical []*dns.CAA    // records that prevent every CA from issuing and must be removed first
	add      []caaProperty // properties that would then authorize the CA
	loose    bool          // add authorizes more accounts than the current records
}

// caaProperty is a property to add.
type caaProperty struct{ tag, value string }

// String returns the record in presentation form, without its name (RFC 8659 §4.1.1).
func (p caaProperty) String() string { return "0 " + p.tag + ` "` + p.value + `"` }

// certified is which of a name and its wildcard are in the certificate.
type certified struct{ plain, wildcard bool }

// judge applies a name's relevant record set to one CA (RFC 8659 §4.2 to §4.5). If the certificate
// is for the name and for *.name, both must be authorized.
func judge(set []*dns.CAA, ca controlplane.CAIdentity, names certified) caaVerdict {
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
		v.why = "The record " + caaData(v.critical[0]) +
			" is marked critical with a property that CAs do not support, so no CA issues (RFC 8659 §4.5)."
	}
	if names.plain || len(wild) == 0 {
		v.require(tagIssue, properties, ca) // without issuewild, it applies to *.name (RFC 8659 §4.3)
	}
	if names.wildcard {
		v.require(tagIssueWild, wild, ca)
	}
	return v
}

// require checks that one of the properties, if any, authorizes the CA.
func (v *caaVerdict) require(tag string, properties []property, ca controlplane.CAIdentity) {
	if len(properties) == 0 || slices.ContainsFunc(properties,
		func(p property) bool { return p.refusal(ca) == "" }) {
		return
	}
	v.why = strings.TrimPrefix(v.why+" "+explain(tag, properties, ca), " ")
	value, loose := proposal(properties, ca)
	v.add = append(v.add, caaProperty{tag, value})
	v.loose = v.loose || loose
}

// explain returns why none of the properties authorizes the CA: from the property that names it, or
// else from the CAs that are authorized.
func explain(tag string, properties []property, ca controlplane.CAIdentity) string {
	what := "The " + tag + " property"
	var others []string
	for _, p := range properties {
		if p.names(ca) {
			return what + " that names " + controlplane.Shorten(p.issuer) + " " + p.refusal(ca) +
				"."
		}
		if p.issuer != "" && p.malformed == "" && !slices.Contains(others, p.issuer) {
			others = append(others, p.issuer)
		}
	}
	if len(others) > 0 {
		return what + " authorizes only " + controlplane.Observed(others, ", ") + "."
	}
	for _, p := range properties {
		if p.malformed != "" {
			return what + " " + p.refusal(ca) + "."
		}
	}
	return what + " authorizes no CA."
}

// proposal returns the value of a property that would authorize the CA. It is bound to an account
// and a method if the existing properties for the CA are. loose reports that binding it to the
// account is not possible.
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

// caaData returns a record in zone-file form, without its name, shortened.
func caaData(rr *dns.CAA) string {
	return controlplane.Shorten(strings.TrimPrefix(rr.String(), rr.Hdr.String()))
}
