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

func TestDeliveryOfATest(t *testing.T) {
	s := newHooked(t, ok)
	hook, _ := s.hook(s.org)
	page := webhookURL(hook.ID)
	a := s.post(page+"/test", nil).want(http.StatusSeeOther)
	delivery := a.header.Get("Location")
	s.get(delivery).want(http.StatusOK, "A test is on its way", "Test", "Waiting Next attempt due now", "There was none yet", `"type": "webhook.test"`).hasNot("Attempt 1")
	s.attempt(hook)
	s.get(delivery).want(http.StatusOK, "Delivered", "Attempt 1", "204 No Content after", "webhook-signature v1,", "webhook-id evt_", `"type": "webhook.test"`, "The body was empty").
		has(`href="`+page+`"`).hasNot("A test is on its way", "Failed")
	s.get(page).want(http.StatusOK, "Test", "Delivered 1 attempt")
	s.get("/webhooks").want(http.StatusOK, "Enabled Last delivery Delivered")
}

// What a receiver answers, and what an organization calls things, is text and nothing else.
func TestDeliveryToAHostileReceiver(t *testing.T) {
	const script = `</pre></details><script>alert(1)</script><img src=x onerror="alert(2)">`
	s := newHooked(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Evil", script)
		w.Header().Set("Set-Cookie", "hush=1")
		w.Header()["X<b>Name"] = []string{"\u202eright to left"}
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, script+"\x00\xff\u202e"+strings.Repeat("long", 2000))
	})
	hook, _ := s.hook(s.org, controlplane.ActionDomainCreated)
	s.add(s.org, "example.com")
	d := s.attempt(hook)[0]
	a := s.get(deliveryURL(&d)).want(http.StatusOK, "Tried again Next attempt in", "HTTP status 418: only 200 to 299 count as delivered.", "418 I'm a teapot", `x-evil `+script, script, "\uFFFD").
		has("&lt;script&gt;alert(1)", "&lt;img src=x").hasNot("<script>alert", "<img src=x", `onerror="`, "hush", "\x00")
	if n := strings.Count(a.body, "<details"); n != 2 || strings.Contains(a.body, "<details open") {
		t.Errorf("%d parts are folded", n)
	}
	if a.header.Get("Set-Cookie") != "" {
		t.Error("a receiver sets cookies")
	}
}

func TestRedeliver(t *testing.T) {
	var code atomic.Int64
	code.Store(http.StatusInternalServerError)
	s := newHooked(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(code.Load())) })
	hook, _ := s.hook(s.org, controlplane.ActionDomainCreated)
	s.add(s.org, "example.com")
	delivery := deliveryURL(&s.attempt(hook)[0])
	s.get(delivery).want(http.StatusOK, "500 Internal Server Error").has(`action="` + delivery + `/redeliver"`)
	code.Store(http.StatusOK)
	s.post(delivery+"/redeliver", nil).to(delivery)
	s.get(delivery).want(http.StatusOK, "The event is sent again now", "Tried again Next attempt due now")
	s.attempt(hook)
	a := s.get(delivery).want(http.StatusOK, "Delivered", "Attempt 2", "200 OK", "Attempt 1", "500 Internal Server Error")
	if strings.Index(a.text, "Attempt 2") > strings.Index(a.text, "Attempt 1") {
		t.Error("the last attempt is not first")
	}
	// The attempt that succeeded is not explained by the one that did not.
	if strings.Count(a.text, "HTTP status 500") != 1 {
		t.Errorf("%s", a.text)
	}
}

func TestRedeliverRange(t *testing.T) {
	s := newHooked(t, ok)
	hook, _ := s.hook(s.org, controlplane.ActionDomainCreated)
	page, again := webhookURL(hook.ID), webhookURL(hook.ID)+"/redeliver"
	s.add(s.org, "a.example.com")
	s.attempt(hook)
	s.add(s.org, "b.example.com")
	hour := func(n int) string { return time.Now().UTC().Add(time.Duration(n) * time.Hour).Format(minute) }
	send := func(form url.Values, says string) {
		t.Helper()
		s.post(again, form).to(page)
		s.get(page).want(http.StatusOK, says)
	}
	send(url.Values{"since": {hour(-1)}}, "1 event is sent again.")
	send(url.Values{"since": {hour(-1)}, "until": {hour(1)}, "all": {"1"}}, "2 events are sent again.")
	send(url.Values{"since": {hour(-3)}, "until": {time.Now().UTC().Add(-time.Hour).Format(second)}, "all": {"1"}}, "0 events are sent again.")
	for _, c := range []struct{ since, until, says string }{
		{"", "", "This is no date with a time."},
		{"yesterday", "", "This is no date with a time."},
		{hour(-1), "now", "This is no date with a time."},
		{hour(1), "", "The range ends before it begins. Choose a start within the last 30 days"},
		{hour(-1), hour(-2), "The range ends before it begins."},
		{hour(-31 * 24), "", "Deliveries are kept for 30 days"},
	} {
		s.post(again, url.Values{"since": {c.since}, "until": {c.until}, "all": {"1"}}).want(http.StatusUnprocessableEntity, c.says).
			has(`id="again" open`, `value="`+c.since+`"`, `value="`+c.until+`"`, "autofocus", `aria-invalid="true"`, `name="all" value="1" checked><span>Also`)
	}
}

// Where there was more than one call sends, the form goes on from there.
func TestRestOfARange(t *testing.T) {
	s := newHooked(t, ok)
	hook, _ := s.hook(s.org)
	f := rangeForm{Until: "2026-01-31T09:30", All: true}
	rest := strings.TrimSuffix(f.restQuery(time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)), "#again")
	s.get(webhookURL(hook.ID)+rest).want(http.StatusOK).has(`id="again" open`, `value="2026-01-02T03:04:05"`, `value="2026-01-31T09:30"`, `name="all" value="1" checked><span>Also`)
	for query, says := range map[string]string{"since=%22%3E%3Cscript%3E": "", "until=x": ""} {
		s.get(webhookURL(hook.ID)+"?"+query).want(http.StatusOK, says).hasNot(`id="again" open`, "<script>\"")
	}
	for words, want := range map[string]string{
		countFlash("redelivered-part", "10000"): "10000 events are sent again, the oldest first. There are more: the form below begins where they end.",
		countFlash("redelivered-part", "x"):     "", countFlash("redelivered-part", "-1"): "", countFlash("added", "1"): "", countFlash("<b>", "1"): "",
	} {
		if words != want {
			t.Errorf("%q, want %q", words, want)
		}
	}
}
