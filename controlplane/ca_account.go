package controlplane

import "time"

// DefaultAccount is the name of a CA's first account: the only one, unless others are configured.
const DefaultAccount = "default"

// AccountOf returns the account that an order or a certificate names: DefaultAccount if it names
// none.
func AccountOf(name string) string {
	if name == "" {
		return DefaultAccount
	}
	return name
}

// AccountRef returns how operators refer to an account of a CA, such as "letsencrypt/default".
func AccountRef(ca, account string) string { return ca + "/" + AccountOf(account) }

// AccountKey identifies an account among the stored states of accounts: the CA's name for
// DefaultAccount, and its AccountRef for others.
func AccountKey(ca, account string) string {
	if AccountOf(account) == DefaultAccount {
		return ca
	}
	return AccountRef(ca, account)
}

// AccountURL identifies an account among the stored accounts: the URL of the CA's directory, with
// the account's name as the fragment unless it is DefaultAccount.
func AccountURL(directoryURL, account string) string {
	if AccountOf(account) == DefaultAccount {
		return directoryURL
	}
	return directoryURL + "#" + account
}

// Account is an account at a CA (RFC 8555 §7.3), shared by all workers. Its key is sealed with
// DirectoryURL as associated data.
type Account struct {
	ID           string
	DirectoryURL string // AccountURL
	Email        string
	URL          string // the kid; empty until registered
	SealedKey    []byte
	CreatedAt    time.Time
	UpdatedAt    time.Time
}
