package dashboard

import (
	"net/http"

	"github.com/gorilla/mux"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const (
	// registrationKeysPath is the path of the form to create a registration key.
	registrationKeysPath = "/settings/registration-keys"
	// registrationKeyPath is the path of a registration key, which has no page.
	registrationKeyPath = registrationKeysPath + "/{key}"
	// registrationURLPath is the path of the pages with the URLs of registration keys.
	registrationURLPath = registrationKeyPath + "/url"
)

// registrationKeys is the section with the registration keys.
type registrationKeys struct {
	Used, Limit int
	Rows        []registrationKeyRow
	MayChange   bool
	Name, Error string // input of the form to create one, and its error
}

// registrationKeyRow is a row in the list of registration keys.
type registrationKeyRow struct {
	Name, Prefix  string
	Registrations string
	Used          moment
	Created       moment
	Creator       string
	Revoke        string // URL
}

// registrationKeys returns the registration keys of the organization, which are few.
func (d *Dashboard) registrationKeys(v *visit) (registrationKeys, error) {
	section := registrationKeys{Limit: v.org.Tier.ACMEDNSKeys(),
		MayChange: v.may(controlplane.ScopeACMEDNSWrite)}
	keys, _, err := d.store.ListACMEDNSKeys(v.Context(), v.org.ID, nil,
		controlplane.TierAgency.ACMEDNSKeys()) // the most that a plan includes
	if err != nil {
		return section, err
	}
	var creators []string
	for i := range keys {
		creators = append(creators, keys[i].CreatedBy)
	}
	names, err := d.names(v.Context(), v, creators)
	if err != nil {
		return section, err
	}
	section.Used = len(keys)
	for i := range keys {
		k := &keys[i]
		section.Rows = append(section.Rows, registrationKeyRow{Name: k.Name, Prefix: k.Prefix,
			Registrations: countText(int(k.Registrations), int(k.Registrations)),
			Used:          v.maybeAt(k.LastUsedAt), Created: v.at(k.CreatedAt),
			Creator: names.creator(k.CreatedBy), Revoke: registrationKeyURL(k.ID) + "/revoke"})
	}
	return section, nil
}

// createRegistrationKey creates a registration key, and redirects to the page that shows its URL
// once.
func (d *Dashboard) createRegistrationKey(w http.ResponseWriter, v *visit) error {
	name := v.PostForm.Get("name")
	k, secret, err := d.lifecycle.CreateACMEDNSKey(v.Context(), d.actor(v), v.grant(), v.org.ID,
		name, "")
	if err == nil {
		return d.giveSecret(w, v, registrationKeyURL(k.ID)+"/url", secret)
	}
	text, status := fieldError(err)
	if e := controlplane.AsError(err); e.Code == "plan-limit" {
		text = e.Message + " " + fixFor(e)
	}
	if text == "" {
		return err
	}
	return d.showACMEClients(w, v, status, func(view *acmednsListView) {
		view.Keys.Name, view.Keys.Error = name, text
	})
}

// registrationKey returns the registration key in the URL.
func (d *Dashboard) registrationKey(v *visit) (*controlplane.ACMEDNSKey, error) {
	id, err := registrationKeyID(v)
	if err != nil {
		return nil, err
	}
	return d.store.ACMEDNSKey(v.Context(), v.org.ID, id)
}

// registrationKeyID returns the ID of the registration key in the URL.
func registrationKeyID(v *visit) (string, error) {
	id := mux.Vars(v.Request)["key"]
	if !controlplane.IsID(controlplane.PrefixACMEDNSKey, id) {
		return "", controlplane.NotFound("registration key", id)
	}
	return id, nil
}

// registrationURLView is the data for templates/acmedns_key_url.html.
type registrationURLView struct {
	Heading, Name string
	URL           fact // with an empty value if it was shown before
	Snippets      []snippet
}

// registrationURLPage shows the URL of a new registration key once, with the configuration of
// clients.
func (d *Dashboard) registrationURLPage(w http.ResponseWriter, v *visit) error {
	k, err := d.registrationKey(v)
	if err != nil {
		return err
	}
	secret, err := d.takeSecret(v)
	if err != nil {
		return err
	}
	view := registrationURLView{Heading: "URL already shown", Name: k.Name}
	if secret != "" {
		base := d.linkTo(v, acmednsPath+"/"+secret)
		view.Heading, view.URL = "Registration key created", fact{"URL", base, true, true}
		view.Snippets = registrationSnippets(base)
	}
	return d.render(w, v, secretStatus(secret), "acmedns_key_url", layout{Title: view.Heading,
		Section: "settings", Tab: "acme", Page: view})
}

// revokeRegistrationKey revokes a registration key. The accounts that it has registered stay.
func (d *Dashboard) revokeRegistrationKey(w http.ResponseWriter, v *visit) error {
	id, err := registrationKeyID(v)
	if err != nil {
		return err
	}
	if err := d.lifecycle.DeleteACMEDNSKey(v.Context(), d.actor(v), v.org.ID, id); err != nil {
		return err
	}
	d.setFlash(w, "registration-revoked")
	http.Redirect(w, v.Request, acmeClientsPath, http.StatusSeeOther)
	return nil
}

func registrationKeyURL(id string) string { return registrationKeysPath + "/" + id }

// registrationSnippets returns the configuration of clients that register their own accounts.
func registrationSnippets(base string) []snippet {
	return []snippet{
		{ID: "lego", Title: "lego, Traefik",
			Note: "The first run registers an account for each name, and prints its CNAME.",
			Code: []recordCode{{"lego-environment", "Environment", "ACME_DNS_API_BASE=" + base +
				"\nACME_DNS_STORAGE_PATH=/var/lib/lego/acme-dns.json"}}},
		{ID: "certbot", Title: "certbot",
			Note: "Set the URL in the hook acme-dns-auth.py. With --debug-challenges, the first " +
				"run waits until you have created the CNAME.",
			Code: []recordCode{
				{"certbot-url", "acme-dns-auth.py", `ACMEDNS_URL = "` + base + `"`},
				{"certbot-run", "Shell", "certbot certonly --manual --preferred-challenges dns " +
					"--debug-challenges --manual-auth-hook /etc/letsencrypt/acme-dns-auth.py " +
					"-d example.com"},
			}},
		{ID: "acme-sh", Title: "acme.sh",
			Note: "The first run registers one account for all names of the certificate, prints " +
				"its CNAME, and waits.",
			Code: []recordCode{{"acme-sh-environment", "Shell", "export ACMEDNS_BASE_URL=" + base +
				"\nacme.sh --issue --dns dns_acmedns -d example.com -d '*.example.com'"}}},
	}
}
