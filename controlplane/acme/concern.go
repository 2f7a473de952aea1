package acme

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// shownIdentifiers is how many identifiers a message lists.
const shownIdentifiers = 5

// concern restricts Identifiers to those of the order, in canonical form, and has the message name
// them if the order has others.
func (e *Error) concern(o *controlplane.Order) {
	if len(e.Identifiers) == 0 {
		return
	}
	identifiers := controlplane.Identifiers(o.Names)
	named := controlplane.Identifiers(e.Identifiers)
	e.Identifiers = slices.DeleteFunc(named,
		func(name string) bool { return !slices.Contains(identifiers, name) })
	if len(identifiers) < 2 || !slices.ContainsFunc(e.Identifiers,
		func(name string) bool { return !mentions(e.Message, name) }) {
		return
	}
	e.Message += " This concerns " + listed(e.Identifiers) + "."
}

// listed returns the first identifiers, and the number of the others.
func listed(identifiers []string) string {
	if more := len(identifiers) - shownIdentifiers; more > 0 {
		return fmt.Sprintf("%s, and %d more", strings.Join(identifiers[:shownIdentifiers], ", "),
			more)
	}
	return strings.Join(identifiers, ", ")
}

// challengeLabel is the prefix of the name at which a challenge's record is looked up.
const challengeLabel = "_acme-challenge."

// mentions reports whether a text contains a domain name, its wildcard, or the name of its
// challenge record, and not only a longer name that contains it.
func mentions(text, name string) bool {
	isEnd := func(r rune) bool {
		return r != '.' && r != '-' && r != '_' && r != '*' && (r < '0' || r > '9') &&
			(r < 'a' || r > 'z')
	}
	for _, word := range strings.FieldsFunc(strings.ToLower(text), isEnd) {
		word = strings.TrimPrefix(strings.Trim(word, "."), "*.")
		if strings.TrimPrefix(word, challengeLabel) == name {
			return true
		}
	}
	return false
}
