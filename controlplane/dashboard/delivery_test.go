package dashboard

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

func TestTestEvent(t *testing.T) {
	s := newWebhookSite(t, ok)
	hook, _ := s.newHook(s.org)
	page := webhookURL(hook.ID)
	a := s.post(page+"/test", nil).want(http.StatusSeeOther)
	delivery := a.header.Get("Location")
	s.get(delivery).want(http.StatusOK, "Test event sent", "Test", "Pending Next attempt due now",
		"No attempts yet", `"type": "webhook.test"`).hasNot("Attempt 1")
	s.deliverPending(hook)
	s.get(delivery).want(http.StatusOK, "Delivered", "Attempt 1", "204 No Content after",
		"webhook-signature v1,", "webhook-id evt_", `"type": "webhook.test"`,
		"The response body is empty").
		has(`href="`+page+`"`).hasNot("Test event sent", "Failed")
	s.get(page).want(http.StatusOK, "Test", "Delivered 1 attempt")
	s.get("/webhooks").want(http.StatusOK, "Enabled Last delivery Delivered")
}

// A receiver's response is shown as text only.
func TestHostileReceiver(t *testing.T) {
	const script = `</pre></details><script>alert(1)</script><img src=x onerror="alert(2)">`
	s := newWebhookSite(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Evil", script)
		w.Header().Set("Set-Cookie", "hush=1")
		w.Header()["X<b>Name"] = []string{"\u202eright to left"}
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, script+"\x00\xff\u202e"+strings.Repeat("long", 2000))
	})
	hook, _ := s.newHook(s.org, controlplane.ActionDomainCreated)
	s.add(s.org, "example.com")
	d := s.deliverPending(hook)[0]
	a := s.get(deliveryURL(&d)).want(http.StatusOK, "Retrying Next attempt in",
		"HTTP status 418: only 200 to 299 count as delivered.", "418 I'm a teapot", `x-evil `+
			script, script, "\uFFFD").
		has("&lt;script&gt;alert(1)", "&lt;img src=x").hasNot("<script>alert", "<img src=x",
		`onerror="`, "hush", "\x00")
	_, main, _ := strings.Cut(a.body, "<main")
	if n := strings.Count(main, "<details"); n != 2 || strings.Contains(main, "<details open") {
		t.Errorf("%d details elements, want 2 closed ones", n)
	}
	if a.header.Get("Set-Cookie") != "" {
		t.Error("the receiver's Set-Cookie was sent to the visitor")
	}
}

func TestRedeliver(t *testing.T) {
	var code atomic.Int64
	code.Store(http.StatusInternalServerError)
	s := newWebhookSite(t, func(w http.ResponseWriter,
		_ *http.Request) {
		w.WriteHeader(int(code.Load()))
	})
	hook, _ := s.newHook(s.org, controlplane.ActionDomainCreated)
	s.add(s.org, "example.com")
	delivery := deliveryURL(&s.deliverPending(hook)[0])
	s.get(delivery).want(http.StatusOK, "500 Internal Server Error").has(`action="` + delivery +
		`/redeliver"`)
	code.Store(http.StatusOK)
	s.post(delivery+"/redeliver", nil).to(delivery)
	s.get(delivery).want(http.StatusOK, "Redelivery started", "Retrying Next attempt due now")
	s.deliverPending(hook)
	a := s.get(delivery).want(http.StatusOK, "Delivered", "Attempt 2", "200 OK", "Attempt 1",
		"500 Internal Server Error")
	if strings.Index(a.text, "Attempt 2") > strings.Index(a.text, "Attempt 1") {
		t.Error("the latest attempt is not first")
	}
	// The error of the first attempt is shown once, not at the successful attempt.
	if strings.Count(a.text, "HTTP status 500") != 1 {
		t.Errorf("the error is shown %d times, want once:\n%s",
			strings.Count(a.text, "HTTP status 500"), a.text)
	}
}

func TestRedeliverRange(t *testing.T) {
	s := newWebhookSite(t, ok)
	hook, _ := s.newHook(s.org, controlplane.ActionDomainCreated)
	page, again := webhookURL(hook.ID), webhookURL(hook.ID)+"/redeliver"
	s.add(s.org, "a.example.com")
	s.deliverPending(hook)
	s.add(s.org, "b.example.com")
	hour := func(n int) string {
		return time.Now().UTC().Add(time.Duration(n) * time.Hour).Format(
			minute)
	}
	send := func(form url.Values, says string) {
		t.Helper()
		s.post(again, form).to(page)
		s.get(page).want(http.StatusOK, says)
	}
	send(url.Values{"since": {hour(-1)}}, "Redelivery of 1 event started.")
	send(url.Values{"since": {hour(-1)}, "until": {hour(1)}, "all": {"1"}},
		"Redelivery of 2 events started.")
	send(url.Values{"since": {hour(-3)}, "until": {time.Now().UTC().Add(-time.Hour).Format(second)},
		"all": {"1"}}, "Redelivery of 0 events started.")
	for _, c := range []struct{ since, until, says string }{
		{"", "", "Invalid date and time."},
		{"yesterday", "", "Invalid date and time."},
		{hour(-1), "now", "Invalid date and time."},
		{hour(1), "", "Choose a start within the last 30 days"},
		{hour(-1), hour(-2), "The time range ends before it"},
		{hour(-31 * 24), "", "Deliveries are kept for 30 days"},
	} {
		s.post(again, url.Values{"since": {c.since}, "until": {c.until}, "all": {"1"}}).want(
			http.StatusUnprocessableEntity, c.says).
			has(`id="again" open`, `value="`+c.since+`"`, `value="`+c.until+`"`, "autofocus",
				`aria-invalid="true"`, `name="all" value="1" checked><span>Include`)
	}
}

// If the range has more events than one request redelivers, the form continues from there.
func TestRedeliverRemainingRange(t *testing.T) {
	s := newWebhookSite(t, ok)
	hook, _ := s.newHook(s.org)
	f := rangeForm{Until: "2026-01-31T09:30", All: true}
	rest := strings.TrimSuffix(f.restQuery(time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)), "#again")
	s.get(webhookURL(hook.ID)+rest).want(http.StatusOK).has(`id="again" open`,
		`value="2026-01-02T03:04:05"`, `value="2026-01-31T09:30"`,
		`name="all" value="1" checked><span>Include`)
	for query, says := range map[string]string{"since=%22%3E%3Cscript%3E": "", "until=x": ""} {
		s.get(webhookURL(hook.ID)+"?"+query).want(http.StatusOK, says).hasNot(`id="again" open`,
			"<script>\"")
	}
	for words, want := range map[string]string{
		countFlash("redelivered-part",
			"10000"): "Redelivery of 10000 events started, oldest first. There are more events in the range; the form below starts with them.",
		countFlash("redelivered-part", "x"): "", countFlash("redelivered-part", "-1"): "",
		countFlash("added", "1"): "", countFlash("<b>", "1"): "",
	} {
		if words != want {
			t.Errorf("countFlash = %q, want %q", words, want)
		}
	}
}

// A delivery shows the domain of its event and the status of the last response. It is not in the
// list of jobs, unless deliveries are asked for.
func TestDeliveriesInLists(t *testing.T) {
	s := newWebhookSite(t, ok)
	hook, _ := s.newHook(s.org)
	d, gone := s.add(s.org, "example.com"), s.add(s.org, "gone.example.com")
	s.must(s.life.DeleteDomain(t.Context(), controlplane.System("test"), s.org.ID, gone.ID, 0))
	s.exec(`UPDATE webhook_deliveries SET last_status_code = 503, attempts_made = 1 WHERE event_type = 'domain.created'`)
	page := s.get(webhookURL(hook.ID)).want(http.StatusOK, "Domain added now example.com",
		"Pending 1 attempt Response 503")
	page.has(`href="` + domainURL(d.ID) + `"`).hasNot(domainURL(gone.ID))
	const job = "<strong>Deliver an event</strong>"
	s.get("/jobs").want(http.StatusOK, "example.com").hasNot(job)
	s.get("/jobs?type=webhook_delivery").want(http.StatusOK).has(job)
}
