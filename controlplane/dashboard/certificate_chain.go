package dashboard

import (
	"crypto/x509"
	"encoding/pem"
	"strings"
)

// chainLink is one certificate of a chain.
type chainLink struct {
	Title   string
	Facts   []fact
	Issued  moment
	Expires moment
}

// chain returns the certificates of a stored chain, leaf first. It skips unreadable blocks: chains
// are checked before they are stored.
func (v *visit) chain(chainPEM string) []chainLink {
	var links []chainLink
	for rest := []byte(chainPEM); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return links
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			continue
		}
		link := chainLink{Title: "Intermediate", Issued: v.at(c.NotBefore),
			Expires: v.at(c.NotAfter),
			Facts: []fact{{Name: "Subject", Value: c.Subject.String()},
				{Name: "Issuer", Value: c.Issuer.String()}}}
		if len(links) == 0 {
			link.Title = "Certificate"
		}
		if link.Facts[0].Value == "" { // CAs may omit it because of the SANs (RFC 5280 §4.1.2.6)
			link.Facts[0].Value = strings.Join(c.DNSNames, ", ")
		}
		links = append(links, link)
	}
}
