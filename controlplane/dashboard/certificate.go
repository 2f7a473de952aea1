package dashboard

import (
	"net/http"
	"strings"

	"github.com/gorilla/mux"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// certificatePageView is what templates/certificate.html shows.
type certificatePageView struct {
	certificateView
	Name        string // the first of its names
	Domain      string
	DomainURL   string
	Replaces    string // address of the certificate whose place it took; empty where there is none
	ReplacedBy  string // address of the one that took its place
	Revoked     moment
	Reason      string // of the revocation, in words
	Revoking    bool   // the CA is being told to revoke it
	HasKey      bool   // its private key is held here
	KeyURL      string // empty where it is not to be had
	RevokeURL   string // empty where there is nothing to revoke
	Chain       []chainLink
	Snippets    []snippet
	KeyFileName string
}

// certificatePage shows one certificate, the current one or an earlier one.
func (d *Dashboard) certificatePage(w http.ResponseWriter, v *visit) error {
	c, domain, err := d.certificate(v)
	if err != nil {
		return err
	}
	view := certificatePageView{certificateView: v.certificateView(c, domain), Name: nameOf(c), Domain: domain.Name, DomainURL: "/domains/" + domain.ID,
		Revoked: v.maybeAt(c.RevokedAt), Reason: revocationTitle(c.RevocationReason), HasKey: c.HasKey(), Chain: v.chain(c.ChainPEM), Snippets: snippets(c), KeyFileName: fileStem(c) + "-key.pem"}
	replaces, err := d.store.ReplacedCertificate(v.Context(), v.org.ID, domain.ID, c.ID)
	if err != nil {
		return err
	}
	view.Replaces, view.ReplacedBy = certificateURL(replaces), certificateURL(c.ReplacedBy)
	if c.RevokedAt == nil {
		asked, err := d.store.RevocationRequested(v.Context(), v.org.ID, c.ID)
		if err != nil {
			return err
		}
		view.Revoking, view.Reason = asked != "", revocationTitle(asked)
		if v.may(controlplane.ScopeCertificatesRevoke) {
			view.RevokeURL = view.URL + "/revoke"
		}
	}
	if view.HasKey && v.may(controlplane.ScopeCertificatesKey) {
		view.KeyURL = view.URL + "/key"
	}
	return d.render(w, v, http.StatusOK, "certificate", layout{Title: "Certificate of " + view.Name, Section: "domains", Flash: d.takeFlash(w, v), Page: view})
}

// certificate returns the certificate that the address names, and its domain.
func (d *Dashboard) certificate(v *visit) (*controlplane.Certificate, *controlplane.Domain, error) {
	id := mux.Vars(v.Request)["certificate"]
	if !controlplane.IsID(controlplane.PrefixCertificate, id) {
		return nil, nil, controlplane.NotFound("certificate", id)
	}
	c, err := d.store.Certificate(v.Context(), v.org.ID, id)
	if err != nil {
		return nil, nil, err
	}
	domain, err := d.store.Domain(v.Context(), v.org.ID, c.DomainID)
	return c, domain, err
}

func certificateURL(id string) string {
	if id == "" {
		return ""
	}
	return "/certificates/" + id
}

// nameOf is what a certificate is called.
func nameOf(c *controlplane.Certificate) string {
	if len(c.Names) == 0 {
		return c.ID
	}
	return c.Names[0]
}

// fileStem is what the files of a certificate are called. Names have letters, digits, hyphens
// and dots only, so that it needs no quoting (RFC 6266 §4.3).
func fileStem(c *controlplane.Certificate) string {
	return strings.Replace(nameOf(c), "*", "wildcard", 1)
}

// serveAttachment answers with a file to keep.
func serveAttachment(w http.ResponseWriter, contentType, name string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	_, _ = w.Write(body)
}
