package dashboard

import (
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/keystore"
)

// keyView is the data for templates/certificate_key.html.
type keyView struct {
	Name      string
	URL       string // of the certificate
	Domain    string
	DomainURL string
	Names     string
	Expires   moment
	FileName  string
	Error     string // of the password
	Fix       string
}

// keyPage shows the confirmation before a private key is downloaded.
func (d *Dashboard) keyPage(w http.ResponseWriter, v *visit) error {
	c, domain, err := d.certificate(v)
	if err != nil {
		return err
	}
	if !c.HasKey() { // the certificate's page explains why
		http.Redirect(w, v.Request, certificateURL(c.ID), http.StatusSeeOther)
		return nil
	}
	return d.showKeyPage(w, v, http.StatusOK, c, domain, nil)
}

func (d *Dashboard) showKeyPage(
	w http.ResponseWriter, v *visit, status int, c *controlplane.Certificate,
	domain *controlplane.Domain, wrong *controlplane.Error,
) error {
	view := keyView{Name: nameOf(c), URL: certificateURL(c.ID), Domain: domain.Name,
		DomainURL: "/domains/" + domain.ID, Names: strings.Join(c.Names, ", "),
		Expires: v.at(c.NotAfter), FileName: edge.FileName(c, "-key.pem")}
	if wrong != nil {
		view.Error, view.Fix = wrong.Message, fixFor(wrong)
	}
	return d.render(w, v, status, "certificate_key", layout{Title: "Private key for " + view.Name,
		Section: "domains", Page: view})
}

// downloadKey responds with a private key as PEM. The download is recorded in the audit log first.
func (d *Dashboard) downloadKey(w http.ResponseWriter, v *visit) error {
	c, _, err := d.certificate(v)
	if err != nil {
		return err
	}
	key, err := d.lifecycle.TakeKey(v.Context(), d.actor(v), v.org.ID, c.ID)
	if err != nil {
		return err
	}
	serveAttachment(w, "application/x-pem-file", edge.FileName(c, "-key.pem"), []byte(key))
	return nil
}

// downloadPKCS12 responds with a private key and its chain in a file encrypted with a password. It
// checks the password before it takes the key, because taking the key is recorded.
func (d *Dashboard) downloadPKCS12(w http.ResponseWriter, v *visit) error {
	c, domain, err := d.certificate(v)
	if err != nil {
		return err
	}
	if err := v.ParseForm(); err != nil {
		return badForm(err)
	}
	password := v.PostForm.Get("password")
	if err := checkPassword(password); err != nil {
		return d.showKeyPage(w, v, http.StatusUnprocessableEntity, c, domain,
			controlplane.AsError(err))
	}
	key, err := d.lifecycle.TakeKey(v.Context(), d.actor(v), v.org.ID, c.ID)
	if err != nil {
		return err
	}
	file, err := keystore.PKCS12(c.ChainPEM, key, password)
	if err != nil {
		return err
	}
	serveAttachment(w, "application/x-pkcs12", edge.FileName(c, ".p12"), file)
	return nil
}

func checkPassword(password string) error {
	if err := rules.CheckPassword(password); err != nil {
		return controlplane.InvalidBy("/password", err)
	}
	if !utf8.ValidString(password) || strings.ContainsRune(password, 0) {
		return controlplane.Invalid("/password", "password-characters",
			"The password contains characters that PKCS#12 does not support.",
			"Use letters, digits, and punctuation.")
	}
	return keystore.CheckPassword(password)
}
