package dashboard

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// registrationKey creates a registration key.
func (s *site) registrationKey(
	org *controlplane.Organization, name string,
) *controlplane.ACMEDNSKey {
	s.t.Helper()
	k, _, err := s.life.CreateACMEDNSKey(s.t.Context(), controlplane.System("test"), nil, org.ID,
		name, "")
	s.must(err)
	return k
}

var registrationPattern = regexp.MustCompile(`dcvreg_[0-9A-Za-z]+`)

// A registration key is created, its URL is shown once, and it is revoked.
func TestRegistrationKeys(t *testing.T) {
	s := newSignedIn(t, withSealer(t), func(c *Config) {
		c.PublicURL = "https://certs.example.com"
	})
	s.get(acmeClientsPath).want(http.StatusOK, "No registration keys yet", "0 of 25")
	s.post(registrationKeysPath, url.Values{"name": {" "}}).want(http.StatusUnprocessableEntity,
		"name").has(`id="key-name-error"`)
	path := s.post(registrationKeysPath, url.Values{"name": {"build servers"}}).want(
		http.StatusSeeOther).header.Get("Location")
	a := s.get(path, "Accept-Encoding", "gzip").want(http.StatusOK, "The URL is shown only once")
	secret := registrationPattern.FindString(a.text)
	k, err := s.store.ACMEDNSKeyByHash(t.Context(), controlplane.HashSecret(secret))
	s.must(err)
	if k.Name != "build servers" || k.OrgID != s.org.ID {
		t.Errorf("key = %q of %s, want “build servers” of %s", k.Name, k.OrgID, s.org.ID)
	}
	const base = "https://certs.example.com/acmedns/"
	a.want(http.StatusOK, "ACME_DNS_API_BASE="+base+secret, `ACMEDNS_URL = "`+base+secret+`"`,
		"export ACMEDNS_BASE_URL="+base+secret)
	if got := a.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control = %q, want no-store", got)
	}
	if got := a.header.Get("Content-Encoding"); got != "" {
		t.Errorf("Content-Encoding = %q, want none", got)
	}
	s.get(path).want(http.StatusGone, "cannot be shown again").hasNot(secret)
	s.get(acmeClientsPath).want(http.StatusOK, "build servers", k.Prefix, "None yet",
		"by developer", "1 of 25").hasNot(secret)

	account := s.account(s.org, "mail server")
	s.exec(`UPDATE acmedns_accounts SET key_id = $2, created_by = $2 WHERE id = $1`, account.ID,
		k.ID)
	s.exec(`UPDATE acmedns_keys SET registrations = 1, last_used_at = now() - interval '2 days' WHERE id = $1`, k.ID)
	s.get(accountURL(account.ID)).want(http.StatusOK,
		"by a client with the registration key “build servers”")
	s.get(acmeClientsPath).want(http.StatusOK, "1 registrations Last 2 days ago")
	s.post(registrationKeyURL(k.ID)+"/revoke", nil).to(acmeClientsPath)
	s.get(acmeClientsPath).want(http.StatusOK, "Registration key revoked",
		"No registration keys yet", "mail server")
	s.get(accountURL(account.ID)).want(http.StatusOK, "a registration key that was revoked")
	if strings.Contains(s.log.String(), secret) {
		t.Error("the log contains the secret")
	}
}

// The form states the limit of the plan.
func TestRegistrationKeyLimit(t *testing.T) {
	s := newSignedIn(t, withSealer(t))
	s.exec(`UPDATE organizations SET subscription_tier = 'free' WHERE id = $1`, s.org.ID)
	for range controlplane.TierFree.ACMEDNSKeys() {
		s.registrationKey(s.org, "one")
	}
	s.post(registrationKeysPath, url.Values{"name": {"another"}}).want(http.StatusForbidden,
		"The free plan includes 5 registration keys, and 5 exist.").has(`value="another"`)
}

// A member sees the keys, and no form that changes them.
func TestRegistrationKeysOfMembers(t *testing.T) {
	s := newSignedIn(t, withSealer(t))
	member, _ := s.visitorAs(s.org, controlplane.RoleMember)
	member.get(acmeClientsPath).want(http.StatusOK, "An admin or owner can create one")
	s.registrationKey(s.org, "build servers")
	member.get(acmeClientsPath).want(http.StatusOK, "build servers").
		hasNot(`action="`+registrationKeysPath, "/revoke")
}
