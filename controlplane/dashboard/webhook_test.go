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
	s := newHooked(t, ok)
	hook, _ := s.hook(s.org, controlplane.ActionRenewed)
	page := webhookURL(hook.ID)
	s.get(page).want(http.StatusOK, "Enabled", "Events are sent as they happen", "Id "+hook.ID, "Events Certificate renewed", "It was shown once").
		has(`value="domain.renewed" checked`, `action="`+page+`/rotate"`, `action="`+page+`/delete"`, `href="/webhooks" aria-current="true"`).hasNot(`name="all" value="1" checked`)
	good := url.Values{"url": {"https://example.com/new"}, "description": {"<b>new</b>"}, "all": {"1"}, "event": {controlplane.ActionRenewed}}
	s.post(page, good).to(page)
	s.get(page).want(http.StatusOK, "The webhook is changed.", "Disabled", "Nothing is sent there until it is enabled.", "Events All events", "<b>new</b>").hasNot("<b>new", `id="again"`)
	if got := s.webhook(hook); got.URL != "https://example.com/new" || got.Enabled || len(got.Events) != 0 || got.Description != "<b>new</b>" {
		t.Errorf("%+v", got)
	}
	hostile := url.Values{"url": {`https://example.com/"><script>alert(1)</script>`}, "all": {"1"}}
	s.post(page, hostile).to(page)
	for _, path := range []string{"/webhooks", page} {
		s.get(path).want(http.StatusOK, hostile.Get("url")).hasNot("<script>alert")
	}
	s.post(page, good).to(page)
	// What is as it was is no change, and stands in no log.
	before := len(s.actions(s.org.ID, "webhook"))
	s.post(page, good).to(page)
	if n := len(s.actions(s.org.ID, "webhook")); n != before {
		t.Errorf("%d entries more", n-before)
	}
	good.Set("enabled", "1")
	s.post(page, good).to(page)
	s.get(page).want(http.StatusOK, "Events are sent as they happen").has(`id="again"`)
	bad := url.Values{"url": {"https://10.0.0.1/?hush"}, "description": {"kept"}, "all": {"1"}}
	s.post(page, bad).want(http.StatusUnprocessableEntity, "The address is not on the public Internet.").has(`id="edit" open`, `value="https://10.0.0.1/?hush"`, `value="kept"`, "autofocus")
	bad.Del("all")
	s.post(page, bad).want(http.StatusUnprocessableEntity, "Choose the events to send")
	if got := s.webhook(hook); got.URL != "https://example.com/new" {
		t.Errorf("it was changed to %s", got.URL)
	}
}

func TestWebhookThatWasDisabled(t *testing.T) {
	s := newHooked(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) })
	hook, _ := s.hook(s.org)
	page := webhookURL(hook.ID)
	s.add(s.org, "example.com")
	s.attempt(hook)
	s.get("/webhooks").want(http.StatusOK, "Disabled It answered 410 Gone Last delivery Failed")
	s.get(page).want(http.StatusOK, "It answered 410 Gone, so nothing is sent there any more. Enable it when it is back").has(`action="` + page + `/test"`)
	s.post(page+"/redeliver", url.Values{"since": {time.Now().UTC().Add(-time.Hour).Format(minute)}}).want(http.StatusConflict, "The webhook is disabled", "Enable it first, with the form").hasNot("PATCH")
	delivery := deliveryURL(&s.deliveries(hook)[0])
	s.get(delivery).want(http.StatusOK, "HTTP status 410: only 200 to 299 count as delivered.", "410 Gone").hasNot(delivery + "/redeliver")
	s.post(delivery+"/redeliver", nil).want(http.StatusConflict)
}

func TestWebhookThatFails(t *testing.T) {
	s := newHooked(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	hook, _ := s.hook(s.org, controlplane.ActionDomainCreated)
	s.add(s.org, "example.com")
	s.attempt(hook)
	s.get("/webhooks").want(http.StatusOK, "Domain added Failing Last delivery Tried again")
	s.get(webhookURL(hook.ID)).want(http.StatusOK, "Failing since", "after five days without a success", "Domain added", "Tried again 1 attempt", "Next attempt")
}

func TestRotateWebhook(t *testing.T) {
	s := newHooked(t, ok)
	hook, old := s.hook(s.org)
	page := webhookURL(hook.ID)
	s.get(page).hasNot("signs along until")
	a := s.post(page+"/rotate", nil).want(http.StatusOK, "A new secret", "It is not shown again", "The secret before it signs along until", "in 24 h")
	secret := secretText.FindString(a.text)
	if _, err := controlplane.WebhookKey(secret); err != nil || secret == old || strings.Contains(a.text, old) {
		t.Errorf("%q after %q: %v", secret, old, err)
	}
	shown := s.get(page).want(http.StatusOK, "The secret before the present one signs along until", "The one before it stops at once")
	if strings.Contains(shown.text, secret) {
		t.Error("the secret is shown again")
	}
	if strings.Contains(s.log.String(), secret) {
		t.Error("the secret is logged")
	}
}

func TestDeleteWebhook(t *testing.T) {
	s := newHooked(t, ok)
	hook, _ := s.hook(s.org)
	s.get(webhookURL(hook.ID)).want(http.StatusOK, "There is no way back", "Delete it for good")
	s.post(webhookURL(hook.ID)+"/delete", nil).to("/webhooks")
	s.get("/webhooks").want(http.StatusOK, "The webhook is deleted, with its deliveries.", "No webhooks yet")
	s.post(webhookURL(hook.ID)+"/delete", nil).want(http.StatusNotFound)
}

func TestListOfDeliveries(t *testing.T) {
	s := newHooked(t, ok)
	limit := 100
	o, err := s.life.CreateOrganization(t.Context(), controlplane.System("test"), lifecycle.NewOrganization{Name: "Big Ltd", Tier: controlplane.TierPro, DomainLimit: &limit})
	s.must(err)
	s.join(o, developer, controlplane.RoleOwner)
	s.post("/organizations/"+o.ID+"/switch", nil)
	hook, _ := s.hook(o, controlplane.ActionDomainCreated)
	page := webhookURL(hook.ID)
	for i := range deliveriesPerPage + 2 {
		s.add(o, strings.Repeat("x", i+1)+".example.com")
	}
	all := s.deliveries(hook)
	slices.Reverse(all)
	first := s.get(page).want(http.StatusOK, "Next page", "Waiting No attempt yet", "Next attempt due now").hasNot(all[0].EventID, "First page")
	link := strings.ReplaceAll(pageLink.FindStringSubmatch(first.body)[1], "&amp;", "&")
	s.get(link).want(http.StatusOK, "First page", all[0].EventID, all[1].EventID).hasNot("Next page", all[2].EventID)
	s.get(page+"?status=pending").want(http.StatusOK, all[len(all)-1].EventID).has(`href="` + page + `?status=pending" aria-current="true"`)
	s.get(page+"?status=failed").want(http.StatusOK, "No delivery matches", "Show all deliveries")
	for _, query := range []string{"status=gone", "cursor=abc", strings.TrimPrefix(link, page+"?") + "&status=pending"} {
		s.get(page+"?"+query).want(http.StatusBadRequest, "again")
	}
	other, _ := s.hook(o)
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
				if _, err := parser.ParseFile(token.NewFileSet(), "main.go", text, parser.AllErrors); err != nil {
					t.Errorf("%s: %v", address, err)
				}
			}
			if !strings.Contains(text, want) || strings.Contains(text, "hush") || !strings.Contains(text, "WEBHOOK_SECRET") || strings.Contains(text, "{path}") {
				t.Errorf("%s, %s: want %s in\n%s", address, sample.ID, want, text)
			}
		}
	}
}
