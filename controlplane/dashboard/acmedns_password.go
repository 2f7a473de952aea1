package dashboard

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// acmednsPasswordView is the data for templates/acmedns_password.html.
type acmednsPasswordView struct {
	URL, Title string // of the account
	Heading    string
	Rotated    bool
	Password   fact // with an empty value if it was shown before
	Facts      []fact
	Delegation string // whose target the account uses; may be empty
	Record     recordCode
	Snippets   []snippet
}

// accountPasswordPath is the path of the pages with an account's passwords.
const accountPasswordPath = accountPath + "/password"

// accountPasswordPage shows an account's new password once, with the configuration of clients.
func (d *Dashboard) accountPasswordPage(w http.ResponseWriter, v *visit) error {
	a, err := d.account(v)
	if err != nil {
		return err
	}
	password, err := d.takeSecret(v)
	if err != nil {
		return err
	}
	base := d.linkTo(v, acmednsPath)
	view := acmednsPasswordView{URL: accountURL(a.ID), Title: accountTitle(a),
		Heading: "Account added", Rotated: a.RotatedAt != nil,
		Password: fact{"Password", password, true, true},
		Facts: []fact{{"Username", a.Username, true, true}, {"Subdomain", a.Subdomain, true, true},
			{"Base URL", base, true, true}},
		Delegation: a.DelegationName,
		Record: recordCode{ID: "record", Title: "DNS record",
			Text: "_acme-challenge.example.com. CNAME " + d.fulldomain(a) + "."}}
	switch {
	case password == "":
		view.Heading = "Password already shown"
	case view.Rotated:
		view.Heading = "Password rotated"
	}
	if password != "" {
		if view.Snippets, err = d.accountSnippets(a, base, password); err != nil {
			return err
		}
	}
	return d.render(w, v, secretStatus(password), "acmedns_password", layout{Title: view.Heading,
		Section: "settings", Tab: "acme", Page: view})
}

// rotateAccount replaces the password of an account and redirects to the page that shows the new
// one once.
func (d *Dashboard) rotateAccount(w http.ResponseWriter, v *visit) error {
	id, err := accountID(v)
	if err != nil {
		return err
	}
	_, password, err := d.lifecycle.RotateACMEDNSPassword(v.Context(), d.actor(v), v.grant(),
		v.org.ID, id)
	if err != nil {
		return err
	}
	return d.giveSecret(w, v, accountURL(id)+"/password", password)
}

// storedAccount is an account in the storage file of lego and of acme-dns-auth.py.
type storedAccount struct {
	Fulldomain string   `json:"fulldomain"`
	Subdomain  string   `json:"subdomain"`
	Username   string   `json:"username"`
	Password   string   `json:"password"`
	ServerURL  string   `json:"server_url"`
	AllowFrom  []string `json:"allowfrom"`
}

// accountSnippets returns the configuration of clients for an account, which they find by the name
// of the certificate.
func (d *Dashboard) accountSnippets(
	a *controlplane.ACMEDNSAccount, base, password string,
) ([]snippet, error) {
	name := cmp.Or(a.DelegationName, "example.com")
	file, err := json.MarshalIndent(map[string]storedAccount{name: {Fulldomain: d.fulldomain(a),
		Subdomain: a.Subdomain, Username: a.Username, Password: password, ServerURL: base,
		AllowFrom: append([]string{}, a.AllowFrom...)}}, "", "  ")
	if err != nil {
		return nil, err
	}
	return []snippet{
		{ID: "lego", Title: "lego, Traefik",
			Note: "Store the account under the name of the certificate.",
			Code: []recordCode{
				{"lego-file", "/var/lib/lego/acme-dns.json", string(file)},
				{"lego-environment", "Environment of lego", "ACME_DNS_API_BASE=" + base +
					"\nACME_DNS_STORAGE_PATH=/var/lib/lego/acme-dns.json"},
			}},
		{ID: "certbot", Title: "certbot",
			Note: "Set the URL in the hook acme-dns-auth.py, and store the account under the " +
				"name of the certificate.",
			Code: []recordCode{
				{"certbot-file", "/etc/letsencrypt/acmedns.json", string(file)},
				{"certbot-url", "acme-dns-auth.py", fmt.Sprintf("ACMEDNS_URL = %q", base)},
			}},
		{ID: "acme-sh", Title: "acme.sh",
			Note: "acme.sh keeps the account with the certificate.",
			Code: []recordCode{
				{"acme-sh-environment", "Shell", fmt.Sprintf(
					"export ACMEDNS_BASE_URL=%s\nexport ACMEDNS_USERNAME=%s\n"+
						"export ACMEDNS_PASSWORD=%s\nexport ACMEDNS_SUBDOMAIN=%s\n"+
						"acme.sh --issue --dns dns_acmedns -d %s", base, a.Username, password,
					a.Subdomain, name)},
			}},
	}, nil
}
