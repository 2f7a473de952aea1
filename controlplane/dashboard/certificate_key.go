package dashboard

import (
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/keystore"
)

// keySessionAge is the age up to which a session can download a private key. A session that was
// left open for longer, or stolen, must sign in again.
const keySessionAge = time.Hour

// keyView is the data for templates/certificate_key.html.
type keyView struct {
	Name      string // to type as confirmation
	URL       string // of the certificate
	Domain    string
	DomainURL string
	Names     string
	Expires   moment
	FileName  string
	SignIn    string // URL of the sign-in, if the session is too old; otherwise empty
	PEM       keyForm
	PKCS12    keyForm
	Password  string // error
}

// keyForm is the confirmation in a form that downloads the key.
type keyForm struct{ ID, Typed, Name, Error string }

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
	return d.showKeyPage(w, v, http.StatusOK, v.keyView(c, domain))
}

func (v *visit) keyView(c *controlplane.Certificate, domain *controlplane.Domain) keyView {
	view := keyView{Name: nameOf(c), URL: certificateURL(c.ID), Domain: domain.Name,
		DomainURL: domainURL(domain.ID), Names: strings.Join(c.Names, ", "),
		Expires: v.at(c.NotAfter), FileName: edge.FileName(c, "-key.pem")}
	view.PEM, view.PKCS12 = keyForm{ID: "pem", Name: view.Name}, keyForm{ID: "p12", Name: view.Name}
	if v.now.Sub(v.session.CreatedAt) > keySessionAge {
		view.SignIn = signInAgain(view.URL + "/key")
	}
	return view
}

func (d *Dashboard) showKeyPage(
	w http.ResponseWriter, v *visit, status int, view keyView,
) error {
	return d.render(w, v, status, "certificate_key", layout{Title: "Private key for " + view.Name,
		Section: "domains", Page: view})
}

// confirm reads the name that was typed to confirm the download, and reports whether it is that of
// the certificate.
func (f *keyForm) confirm(v *visit) bool {
	f.Typed = v.PostForm.Get("name")
	if strings.EqualFold(strings.TrimSpace(f.Typed), f.Name) {
		return true
	}
	f.Error = "The name does not match. Type " + f.Name + "."
	return false
}

// downloadKey responds with a private key as PEM, after the certificate's name was typed as
// confirmation. The download is recorded in the audit log first.
func (d *Dashboard) downloadKey(w http.ResponseWriter, v *visit) error {
	c, domain, err := d.certificate(v)
	if err != nil {
		return err
	}
	if err := v.ParseForm(); err != nil {
		return badForm(err)
	}
	view := v.keyView(c, domain)
	switch {
	case view.SignIn != "":
		return d.showKeyPage(w, v, http.StatusForbidden, view)
	case !view.PEM.confirm(v):
		return d.showKeyPage(w, v, http.StatusUnprocessableEntity, view)
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
	view, password := v.keyView(c, domain), v.PostForm.Get("password")
	if view.SignIn != "" {
		return d.showKeyPage(w, v, http.StatusForbidden, view)
	}
	if err := checkPassword(password); err != nil {
		e := controlplane.AsError(err)
		view.Password = e.Message + " " + fixFor(e)
	}
	if confirmed := view.PKCS12.confirm(v); !confirmed || view.Password != "" {
		return d.showKeyPage(w, v, http.StatusUnprocessableEntity, view)
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
