package dashboard

import (
	"fmt"
	"net/url"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// picture is a page in one state, as the browser tests show it.
type picture struct {
	name    string // of its file
	path    string
	visitor *site // nil: signed out
	// shown is the width in which docs/images shows it; 0: it is not shown.
	shown int64
	// act runs on the page before it is checked; nil: nothing.
	act func(*tab)
}

// exhibits are the objects on the pictures.
type exhibits struct {
	domains  map[string]*controlplane.Domain // by name
	owner    *site
	fresh    *site // owner of an organization without anything
	many     *site // owner of an organization with several pages of everything
	guest    *site // user with an open invitation
	hook     string
	delivery string

	connection string
	account    string // acme-dns account with its own target
	attached   string // one with the target of a delegation
	token      *controlplane.Token
	member     string
	link       string // path of an invitation's link
}

// pictures returns every page in every state that users see. s.org has the objects.
func (s *site) pictures() []picture {
	s.t.Helper()
	x := s.exhibits()
	at := func(name string) string { return domainURL(x.domains[name].ID) }
	certificate := "/certificates/" + x.domains["example.com"].CertificateID
	submit := func(input string) func(*tab) {
		return func(t *tab) { t.leave(func() { t.js(input) }) }
	}
	all := []picture{
		{name: "login", path: "/login"},
		{name: "invitation-signed-out", path: x.link},
		{name: "domains-first-use", path: "/domains", visitor: x.fresh},
		{name: "domains", path: "/domains", shown: 1280},
		{name: "domains-many", path: "/domains", visitor: x.many},
		{name: "domains-no-match", path: "/domains?q=nothing"},
		{name: "domains-by-label", path: "/domains?label=team%3Dweb"},
		{name: "domain-invalid", path: "/domains", act: submit(
			`document.getElementById("name").value = "http//bad name"; document.getElementById("name").form.requestSubmit()`)},
		{name: "domain-waiting", path: at("new.example.com"), shown: 375},
		{name: "domain-missing", path: at("missing.example.com")},
		{name: "domain-wrong-target", path: at("shop.example.org"), shown: 1280},
		{name: "domain-caa", path: at("forbidden.example.com")},
		{name: "domain-error", path: at("abandoned.example.com")},
		{name: "domain-issuing", path: at("issuing.example.com")},
		{name: "domain-active", path: at("example.com"), shown: 1280},
		{name: "domain-revoked", path: at("revoked.example.com")},
		{name: "domain-expiring", path: at("late.example.com")},
		{name: "domain-expired", path: at("expired.example.com")},
		{name: "domain-broken-later", path: at("moved.example.com")},
		{name: "domain-several-names", path: at("several.example.com")},
		{name: "domain-unicode", path: at("xn--bcher-kva.example.com")},
		{name: "domain-long", path: at(longName)},
		{name: "diagnosis", path: at("example.com") + "/diagnosis"},
		{name: "diagnosis-wrong-target", path: at("shop.example.org") + "/diagnosis"},
		{name: "diagnosis-caa", path: at("forbidden.example.com") + "/diagnosis"},
		{name: "diagnosis-several-names", path: at("several.example.com") + "/diagnosis"},
		{name: "domains-selected", path: selectionURL([]string{x.domains["example.com"].ID,
			x.domains["new.example.com"].ID, x.domains[longName].ID})},
		{name: "domains-result", path: selectionURL([]string{x.domains["example.com"].ID,
			x.domains["new.example.com"].ID, x.domains[longName].ID}), act: submit(
			`document.querySelector("form[action$='/renew']").requestSubmit()`)},
		{name: "domain-settings", path: at("example.com") + "/settings"},
		{name: "certificate", path: certificate},
		{name: "certificate-key", path: certificate + "/key"},
		{name: "certificate-revoke", path: certificate + "/revoke"},
		{name: "certificate-revoked", path: "/certificates/" +
			x.domains["revoked.example.com"].CertificateID},
		{name: "alerts", path: "/alerts", shown: 1280},
		{name: "alerts-first-use", path: "/alerts", visitor: x.fresh},
		{name: "jobs", path: "/jobs"},
		{name: "jobs-first-use", path: "/jobs", visitor: x.fresh},
		{name: "expiry", path: "/expiry", shown: 1280},
		{name: "expiry-first-use", path: "/expiry", visitor: x.fresh},
		{name: "webhooks", path: "/webhooks"},
		{name: "webhooks-first-use", path: "/webhooks", visitor: x.fresh},
		{name: "webhook", path: webhookURL(x.hook)},
		{name: "delivery", path: webhookURL(x.hook) + "/deliveries/" + x.delivery},
		{name: "organization", path: organizationPath},
		{name: "organizations", path: "/organizations"},
		{name: "invitations", path: invitedPath, visitor: x.guest},
		{name: "members", path: membersPath},
		{name: "member", path: memberURL(x.member)},
		{name: "tokens", path: tokensURL},
		{name: "tokens-first-use", path: tokensURL, visitor: x.fresh},
		{name: "token-new", path: tokensURL + "/new"},
		{name: "token-secret", path: tokensURL + "/new", act: submit(
			`document.getElementById("name").value = "ci"; document.querySelector("[value='domains:read']").checked = true; document.getElementById("name").form.requestSubmit()`)},
		{name: "token", path: tokenURL(x.token.ID)},
		{name: "connections", path: connectionsPath},
		{name: "connection", path: connectionsPath + "/" + x.connection},
		{name: "connections-first-use", path: connectionsPath, visitor: x.fresh},
		{name: "acme-clients", path: acmeClientsPath},
		{name: "acme-clients-first-use", path: acmeClientsPath, visitor: x.fresh},
		{name: "acme-clients-invalid", path: acmeClientsPath, act: submit(
			`document.getElementById("allow-from").value = "192.0.2.300"; document.getElementById("allow-from").form.requestSubmit()`)},
		{name: "acme-account", path: accountURL(x.account)},
		{name: "acme-account-attached", path: accountURL(x.attached)},
		{name: "acme-account-invalid", path: accountURL(x.account), act: submit(
			`document.getElementById("name").value = "none.example.com"; document.getElementById("name").form.requestSubmit()`)},
		{name: "acme-password", path: accountURL(x.account), act: submit(
			`document.querySelector("form[action$='/rotate']").requestSubmit()`)},
		{name: "registration-key", path: acmeClientsPath, act: submit(
			`document.getElementById("key-name").value = "web servers"; document.getElementById("key-name").form.requestSubmit()`)},
		{name: "audit", path: "/settings/audit"},
		{name: "sessions", path: sessionsPath},
		{name: "not-found", path: "/domains/missing.example.com/none"},
	}
	for i := range all {
		if all[i].visitor == nil && i > 1 {
			all[i].visitor = x.owner
		}
	}
	return all
}

// longName has the longest labels that a table must show.
const longName = "a-very-long-label-of-a-name-that-nobody-types-twice-in-a-life.another-long-label-of-the-same-name-for-a-test.example.com"

// exhibits creates the objects of the pictures.
func (s *site) exhibits() exhibits {
	s.t.Helper()
	s.exec(`UPDATE organizations SET subscription_tier = 'agency' WHERE id = $1`, s.org.ID)
	x := exhibits{domains: map[string]*controlplane.Domain{}}
	x.owner, _ = s.signedInWith(developer, "192.0.2.8", firefoxAgent)
	s.signedInWith(developer, "192.0.2.7", iPhoneAgent)
	x.owner.exhibitHook(&x)
	s.exhibitDomains(&x)
	s.exec(`UPDATE webhook_deliveries SET status = 'succeeded', attempts_made = 1, last_status_code = 204 WHERE id <> $1`, x.delivery)

	x.connection = controlplane.NewID(controlplane.PrefixConnection)
	sealed, err := s.life.Sealer.Seal([]byte(`{"server": "192.0.2.53", "key_name": "dcvaas",
		"key_algorithm": "hmac-sha256", "key_secret": "c2VjcmV0", "zones": ["example.com"]}`),
		x.connection)
	s.must(err)
	s.exec(`INSERT INTO dns_connections (id, org_id, type, name, sealed_credentials, status, status_detail, last_tested_at, next_test_at, created_by)
		VALUES ($1, $2, 'rfc2136', 'Name server of example.com', $3, 'invalid', 'The server rejects the TSIG key (BADKEY).', now(), now() + interval '1 day', 'test')`,
		x.connection, s.org.ID, sealed)
	x.account = s.account(s.org, "mail server").ID
	x.attached = s.account(s.org, "client of "+longName).ID
	s.attach(s.org, x.attached, "example.com")
	s.exec(`UPDATE acmedns_accounts SET updates = 1234, last_used_at = now() - interval '2 days' WHERE id = $1`,
		x.attached)
	s.registrationKey(s.org, "build servers")
	x.token, _ = s.token(s.org, lifecycle.NewToken{Name: "Terraform Cloud",
		Scopes: []controlplane.Scope{controlplane.ScopeDomainsRead,
			controlplane.ScopeDomainsWrite}})
	s.token(s.org, lifecycle.NewToken{Name: "deploy of " + longName,
		DomainIDs: []string{x.domains["example.com"].ID}})
	x.member = s.addMember(s.org, controlplane.GitHubAccount{ID: 31, Login: "mona",
		Name: "Mona Example"}, controlplane.RoleAdmin).User.ID
	s.addMember(s.org, controlplane.GitHubAccount{ID: 32, Login: "hubot"},
		controlplane.RoleMember)
	x.link = s.invite(controlplane.RoleAdmin)
	guest := controlplane.GitHubAccount{ID: 33, Login: "guest"}
	x.guest = s.signedInAs(guest)
	s.inviteLogin(guest, controlplane.RoleMember)

	first := controlplane.GitHubAccount{ID: 34, Login: "first"}
	x.fresh = s.owning(s.newOrg("Fresh Ltd"), first)
	x.many = s.exhibitMany()
	return x
}

// owning returns a visitor who is signed in as the owner of the organization.
func (s *site) owning(
	org *controlplane.Organization, account controlplane.GitHubAccount,
) *site {
	s.t.Helper()
	s.addMember(org, account, controlplane.RoleOwner)
	visitor := s.signedInAs(account)
	visitor.post(switchURL(org.ID), nil).to("/domains")
	visitor.org = org
	return visitor
}

// exhibitHook creates a webhook, and a delivery that failed once.
func (s *site) exhibitHook(x *exhibits) {
	s.t.Helper()
	s.post("/webhooks", url.Values{"url": {"https://hooks.example.com/dcvaas"},
		"description": {"Deployment pipeline"}, "all": {"1"}, "enabled": {"1"}})
	x.hook = s.queryText(`SELECT id FROM webhooks WHERE org_id = $1`, s.org.ID)
	x.domains["example.com"] = s.add(s.org, "example.com")
	x.delivery = s.queryText(
		`SELECT id FROM webhook_deliveries WHERE event_type = 'domain.created' AND org_id = $1`,
		s.org.ID)
	s.exec(`INSERT INTO webhook_attempts (delivery_id, number, org_id, at, duration, status_code, request_headers, response_headers, response_body)
		VALUES ($1, 1, $2, now(), '350 ms', 503, '{"Content-Type": "application/json"}', '{"Retry-After": "120"}', 'upstream connect error or disconnect before headers')`,
		x.delivery, s.org.ID)
	s.exec(`UPDATE webhook_deliveries SET status = 'pending', attempts_made = 1, last_status_code = 503,
		next_attempt_at = now() + interval '5 minutes', body = '{"type":"domain.created","data":{"name":"example.com"}}' WHERE id = $1`, x.delivery)
}

// exhibitDomains adds a domain in each state.
func (s *site) exhibitDomains(x *exhibits) {
	s.t.Helper()
	now, soon := time.Now(), time.Now().Add(4*time.Minute)
	finding := func(
		kind controlplane.ConditionType, reason controlplane.Reason, message, observed, fix string,
	) controlplane.Condition {
		return controlplane.Condition{Type: kind, Status: controlplane.ConditionFalse,
			Reason: reason, Message: message, Observed: observed, Fix: fix, LastCheckedAt: &now,
			NextCheckAt: &soon}
	}
	verified := controlplane.Condition{Type: controlplane.DNSReady,
		Status: controlplane.ConditionTrue, Reason: "ok",
		Message: "The CNAME points to its target.", LastCheckedAt: &now, NextCheckAt: &soon}
	missing := func(d *controlplane.Domain) controlplane.Condition {
		record := s.life.DelegationOf(d)
		c := finding(controlplane.DNSReady, controlplane.CauseCNAMEMissing,
			"No CNAME was found at "+record.Name+".", "",
			"Create the CNAME at the DNS host.")
		c.Expected = record.Name + " → " + record.Target
		return c
	}
	const (
		blank = iota
		issued
	)
	for _, e := range []struct {
		name   string
		before int
		change func(*controlplane.Domain)
	}{
		{"example.com", issued, nil},
		{"new.example.com", blank, nil},
		{"missing.example.com", blank, func(d *controlplane.Domain) {
			d.SetCondition(missing(d))
		}},
		{"forbidden.example.com", blank, func(d *controlplane.Domain) {
			d.SetCondition(verified)
			c := finding(controlplane.CertificateReady, controlplane.CauseCAAForbids,
				"The CAA records of example.com forbid Let’s Encrypt.",
				`example.com CAA 0 issue "other-ca.example"`,
				"Add a CAA record that allows Let’s Encrypt: 0 issue \"letsencrypt.org\".")
			c.Expected = `example.com CAA 0 issue "letsencrypt.org"`
			d.SetCondition(c)
		}},
		{"abandoned.example.com", blank, func(d *controlplane.Domain) {
			d.Status, d.StatusReason = controlplane.DomainError, "delegation-timeout"
			c := missing(d)
			c.Reason, c.NextCheckAt = "delegation-timeout", nil
			d.SetCondition(c)
		}},
		{"issuing.example.com", blank, func(d *controlplane.Domain) {
			d.Status = controlplane.DomainIssuing
			d.SetCondition(verified)
			d.SetCondition(finding(controlplane.CertificateReady, controlplane.ReasonIssuing,
				"The certificate is being ordered.", "", ""))
		}},
		{"revoked.example.com", issued, func(d *controlplane.Domain) {
			d.SetCondition(finding(controlplane.CertificateReady, controlplane.ReasonRevoked,
				"The current certificate was revoked.", "", "Press “Renew now”."))
		}},
		{"late.example.com", issued, func(d *controlplane.Domain) {
			expires := now.Add(5 * 24 * time.Hour)
			renew := now.Add(-24 * time.Hour)
			d.ExpiresAt, d.RenewAt = &expires, &renew
			d.SetCondition(finding(controlplane.RenewalOnTrack,
				controlplane.ReasonCertificateExpiring,
				"The certificate expires soon, and its renewal is overdue.", "", ""))
		}},
		{"expired.example.com", issued, func(d *controlplane.Domain) {
			expired := now.Add(-2 * time.Hour)
			d.ExpiresAt = &expired
		}},
		{"moved.example.com", issued, func(d *controlplane.Domain) {
			d.SetCondition(missing(d))
			c := missing(d)
			c.Type = controlplane.RenewalOnTrack
			d.SetCondition(c)
		}},
		{"xn--bcher-kva.example.com", issued, nil},
		{longName, blank, nil},
	} {
		d := x.domains[e.name]
		if d == nil {
			d = s.add(s.org, e.name)
		}
		if e.before == issued {
			s.issueWithKey(d)
		}
		if e.change != nil {
			s.change(d, e.change)
		}
		x.domains[e.name] = d
	}
	active := x.domains["example.com"]
	s.issueWithKey(active)
	s.label(active, map[string]string{"team": "web", "env": "production"})
	s.exec(`UPDATE certificates SET revoked_at = now(), revocation_reason = 'keyCompromise' WHERE id = $1`,
		x.domains["revoked.example.com"].CertificateID)
	wrong := s.add(s.org, "shop.example.org")
	s.misconfigure(wrong)
	s.deadLetter(wrong)
	x.domains[wrong.Name] = wrong
	x.domains["several.example.com"] = s.addNames("several.example.com", "www.example.net",
		"*.shop.example.org", "mail.several.example.com")
	s.breakDelegation("www.example.net")
	for _, name := range []string{"example.com", "forbidden.example.com"} {
		s.delegate(x.domains[name], name)
	}
	s.delegate(x.domains["several.example.com"], "several.example.com", "www.example.net")
	s.dns.serve("_acme-challenge.shop.example.org. 300 IN CNAME old-target.example.net.",
		`forbidden.example.com. 300 IN CAA 0 issue "other-ca.example"`,
		`example.net. 300 IN CAA 0 issue "letsencrypt.org"`)
}

// exhibitMany returns the owner of an organization with several pages of domains.
func (s *site) exhibitMany() *site {
	s.t.Helper()
	many := s.owning(s.bigOrg(500), controlplane.GitHubAccount{ID: 35, Login: "many"})
	for i := range 2*domainsPerPage + 10 {
		d := s.add(many.org, fmt.Sprintf("customer-%03d.example.net", i))
		switch {
		case i%9 == 4:
			s.misconfigure(d)
		case i%7 != 3:
			s.issue(d)
		}
	}
	return many
}
