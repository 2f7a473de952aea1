package dashboard

import (
	"bytes"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
	sealing "github.com/dcvaas/terraform-provider-dcvaas/controlplane/seal"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/webhook"
)

// webhookSite is a site with a local receiver, the only receiver outside the public Internet that
// is permitted.
type webhookSite struct {
	*site
	receiver *httptest.Server
}

// newWebhookSite is newSignedIn with a receiver that responds with the handler.
func newWebhookSite(t *testing.T, answer http.HandlerFunc) *webhookSite {
	t.Helper()
	receiver := httptest.NewTLSServer(answer)
	t.Cleanup(receiver.Close)
	pool := x509.NewCertPool()
	pool.AddCert(receiver.Certificate())
	var life *lifecycle.Service
	s := newSignedIn(t, func(c *Config) {
		keyset, err := sealing.New()
		if err != nil {
			t.Fatal(err)
		}
		sealer, err := sealing.Open(keyset)
		if err != nil {
			t.Fatal(err)
		}
		life, err = lifecycle.New(lifecycle.Config{Store: c.Store,
			Zone: "acme.dcvaas-verify.com", TargetKey: bytes.Repeat([]byte{7}, 32),
			Issuer: noIssuer{},
			Sealer: sealer, Poster: webhook.New(webhook.Config{Loopback: true, Roots: pool}),
			WebhookLoopback: true})
		if err != nil {
			t.Fatal(err)
		}
		c.Lifecycle = life
	})
	s.life = life
	return &webhookSite{s, receiver}
}

func ok(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

// newHook creates a webhook for the receiver.
func (s *webhookSite) newHook(
	org *controlplane.Organization, events ...string,
) (*controlplane.Webhook, string) {
	s.t.Helper()
	hook, secret, err := s.life.CreateWebhook(s.t.Context(), controlplane.System("test"), org.ID,
		lifecycle.NewWebhook{URL: s.receiver.URL + "/hooks/dcvaas", Events: events, Enabled: true})
	s.must(err)
	return hook, secret
}

// deliverPending attempts every pending delivery, as a worker would.
func (s *webhookSite) deliverPending(hook *controlplane.Webhook) []controlplane.Delivery {
	s.t.Helper()
	for _, d := range s.deliveries(hook) {
		if d.Status != controlplane.DeliveryPending {
			continue
		}
		jobs, _, err := s.store.ListJobs(s.t.Context(), hook.OrgID,
			postgres.JobFilter{Type: controlplane.JobDelivery, Limit: 200})
		s.must(err)
		for i := range jobs {
			if jobs[i].DeliveryID == d.ID {
				// errors are recorded in the delivery
				_ = s.life.RunJob(s.t.Context(), jobs[i].ID, jobs[i].Generation)
			}
		}
	}
	return s.deliveries(hook)
}

func (s *webhookSite) deliveries(hook *controlplane.Webhook) []controlplane.Delivery {
	s.t.Helper()
	all, _, err := s.store.ListDeliveries(s.t.Context(), hook.OrgID, hook.ID,
		postgres.DeliveryFilter{Limit: 200})
	s.must(err)
	return all
}

func (s *webhookSite) webhook(hook *controlplane.Webhook) *controlplane.Webhook {
	s.t.Helper()
	hook, err := s.store.Webhook(s.t.Context(), hook.OrgID, hook.ID)
	s.must(err)
	return hook
}

var cursorLink = regexp.MustCompile(`href="([^"]*[?;]cursor=[^"]*)"`)

var webhookSecretPattern = regexp.MustCompile(`whsec_[A-Za-z0-9+/=]+`)

func TestNoWebhooks(t *testing.T) {
	s := newSignedIn(t)
	s.get("/webhooks").want(http.StatusOK, "No webhooks yet", "0 of 25 on the pro plan",
		"https://example.com/hooks/dcvaas", "Domains",
		"Certificate issued domain.certificate_issued", "Webhooks").
		has(`<details class="unfold" id="add" open>`, `<label for="url">`,
			`href="/webhooks" aria-current="true"`, `name="all" value="1" checked`).hasNot("<table",
		"autofocus")
}

func TestAddWebhook(t *testing.T) {
	s := newWebhookSite(t, ok)
	a := s.follow(s.post("/webhooks", url.Values{
		"url":         {" https://hooks.example.com/in?token=hush "},
		"description": {"ours"}, "event": {controlplane.ActionRenewed,
			controlplane.ActionDomainCreated}, "enabled": {"1"}})).
		want(http.StatusOK, "Webhook added",
			"It is not shown again").has(`aria-label="Copy Secret"`).hasNot("hush")
	secret := webhookSecretPattern.FindString(a.text)
	if _, err := controlplane.WebhookKey(secret); err != nil ||
		a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("secret = %q: %v, want a valid one and no-store", secret, err)
	}
	hooks, _, err := s.store.ListWebhooks(t.Context(), s.org.ID, nil, 10)
	s.must(err)
	if len(hooks) != 1 || hooks[0].URL != "https://hooks.example.com/in?token=hush" ||
		!hooks[0].Enabled || !slices.Equal(hooks[0].Events,
		[]string{controlplane.ActionDomainCreated, controlplane.ActionRenewed}) {
		t.Fatalf("webhooks = %+v, want one with the submitted settings", hooks)
	}
	page := "/webhooks/" + hooks[0].ID
	a.has(`href="` + page + `"`)
	s.get("/webhooks").want(http.StatusOK, "1 of 25",
		"https://hooks.example.com/in?… ours Events 2 events Enabled Last delivery None yet").has(
		`href="`+page+`"`).hasNot("hush", "whsec_")
	if shown := s.get(page).want(http.StatusOK, "ours", "https://hooks.example.com/in?token=hush",
		"Certificate renewed", "No deliveries yet"); strings.Contains(shown.text, secret) {
		t.Error("the page shows the secret again")
	}
	log, _, err := s.store.ListLog(t.Context(), s.org.ID,
		postgres.LogFilter{EntityID: hooks[0].ID, Limit: 10})
	s.must(err)
	if len(log) != 1 || log[0].Actor.ID != s.sessionOf(s.site).User.ID ||
		log[0].Actor.IP != "127.0.0.1" {
		t.Errorf("audit log = %+v, want one entry of the signed-in user", log)
	}
	s.post("/webhooks", url.Values{"url": {"https://example.com/all"}, "all": {"1"}}).want(
		http.StatusSeeOther)
	s.get("/webhooks").want(http.StatusOK, "All events Disabled Last delivery None yet")
}

func TestAddInvalidWebhook(t *testing.T) {
	s := newSignedIn(t)
	for _, c := range []struct{ address, says string }{
		{"", "It must not be empty."},
		{"https:///hook", "malformed or has no host"},
		{"http://example.com/hook", "The URL is not https."},
		{"https://127.0.0.1/", "not on the public Internet"},
		{"https://localhost/", "not a name on the public Internet"},
		{"https://169.254.169.254/latest", "not on the public Internet"},
		{"https://[::1]/", "not on the public Internet"},
		{"https://user:hush@example.com/", "contains a username or password"},
		{"https://example.com:22/", "has a port that is not allowed"},
		{`https://"><script>alert(1)</script>`, "host is not a valid name."},
	} {
		s.post("/webhooks", url.Values{"url": {c.address}, "description": {"kept"},
			"event": {controlplane.ActionRenewed}}).want(http.StatusUnprocessableEntity, c.says).
			has(`id="url-error"`, `aria-invalid="true"`, "autofocus", `value="kept"`,
				`value="domain.renewed" checked`, ` open>`).hasNot("<script>alert",
			`name="all" value="1" checked`)
	}
	good := url.Values{"url": {"https://example.com/"}, "enabled": {"1"}}
	s.post("/webhooks", good).want(http.StatusUnprocessableEntity,
		"Choose at least one event, or all events.").has(`value="https://example.com/"`)
	// An unknown type is ignored.
	good["event"] = []string{"domain.renewd"}
	s.post("/webhooks", good).want(http.StatusUnprocessableEntity, "Choose at least one event")
	s.post("/webhooks", url.Values{"url": {"ftp://example.com/"}, "all": {"1"},
		"description": {strings.Repeat("ü", 201)}}).
		want(http.StatusUnprocessableEntity, "The URL is not https.", "at most 200 characters")
	if n, err := s.store.WebhookCount(t.Context(), s.org.ID, ""); err != nil || n != 0 {
		t.Errorf("WebhookCount = %d, %v, want 0", n, err)
	}
}

func TestWebhookLimit(t *testing.T) {
	s := newWebhookSite(t, ok)
	for range s.org.Tier.Webhooks() {
		s.newHook(s.org)
	}
	s.post("/webhooks", url.Values{"url": {"https://example.com/one-more"}, "all": {"1"}}).want(
		http.StatusForbidden, "The pro plan includes 25 webhooks").has(
		`value="https://example.com/one-more"`)
}

func TestWebhookListPages(t *testing.T) {
	s := newWebhookSite(t, ok)
	o, err := s.life.CreateOrganization(t.Context(), controlplane.System("test"),
		lifecycle.NewOrganization{Name: "Big Ltd", Tier: controlplane.TierAgency})
	s.must(err)
	s.addMember(o, developer, controlplane.RoleOwner)
	s.post("/organizations/"+o.ID+"/switch", nil)
	first, _ := s.newHook(o)
	for range webhooksPerPage {
		s.newHook(o)
	}
	page := s.get("/webhooks").want(http.StatusOK, "51 of 100", "Next page").hasNot(first.ID)
	link := regexp.MustCompile(`href="(/webhooks\?cursor=[^"]*)"`).FindStringSubmatch(page.body)[1]
	s.get(link).want(http.StatusOK, "First page").has(first.ID).hasNot("Next page")
	s.get("/webhooks?cursor=abc").want(http.StatusBadRequest)
	s.post("/organizations/"+s.org.ID+"/switch", nil)
	s.get(link).want(http.StatusBadRequest)
}

// writePaths returns the paths that change a webhook.
func writePaths(page, delivery string) []string {
	return []string{"/webhooks", page, page + "/rotate", page + "/delete", page + "/test", page +
		"/redeliver", delivery + "/redeliver"}
}

func TestWebhooksAreReadOnlyForMembers(t *testing.T) {
	s := newWebhookSite(t, ok)
	hook, _ := s.newHook(s.org)
	s.add(s.org, "example.com")
	all := s.deliverPending(hook)
	page, delivery := webhookURL(hook.ID), deliveryURL(&all[0])
	alice := controlplane.GitHubAccount{ID: 2, Login: "alice"}
	s.addMember(s.org, alice, controlplane.RoleMember)
	member := s.signedInAs(alice)
	member.get("/webhooks").want(http.StatusOK, "/hooks/dcvaas").hasNot("Add a webhook",
		"<button class=\"primary")
	member.get(page).want(http.StatusOK, "Domain added", "Verify signatures").hasNot(`action="`+
		page, "Redeliver", "Rotate secret", "Delete")
	member.get(delivery).want(http.StatusOK, "Attempt 1").hasNot("Redeliver")
	for _, path := range writePaths(page, delivery) {
		member.post(path, url.Values{"url": {"https://example.org/"}, "all": {"1"}}).want(
			http.StatusForbidden, "The role member does not include the permission webhooks:write").hasNot("whsec_")
	}
	if got := s.webhook(hook); got.URL != hook.URL || len(got.Secrets) != 1 {
		t.Errorf("webhook = %+v, want it unchanged", got)
	}
	admin := controlplane.GitHubAccount{ID: 3, Login: "bob"}
	s.addMember(s.org, admin, controlplane.RoleAdmin)
	other := s.signedInAs(admin)
	other.follow(other.post(page+"/rotate", nil)).want(http.StatusOK, "Secret rotated")
}

func TestWebhooksOfOtherOrganization(t *testing.T) {
	s := newWebhookSite(t, ok)
	other := s.newOrg("Other Ltd")
	hook, _ := s.newHook(other)
	s.add(other, "foreign.example.com")
	theirs := s.deliverPending(hook)[0]
	mine, _ := s.newHook(s.org)
	page, delivery := webhookURL(hook.ID), deliveryURL(&theirs)
	for _, path := range []string{page, delivery, webhookURL(mine.ID) + "/deliveries/" + theirs.ID,
		"/webhooks/whk_01h455vb4pex5vsknk084sn02q", "/webhooks/x",
		"/webhooks/%00", webhookURL(mine.ID) + "/deliveries/x"} {
		s.get(path).want(http.StatusNotFound,
			"may have been deleted or belong to another organization").hasNot("foreign.example.com")
	}
	for _, path := range append(writePaths(page, delivery)[1:], webhookURL(mine.ID)+"/deliveries/"+
		theirs.ID+"/redeliver", "/webhooks/x/delete") {
		s.post(path, url.Values{"url": {"https://example.org/"}, "all": {"1"},
			"since": {"2026-01-01T00:00"}}).want(http.StatusNotFound).hasNot("whsec_")
	}
	if got := s.webhook(hook); got.URL != hook.URL || len(got.Secrets) != 1 ||
		len(s.deliveries(hook)) != 1 {
		t.Errorf("webhook = %+v, want it unchanged", got)
	}
	s.get("/webhooks").want(http.StatusOK).hasNot(hook.ID)
}

func TestWebhooksWithoutSession(t *testing.T) {
	s := newSite(t)
	page := "/webhooks/" + controlplane.NewID(controlplane.PrefixWebhook)
	delivery := page + "/deliveries/" + controlplane.NewID(controlplane.PrefixDelivery)
	for _, path := range []string{"/webhooks", page, delivery} {
		s.get(path).to("/login?next=" + url.QueryEscape(path))
	}
	for _, path := range writePaths(page, delivery) {
		s.post(path, nil).toSignIn()
		s.post(path, nil, "Sec-Fetch-Site", "cross-site", "Origin",
			"https://evil.example").want(http.StatusForbidden, "sent from another site")
	}
}
