package dashboard

import (
	"net/http"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// revokeView is what templates/certificate_revoke.html shows: the form, with what was chosen and what is
// wrong with it.
type revokeView struct {
	Name         string // to be typed
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

// revocationReason is one that can be given, and what it means.
type revocationReason struct {
	choice
	Means string
}

// revocationTexts say why certificates are revoked, and what follows (RFC 5280 §5.3.1).
var revocationTexts = map[string]struct{ title, means string }{
	"unspecified":          {"No reason given", "The CA records none."},
	"keyCompromise":        {"The private key may be known to others", "The key is never used again. Where the certificate is the current one, another with a new key is ordered at once."},
	"affiliationChanged":   {"The organization has changed", "Its name, or who the names belong to, is no longer what it was. Some CAs do not take this reason."},
	"superseded":           {"Another certificate takes its place", "Nothing is wrong with it; it is no longer needed."},
	"cessationOfOperation": {"The names are no longer used", "The site has closed down, or the domain goes to somebody else."},
}

func revocationTitle(reason string) string {
	if w, ok := revocationTexts[reason]; ok {
		return w.title
	}
	return reason
}

// revokePage asks for what a revocation needs.
func (d *Dashboard) revokePage(w http.ResponseWriter, v *visit) error {
	c, domain, err := d.certificate(v)
	if err != nil {
		return err
	}
	if c.RevokedAt != nil { // its page says so
		http.Redirect(w, v.Request, certificateURL(c.ID), http.StatusSeeOther)
		return nil
	}
	view := v.revokeView(c, domain, "")
	view.Replace = true
	return d.showRevokePage(w, v, http.StatusOK, view)
}

// revokeCertificate has a certificate revoked, once its name was typed.
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
		view.ReasonError = "Choose why it is revoked."
	}
	if !strings.EqualFold(trim(view.Typed), view.Name) {
		view.TypedError = "That is not its name. Type " + view.Name + "."
	}
	if view.ReasonError != "" || view.TypedError != "" {
		return d.showRevokePage(w, v, http.StatusUnprocessableEntity, view)
	}
	_, started, err := d.lifecycle.RevokeCertificate(v.Context(), d.actor(v), v.org.ID, c.ID, reason, view.Replace && view.Current)
	if e := controlplane.AsError(err); err != nil && e.Kind == controlplane.KindInvalid {
		view.ReplaceError = trim(e.Message + " " + fixFor(e))
		return d.showRevokePage(w, v, http.StatusUnprocessableEntity, view)
	}
	if err != nil {
		return err
	}
	d.setWorkFlash(w, "revoke", started)
	http.Redirect(w, v.Request, view.URL, http.StatusSeeOther)
	return nil
}

func (v *visit) revokeView(c *controlplane.Certificate, d *controlplane.Domain, reason string) revokeView {
	view := revokeView{Name: nameOf(c), URL: certificateURL(c.ID), DomainURL: "/domains/" + d.ID, Serial: c.Serial, Expires: v.at(c.NotAfter), Current: c.ID == d.CertificateID}
	for _, r := range controlplane.RevocationReasons() {
		words := revocationTexts[r]
		view.Reasons = append(view.Reasons, revocationReason{choice{Value: r, Label: words.title, Selected: r == reason}, words.means})
	}
	return view
}

func (d *Dashboard) showRevokePage(w http.ResponseWriter, v *visit, status int, view revokeView) error {
	return d.render(w, v, status, "certificate_revoke", layout{Title: "Revoke the certificate of " + view.Name, Section: "domains", Page: view})
}
