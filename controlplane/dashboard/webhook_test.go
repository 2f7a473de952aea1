package dashboard

import (
	"go/parser"
	"go/token"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

func TestChangeWebhook(t *testing.T) {
	s := newWebhookSite(t, ok)
	hook, _ := s.newHook(s.org, controlplane.ActionRenewed)
	page := webhookURL(hook.ID)
	s.get(page).want(http.StatusOK, "Enabled", "Events are sent immediately", "ID "+hook.ID,
		"Events Certificate renewed", "The secret was shown once").
		has(`value="domain.renewed" checked`, `action="`+page+`/rotate"`, `action="`+page+
			`/delete"`, `href="/webhooks" aria-current="true"`).hasNot(
		`name="all" value="1" checked`)
	good := url.Values{"url": {"https://example.com/new"}, "description": {"<b>new</b>"},
		"all": {"1"}, "event": {controlplane.ActionRenewed}}
	s.post(page, good).to(page)
	s.get(page).want(http.StatusOK, "Webhook saved.", "Disabled",
		"No events are sent until you enable the webhook.", "Events All events",
		"<b>new</b>").hasNot("<b>new", `id="again"`)
	if got := s.webhook(hook); got.URL != "https://example.com/new" || got.Enabled ||
		len(got.Events) != 0 || got.Description != "<b>new</b>" {
		t.Errorf("webhook = %+v, want the submitted settings", got)
	}
	hostile := url.Values{"url": {`https://example.com/"><script>alert(1)</script>`}, "all": {"1"}}
	s.post(page, hostile).to(page)
	for _, path := range []string{"/webhooks", page} {
		s.get(path).want(http.StatusOK, hostile.Get("url")).hasNot("<script>alert")
	}
	s.post(page, good).to(page)
	// Saving without changes is not recorded.
	before := len(s.actions(s.org.ID, "webhook"))
	s.post(page, good).to(page)
	if n := len(s.actions(s.org.ID, "webhook")); n != before {
		t.Errorf("%d new audit entries, want none", n-before)
	}
	good.Set("enabled", "1")
	s.post(page, good).to(page)
	s.get(page).want(http.StatusOK, "Events are sent immediately").has(`id="again"`)
	bad := url.Values{"url": {"https://10.0.0.1/?hush"}, "description": {"kept"}, "all": {"1"}}
	s.post(page, bad).want(http.StatusUnprocessableEntity,
		"host is not on the public Internet.").has(`id="edit" open`,
		`value="https://10.0.0.1/?hush"`, `value="kept"`, "autofocus")
	bad.Del("all")
	s.post(page, bad).want(http.StatusUnprocessableEntity, "Choose at least one event")
	if got := s.webhook(hook); got.URL != "https://example.com/new" {
		t.Errorf("URL = %s, want it unchanged", got.URL)
	}
}

func TestDisabledWebhook(t *testing.T) {
	s := newWebhookSite(t, func(w http.ResponseWriter,
		_ *http.Request) {
		w.WriteHeader(http.StatusGone)
	})
	hook, _ := s.newHook(s.org)
	page := webhookURL(hook.ID)
	s.add(s.org, "example.com")
	s.deliverPending(hook)
	s.get("/webhooks").want(http.StatusOK, "Disabled Responded with 410 Gone Last delivery Failed")
	s.get(page).want(http.StatusOK, "Disabled because the receiver responded with 410 Gone.").has(
		`action="` + page + `/test"`)
	s.post(page+
		"/redeliver", url.Values{"since": {time.Now().UTC().Add(-time.Hour).Format(minute)}}).want(
		http.StatusConflict, "The webhook is disabled",
		"Enable the webhook on its page first").hasNot("PATCH")
	delivery := deliveryURL(&s.deliveries(hook)[0])
	s.get(delivery).want(http.StatusOK, "HTTP status 410: only 200 to 299 count as delivered.",
		"410 Gone").hasNot(delivery + "/redeliver")
	s.post(delivery+"/redeliver", nil).want(http.StatusConflict)
}

func TestFailingWebhook(t *testing.T) {
	s := newWebhookSite(t, func(w http.ResponseWriter,
		_ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
	})
	hook, _ := s.newHook(s.org, controlplane.ActionDomainCreated)
	s.add(s.org, "example.com")
	s.deliverPending(hook)
	s.get("/webhooks").want(http.StatusOK, "Domain added Failing Last delivery Retrying")
	s.get(webhookURL(hook.ID)).want(http.StatusOK, "Failing since",
		"after five days without a success", "Domain added", "Retrying 1 attempt", "Next attempt")
}

func TestRotateWebhook(t *testing.T) {
	s := newWebhookSite(t, ok)
	hook, old := s.newHook(s.org)
	page := webhookURL(hook.ID)
	s.get(page).hasNot("signed with previous secrets")
	a := s.follow(s.post(page+"/rotate", nil)).want(http.StatusOK, "Secret rotated",
		"It is not shown again",
		"Deliveries are also signed with previous secrets until", "in 24 h")
	secret := webhookSecretPattern.FindString(a.text)
	if _, err := controlplane.WebhookKey(secret); err != nil || secret == old ||
		strings.Contains(a.text, old) {
		t.Errorf("secret = %q after %q: %v, want a new valid secret only", secret, old, err)
	}
	shown := s.get(page).want(http.StatusOK,
		"Deliveries are also signed with previous secrets: "+
			controlplane.WebhookSecretPrefix(old)+"… expires in",
		"Previous secrets are used until they expire")
	if strings.Contains(shown.text, secret) {
		t.Error("the page shows the secret again")
	}
	if strings.Contains(s.log.String(), secret) {
		t.Error("the log contains the secret")
	}
	s.post(page+"/revoke-previous", nil).to(page)
	s.get(page).want(http.StatusOK, "Only the current secret is valid").hasNot(
		"signed with previous secrets")
}

func TestDeleteWebhook(t *testing.T) {
	s := newWebhookSite(t, ok)
	hook, _ := s.newHook(s.org)
	s.get(webhookURL(hook.ID)).want(http.StatusOK, "This cannot be undone", "Delete permanently")
	s.post(webhookURL(hook.ID)+"/delete", nil).to("/webhooks")
	s.get("/webhooks").want(http.StatusOK, "Webhook and its deliveries deleted.", "No webhooks yet")
	s.post(webhookURL(hook.ID)+"/delete", nil).want(http.StatusNotFound)
}

func TestDeliveryList(t *testing.T) {
	s := newWebhookSite(t, ok)
	limit := 100
	o, err := s.life.CreateOrganization(t.Context(), controlplane.System("test"),
		lifecycle.NewOrganization{Name: "Big Ltd", Tier: controlplane.TierPro, DomainLimit: &limit})
	s.must(err)
	s.addMember(o, developer, controlplane.RoleOwner)
	s.post("/organizations/"+o.ID+"/switch", nil)
	hook, _ := s.newHook(o, controlplane.ActionDomainCreated)
	page := webhookURL(hook.ID)
	for i := range deliveriesPerPage + 2 {
		s.add(o, strings.Repeat("x", i+1)+".example.com")
	}
	all := s.deliveries(hook)
	slices.Reverse(all)
	first := s.get(page).want(http.StatusOK, "Next page", "Pending No attempts yet",
		"Next attempt due now").hasNot(all[0].EventID, "First page")
	link := strings.ReplaceAll(cursorLink.FindStringSubmatch(first.body)[1], "&amp;", "&")
	s.get(link).want(http.StatusOK, "First page", all[0].EventID,
		all[1].EventID).hasNot("Next page", all[2].EventID)
	s.get(page+"?status=pending").want(http.StatusOK, all[len(all)-1].EventID).has(`href="` + page +
		`?status=pending" aria-current="true"`)
	s.get(page+"?status=failed").want(http.StatusOK, "No deliveries match", "Show all deliveries")
	for _, query := range []string{"status=gone", "cursor=abc", strings.TrimPrefix(link, page+"?") +
		"&status=pending"} {
		s.get(page + "?" + query).want(http.StatusBadRequest)
	}
	other, _ := s.newHook(o)
	s.get(strings.Replace(link, hook.ID, other.ID, 1)).want(http.StatusBadRequest)
}

func TestVerifySamples(t *testing.T) {
	for address, path := range map[string]string{
		"https://example.com":                       `"/"`,
		"https://example.com/hooks/dcvaas?key=hush": `"/hooks/dcvaas"`,
		"https://example.com/a\"b\\c`{d}é/'":        `"/a%22b%5Cc%60%7Bd%7D%C3%A9/%27"`,
	} {
		for _, sample := range verifySamples(address) {
			text := sample.Code.Text
			want := path
			if sample.ID == "go" {
				want = `"POST ` + strings.TrimPrefix(path, `"`)
				if path == `"/"` {
					want = `"POST /{$}"`
				}
				if _, err := parser.ParseFile(token.NewFileSet(), "main.go", text,
					parser.AllErrors); err != nil {
					t.Errorf("Go sample for %s: ParseFile = %v, want no error", address, err)
				}
			}
			if !strings.Contains(text, want) || strings.Contains(text, "hush") ||
				!strings.Contains(text, "WEBHOOK_SECRET") || strings.Contains(text, "{p") {
				t.Errorf("verifySamples(%s), %s: lacks %s or WEBHOOK_SECRET, or contains the query:\n%s", address, sample.ID, want, text)
			}
		}
	}
}
