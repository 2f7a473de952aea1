package dashboard

import (
	"net/http"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// revokeView is the data for templates/certificate_revoke.html: the form with its input and errors.
type revokeView struct {
	Name         string // to type as confirmation
	URL          string // of the certificate
	DomainURL    string
	Serial       string
	Expires      moment
	Current      bool
	Reasons      []revocationReason
	Replace      bool
	Typed        string
	ReasonError  string
	ReplaceError string
	TypedError   string
}

// revocationReason is an option for the reason, with its meaning.
type revocationReason struct {
	choice
	Explanation string
}

// revocationTexts has a title and an explanation for each revocation reason (RFC 5280 §5.3.1).
var revocationTexts = map[string]struct{ title, means string }{
	"unspecified": {"Unspecified", "The CA records no reason."},
	"keyCompromise": {"Private key compromised",
		"The key is never used again. If this is the current certificate, a new one with a new key is ordered immediately."},
	"affiliationChanged": {"Organization changed",
		"The organization’s name or the ownership of the domain names changed. Some CAs do not accept this reason."},
	"superseded": {"Replaced by another certificate",
		"The certificate is no longer needed."},
	"cessationOfOperation": {"Domain names no longer used",
		"The site was shut down, or the domain changes hands."},
}

func revocationTitle(reason string) string {
	if w, ok := revocationTexts[reason]; ok {
		return w.title
	}
	return reason
}

// revokePage shows the form to revoke a certificate.
func (d *Dashboard) revokePage(w http.ResponseWriter, v *visit) error {
	c, domain, err := d.certificate(v)
	if err != nil {
		return err
	}
	if c.RevokedAt != nil { // the certificate's page shows it
		http.Redirect(w, v.Request, certificateURL(c.ID), http.StatusSeeOther)
		return nil
	}
	view := v.revokeView(c, domain, "")
	view.Replace = true
	return d.showRevokePage(w, v, http.StatusOK, view)
}

// revokeCertificate requests a revocation after the certificate's name was typed as confirmation.
func (d *Dashboard) revokeCertificate(w http.ResponseWriter, v *visit) error {
	c, domain, err := d.certificate(v)
	if err != nil {
		return err
	}
	if err := v.ParseForm(); err != nil {
		return badForm(err)
	}
	reason := v.PostForm.Get("reason")
	view := v.revokeView(c, domain, reason)
	view.Replace, view.Typed = v.PostForm.Get("replace") != "", v.PostForm.Get("name")
	if _, err := controlplane.RevocationCode("/reason", reason); err != nil {
		view.ReasonError = "Choose a reason."
	}
	if !strings.EqualFold(strings.TrimSpace(view.Typed), view.Name) {
		view.TypedError = "The name does not match. Type " + view.Name + "."
	}
	if view.ReasonError != "" || view.TypedError != "" {
		return d.showRevokePage(w, v, http.StatusUnprocessableEntity, view)
	}
	_, started, err := d.lifecycle.RevokeCertificate(v.Context(), d.actor(v), v.org.ID, c.ID,
		reason, view.Replace && view.Current)
	if e := controlplane.AsError(err); err != nil && e.Kind == controlplane.KindInvalid {
		view.ReplaceError = strings.TrimSpace(e.Message + " " + fixFor(e))
		return d.showRevokePage(w, v, http.StatusUnprocessableEntity, view)
	}
	if err != nil {
		return err
	}
	d.setWorkFlash(w, "revoke", started)
	http.Redirect(w, v.Request, view.URL, http.StatusSeeOther)
	return nil
}

func (v *visit) revokeView(
	c *controlplane.Certificate, d *controlplane.Domain, reason string,
) revokeView {
	view := revokeView{Name: nameOf(c), URL: certificateURL(c.ID), DomainURL: "/domains/" + d.ID,
		Serial: c.Serial, Expires: v.at(c.NotAfter), Current: c.ID == d.CertificateID}
	for _, r := range controlplane.RevocationReasons() {
		words := revocationTexts[r]
		view.Reasons = append(view.Reasons,
			revocationReason{choice{Value: r, Label: words.title, Selected: r == reason},
				words.means})
	}
	return view
}

func (d *Dashboard) showRevokePage(
	w http.ResponseWriter, v *visit, status int, view revokeView,
) error {
	return d.render(w, v, status, "certificate_revoke",
		layout{Title: "Revoke the certificate for " + view.Name, Section: "domains", Page: view})
}
