package dashboard

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// account adds an acme-dns account.
func (s *site) account(
	org *controlplane.Organization, description string,
) *controlplane.ACMEDNSAccount {
	s.t.Helper()
	a, _, err := s.life.CreateACMEDNSAccount(s.t.Context(), controlplane.System("test"), nil,
		org.ID, lifecycle.NewACMEDNSAccount{Description: description,
			AllowFrom: []string{"192.0.2.0/24"}})
	s.must(err)
	return a
}

// attach makes an account use the target of a delegation.
func (s *site) attach(org *controlplane.Organization, id, name string) {
	s.t.Helper()
	_, err := s.life.UpdateACMEDNSAccount(s.t.Context(), controlplane.System("test"), nil, org.ID,
		id, lifecycle.ACMEDNSAccountPatch{Delegation: &name})
	s.must(err)
}

// newAccount is the form of an acme-dns account.
func newAccount(tenant) url.Values {
	return url.Values{"description": {"another client"}, "allow_from": {"198.51.100.7/32"}}
}

// wantPassword fails unless the response is the page that shows the account's current password. It
// returns the password.
func (s *site) wantPassword(a response, id string) string {
	s.t.Helper()
	a.want(http.StatusOK, "The password is shown only once")
	account, err := s.store.ACMEDNSAccount(s.t.Context(), s.org.ID, id)
	s.must(err)
	_, rest, _ := strings.Cut(a.body, `id="secret">`)
	password, _, _ := strings.Cut(rest, "<")
	c, err := s.store.ACMEDNSCredential(s.t.Context(), account.Username)
	s.must(err)
	if !bytes.Equal(c.PasswordHash, controlplane.HashSecret(password)) {
		s.t.Fatalf("password = %q, want the one of account %s", password, id)
	}
	if got := a.header.Get("Cache-Control"); got != "no-store" {
		s.t.Errorf("Cache-Control = %q, want no-store", got)
	}
	if got := a.header.Get("Content-Encoding"); got != "" {
		s.t.Errorf("Content-Encoding = %q, want none", got)
	}
	a.want(http.StatusOK, account.Username, account.Subdomain,
		"ACME_DNS_API_BASE="+s.server.URL+"/acmedns", "export ACMEDNS_PASSWORD="+password,
		`"password": "`+password+`"`)
	return password
}

// An account is added, changed, gets another password, and is deleted. Each password is shown
// once, and every invalid field has its error.
func TestACMEDNSAccounts(t *testing.T) {
	s := newSignedIn(t, withSealer(t))
	s.get(acmeClientsPath).want(http.StatusOK, "No accounts yet", "0 of 500 accounts").
		has(`id="add" open`)
	for field, bad := range map[string][2]string{
		"allow_from":  {"192.0.2.0/24, 192.0.2.300", "“192.0.2.300”: It must be a network"},
		"description": {strings.Repeat("x", 2000), "characters"},
	} {
		s.post(acmeClientsPath, url.Values{field: {bad[0]}}).want(http.StatusUnprocessableEntity,
			bad[1]).has(`aria-invalid="true"`, "autofocus")
	}
	path := s.post(acmeClientsPath, url.Values{"description": {" mx of Paris "},
		"allow_from": {"203.0.113.9/32\n[2001:db8::]/32"}}).want(http.StatusSeeOther).
		header.Get("Location")
	page, _, _ := strings.Cut(path, "/password/")
	id := strings.TrimPrefix(page, acmeClientsPath+"/")
	a := s.get(path, "Accept-Encoding", "gzip").want(http.StatusOK, "Account added", "mx of Paris",
		"_acme-challenge.example.com. CNAME")
	first := s.wantPassword(a, id)
	s.get(path).want(http.StatusGone, "cannot be shown again").hasNot(first)
	s.get(page).want(http.StatusOK, "mx of Paris", "203.0.113.9/32", "2001:db8::/32", "None yet",
		"by developer", s.server.URL+"/acmedns").hasNot(first)
	s.get(acmeClientsPath).want(http.StatusOK, "mx of Paris", "203.0.113.9/32", "1 of 500 accounts",
		".acme.dcvaas-verify.com").hasNot("No accounts yet", first)

	s.post(page, url.Values{"allow_from": {"all"}}).want(http.StatusUnprocessableEntity,
		"“all”: It must be a network").has(`id="change" open`)
	s.post(page, url.Values{"description": {""}, "allow_from": {""}}).to(page)
	account, err := s.store.ACMEDNSAccount(t.Context(), s.org.ID, id)
	s.must(err)
	s.get(page).want(http.StatusOK, "Account saved", account.Username).hasNot("203.0.113.9/32",
		"mx of Paris")
	a = s.follow(s.post(page+"/rotate", nil)).want(http.StatusOK, "Password rotated",
		"The previous password no longer works")
	if second := s.wantPassword(a, id); second == first {
		t.Errorf("password after the rotation = %q, want another one", second)
	}
	s.get(page).want(http.StatusOK, "Rotated")
	s.post(page+"/delete", nil).to(acmeClientsPath)
	s.get(acmeClientsPath).want(http.StatusOK, "Account deleted", "No accounts yet")
	s.get(page).want(http.StatusNotFound)
	if strings.Contains(s.log.String(), first) {
		t.Error("the log contains a password")
	}
}

// The list has the number of updates and the last one.
func TestACMEDNSAccountUse(t *testing.T) {
	s := newSignedIn(t, withSealer(t))
	a := s.account(s.org, "mail server")
	s.exec(`UPDATE acmedns_accounts SET updates = 1234, last_used_at = now() - interval '2 days' WHERE id = $1`, a.ID)
	s.get(acmeClientsPath).want(http.StatusOK, "1,234", "2 days ago")
	s.get(accountURL(a.ID)).want(http.StatusOK, "1,234, the last 2 days ago")
	s.exec(`UPDATE acmedns_accounts SET created_by = 'acmedns', description = '' WHERE id = $1`,
		a.ID)
	s.get(accountURL(a.ID)).want(http.StatusOK, a.Username, "by ACME client")
}

// An account uses the target of a delegation of its organization, and its own target again.
func TestAttachACMEDNSAccount(t *testing.T) {
	s := newSignedIn(t, withSealer(t))
	a, d := s.account(s.org, "mail server"), s.add(s.org, "mail.example.com")
	s.add(s.newOrg("Other Ltd"), "theirs.example.net")
	page, zone := accountURL(a.ID), "."+s.life.Zone
	target := s.life.DelegationOf(d).Target
	s.get(page).want(http.StatusOK, a.Target+zone, "the account’s own name",
		"can then validate this name at any CA").has(`<option value="mail.example.com">`).
		hasNot("theirs.example.net")
	for _, bad := range []string{"", "none.example.com", "theirs.example.net", "a..b"} {
		s.post(page+"/attach", url.Values{"delegation": {bad}}).want(
			http.StatusUnprocessableEntity).has(`id="attach" open`, `id="name-error"`)
	}
	s.post(page+"/attach", url.Values{"delegation": {"Mail.Example.com"}}).to(page)
	s.get(page).want(http.StatusOK, "Account attached", target,
		"Anyone who has the password can validate this name at any CA").hasNot(`id="attach"`)
	s.get(acmeClientsPath).want(http.StatusOK, target, "target of mail.example.com")
	s.follow(s.post(page+"/rotate", nil)).want(http.StatusOK,
		"uses the CNAME of mail.example.com", `{ "mail.example.com": {`).hasNot("DNS record")
	s.post(page+"/detach", nil).to(page)
	s.get(page).want(http.StatusOK, "Account detached", a.Target+zone).hasNot(target)
}

// A member sees the accounts, and no form that changes them.
func TestACMEDNSAccountsOfMembers(t *testing.T) {
	s := newSignedIn(t, withSealer(t))
	member, _ := s.visitorAs(s.org, controlplane.RoleMember)
	member.get(acmeClientsPath).want(http.StatusOK, "An admin or owner can add one").
		hasNot(`id="add"`)
	a := s.account(s.org, "mail server")
	s.attach(s.org, a.ID, s.add(s.org, "mail.example.com").Name)
	member.get(accountURL(a.ID)).want(http.StatusOK, "mail server", a.Username, "mail.example.com").
		hasNot("/attach", "/detach", "/rotate", "/delete", `id="change"`)
}
