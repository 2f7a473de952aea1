package dashboard

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// The page has an alert for each problem, as many as the badge states, and none of others.
func TestAlerts(t *testing.T) {
	s := newWebhookSite(t, ok)
	s.get("/alerts").want(http.StatusOK, "No alerts.").hasNot(`class="badge"`)
	wrong, expired := s.add(s.org, "wrong.example.com"), s.add(s.org, "expired.example.com")
	s.misconfigure(wrong)
	s.deadLetter(wrong) // the alert of its domain states what is wrong
	s.issue(expired)
	s.change(expired, func(d *controlplane.Domain) { d.ExpiresAt = d.LastIssuedAt })
	dead := s.deadLetter(s.add(s.org, "dead.example.com"))
	hook, _ := s.newHook(s.org)
	s.exec(`UPDATE webhooks SET enabled = false, disabled_reason = 'gone' WHERE id = $1`, hook.ID)
	other := s.newOrg("Other Ltd")
	s.misconfigure(s.add(other, "foreign.example.com"))

	page := s.get("/alerts").want(http.StatusOK, "Alerts 4 Jobs",
		"Critical expired.example.com: Certificate expired",
		"Warning wrong.example.com: CNAME points elsewhere Replace the record by this one. now",
		"dead.example.com: Job dead-lettered", "Webhook disabled").
		has(`href="`+domainURL(wrong.ID)+`"`, `href="/jobs?status=failed#`+dead.ID+`"`,
			`href="`+webhookURL(hook.ID)+`"`).hasNot("foreign.example.com", "/hooks/dcvaas")
	if strings.Index(page.text, "expired.example.com") > strings.Index(page.text,
		"wrong.example.com") {
		t.Error("the critical alert is not first")
	}
	s.get("/jobs?status=failed").has(`id="` + dead.ID + `"`)

	// A job that succeeds later ends the alert of the failed one.
	s.exec(`INSERT INTO jobs (id, org_id, domain_id, type, slot, status, queue, created_at)
		SELECT 'job_' || md5(id), org_id, domain_id, type, slot, 'succeeded', queue, now() FROM jobs WHERE id = $1`, dead.ID)
	s.get("/alerts").want(http.StatusOK, "Alerts 3 Jobs").hasNot("dead.example.com")
	s.exec(`INSERT INTO ca_breakers (ca, worker, since, probe_at, message, reported_at)
		VALUES ('letsencrypt', 'a', now(), now(), 'secret detail', now()), ('letsencrypt', 'b', now(), now(), 'x', now())`)
	s.get("/alerts").want(http.StatusOK, "Alerts 4 Jobs",
		"The CA letsencrypt is unreachable").hasNot("secret detail")
	s.exec(`INSERT INTO dns_connections (id, org_id, type, name, sealed_credentials, status, next_test_at, created_by)
		VALUES ('con_1', $1, 'rfc2136', 'ns1', 'x', 'invalid', now(), 'test')`, s.org.ID)
	s.get("/alerts").want(http.StatusOK, "Alerts 5 Jobs", "ns1: DNS connection invalid").
		has(`href="` + connectionsPath + `/con_1"`)
	s.exec(`INSERT INTO zone_probe (label, value, expires_at, failures, since) VALUES ('x', 'y', now(), 3, now())`)
	s.get("/alerts").want(http.StatusOK, "Alerts 6 Jobs",
		"Critical Validation zone unreachable from the Internet")
}

// More alerts than the page shows are not counted, and lead to the list.
func TestManyAlerts(t *testing.T) {
	s := newSignedIn(t)
	s.org = s.bigOrg(2 * controlplane.MaxAlerts)
	s.addMember(s.org, developer, controlplane.RoleOwner)
	s.post(switchURL(s.org.ID), nil).to("/domains")
	for i := range controlplane.MaxAlerts + 1 {
		s.add(s.org, fmt.Sprintf("d%d.example.com", i))
	}
	s.exec(`UPDATE domains SET summary_state = 'blocked' WHERE org_id = $1`, s.org.ID)
	s.get("/alerts").want(http.StatusOK, "Alerts 100 Jobs", "There are more alerts.")
}
