package dashboard

import (
	"net/http"
	"time"

	"github.com/gorilla/mux"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
)

// certificatePageView is the data for templates/certificate.html.
type certificatePageView struct {
	certificateView
	Name        string // first name in the certificate
	Domain      string
	DomainURL   string
	Replaces    string // URL of the certificate that it replaced, or empty
	ReplacedBy  string // URL of the certificate that replaced it, or empty
	Revoked     moment
	Reason      string // title of the revocation reason
	Revoking    bool   // a revocation was requested
	HasKey      bool   // the private key is stored here
	KeyRemoved  string // the day on which it was removed; empty if it was not
	KeyURL      string // empty if the user cannot download the key
	RevokeURL   string // empty if the user cannot revoke the certificate
	Chain       []chainLink
	Snippets    []snippet
	KeyFileName string
}

// certificatePage shows one certificate, current or previous.
func (d *Dashboard) certificatePage(w http.ResponseWriter, v *visit) error {
	c, domain, err := d.certificate(v)
	if err != nil {
		return err
	}
	view := certificatePageView{certificateView: v.certificateView(c, domain), Name: nameOf(c),
		Domain: domain.Name, DomainURL: "/domains/" + domain.ID,
		Revoked: v.maybeAt(c.RevokedAt), Reason: revocationTitle(c.RevocationReason),
		HasKey: c.HasKey(), Chain: v.chain(c.ChainPEM), Snippets: snippets(c),
		KeyFileName: edge.FileName(c, "-key.pem")}
	if c.KeyRemovedAt != nil {
		view.KeyRemoved = c.KeyRemovedAt.Format(time.DateOnly)
	}
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
	return d.render(w, v, http.StatusOK,
		"certificate", layout{Title: "Certificate for " + view.Name,
			Section: "domains", Flash: d.takeFlash(w, v), Page: view})
}

// certificate returns the certificate in the URL and its domain.
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

// nameOf returns the display name of a certificate.
func nameOf(c *controlplane.Certificate) string {
	if len(c.Names) == 0 {
		return c.ID
	}
	return c.Names[0]
}

// serveAttachment responds with a file to download.
func serveAttachment(w http.ResponseWriter, contentType, name string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Disposition", edge.Attachment(name))
	_, _ = w.Write(body)
}
