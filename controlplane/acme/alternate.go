package acme

import (
	"crypto/x509"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const (
	// maxAlternates is the largest number of alternate chains that are downloaded. Let's Encrypt
	// offers two.
	maxAlternates = 5
	// alternateTries is how often the download of an alternate chain is tried, and alternatePause
	// the pause between two tries: the certificate waits for it.
	alternateTries = 2
	alternatePause = 200 * time.Millisecond
)

// preferred returns the chain to the preferred root. If the CA offers none, it returns the default
// chain and what the CA offers, because a certificate with another chain is better than no
// certificate. header is that of the response with the default chain.
func (r *run) preferred(
	chain []*x509.Certificate, header http.Header,
) ([]*x509.Certificate, *controlplane.ChainNotOffered) {
	want := r.order.PreferredChain
	if want == "" || strings.EqualFold(rootOf(chain), want) {
		return chain, nil
	}
	offered := [][]*x509.Certificate{chain}
	missing := &controlplane.ChainNotOffered{Wanted: want, Offered: []string{rootOf(chain)}}
	for _, link := range alternates(r.order.CertificateURL, header) {
		alternate, err := r.fetchAlternate(link)
		if err != nil || !alternate[0].Equal(chain[0]) {
			missing.Unread = true
			r.engine.cfg.Logger.WarnContext(r.ctx, "acme: alternate chain not usable",
				"ca", r.order.CA, "order", r.order.ID, "error", err)
			continue
		}
		if strings.EqualFold(rootOf(alternate), want) {
			return alternate, nil
		}
		offered = append(offered, alternate)
		if root := rootOf(alternate); !slices.Contains(missing.Offered, root) {
			missing.Offered = append(missing.Offered, root)
		}
	}
	for _, candidate := range offered {
		if endsWith(candidate, want) {
			return candidate, nil
		}
	}
	r.engine.cfg.Logger.WarnContext(r.ctx, "acme: CA offers no chain to the preferred root",
		"ca", r.order.CA, "order", r.order.ID, "root", want, "offered", missing.Offered)
	return chain, missing
}

// fetchAlternate fetches an alternate chain. It tries again after a fault that may pass.
func (r *run) fetchAlternate(link string) (chain []*x509.Certificate, err error) {
	for try := 1; ; try++ {
		err = r.session.do(atCertificate, func() (err error) {
			chain, err = r.fetchChain(link)
			return err
		})
		if err == nil || try == alternateTries {
			return chain, err
		}
		if err := r.engine.cfg.Sleep(r.ctx, alternatePause); err != nil {
			return nil, r.ca.interrupted(r.ctx)
		}
	}
}

// rootOf returns the common name of the root that a chain leads to. The root itself is usually not
// in the chain.
func rootOf(chain []*x509.Certificate) string { return chain[len(chain)-1].Issuer.CommonName }

// endsWith reports whether the last certificate of a chain is the one of a root with the given
// common name that another root has signed.
func endsWith(chain []*x509.Certificate, root string) bool {
	return len(chain) > 1 && strings.EqualFold(chain[len(chain)-1].Subject.CommonName, root)
}

// alternateLink matches a link to an alternate chain (RFC 8555 §7.4.2, RFC 8288 §3).
var alternateLink = regexp.MustCompile(`<([^>]*)>[^,<]*;\s*rel="?alternate"?`)

// alternates returns the URLs of the alternate chains in a response, at most maxAlternates.
func alternates(base string, header http.Header) []string {
	var links []string
	for _, value := range header.Values("Link") {
		for _, match := range alternateLink.FindAllStringSubmatch(value, -1) {
			from, err := url.Parse(base)
			if err != nil {
				return nil
			}
			to, err := from.Parse(match[1])
			if err != nil || to.Scheme != "https" || len(links) == maxAlternates {
				continue
			}
			if link := to.String(); link != base && !slices.Contains(links, link) {
				links = append(links, link)
			}
		}
	}
	return links
}
