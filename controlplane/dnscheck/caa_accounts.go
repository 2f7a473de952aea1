package dnscheck

import "slices"

// forAccount returns the CA with the account that the finding is about: the first that the sets
// authorize, or else the first. It also returns the names of the accounts that they do not
// authorize while they authorize another (RFC 8657 §3).
func forAccount(sets []relevantSet, ca CAIdentity, names certified) (CAIdentity, []string) {
	var forbidden []string
	chosen := -1
	for i, account := range ca.Accounts {
		one := ca
		one.AccountURI = account.URI
		if slices.ContainsFunc(sets,
			func(s relevantSet) bool { return judge(s.rrs, one, names).why != "" }) {
			forbidden = append(forbidden, account.Name)
		} else if chosen < 0 {
			chosen = i
		}
	}
	if chosen < 0 {
		return ca, nil
	}
	ca.AccountURI = ca.Accounts[chosen].URI
	return ca, forbidden
}
