package dnscheck

import (
	"net/url"
	"slices"
	"strings"
)

// knownIdentities are the issuer domain names of CAs whose directory does not list them. The first
// one is proposed in fixes.
var knownIdentities = [...]struct {
	host   string // of the directory URL, or its parent domain
	issuer []string
}{
	{"letsencrypt.org", []string{"letsencrypt.org"}},
	{"zerossl.com", []string{"sectigo.com", "zerossl.com", "trust-provider.com", "usertrust.com",
		"comodoca.com", "comodo.com"}},
	{"sectigo.com", []string{"sectigo.com", "trust-provider.com", "usertrust.com", "comodoca.com",
		"comodo.com"}},
	{"pki.goog", []string{"pki.goog"}},
	{"buypass.com", []string{"buypass.com", "buypass.no"}},
	{"buypass.no", []string{"buypass.com", "buypass.no"}},
	{"ssl.com", []string{"ssl.com"}},
	{"digicert.com", []string{"digicert.com"}},
	{"globalsign.com", []string{"globalsign.com"}},
	{"actalis.com", []string{"actalis.it"}},
	{"godaddy.com", []string{"godaddy.com", "starfieldtech.com"}},
}

// Identities returns the issuer domain names (RFC 8659 §4.2) of the CA with this ACME directory,
// the proposed one first. It returns nil for an unknown CA.
func Identities(directoryURL string) []string {
	u, err := url.Parse(directoryURL)
	if err != nil {
		return nil
	}
	host := "." + strings.ToLower(u.Hostname())
	for _, ca := range knownIdentities {
		if strings.HasSuffix(host, "."+ca.host) {
			return slices.Clone(ca.issuer)
		}
	}
	return nil
}
