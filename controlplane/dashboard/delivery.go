package dashboard

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// deliveryView is the data for templates/delivery.html. A receiver's response is untrusted: the
// page shows it as text only.
type deliveryView struct {
	Webhook      string // URL of its page
	Address      string
	Title        string
	Pill         pill
	Next         step
	Error        string // of the last attempt, or why none is made
	Facts        []fact
	Event        moment // when the event occurred
	Body         string // empty before the first attempt
	Attempts     []attemptView
	RedeliverURL string // empty if the user cannot redeliver it
}

// attemptView is an attempt to deliver an event.
type attemptView struct {
	ID          string
	Number      int
	Pill        pill
	At          moment
	Duration    string
	Error       string
	Status      string
	Request     []header
	Response    []header
	Body        string // start of the response body
	HasResponse bool
}

// header is an HTTP header field.
type header struct{ Name, Value string }

// deliveryPage shows a delivery with its attempts, newest first.
func (d *Dashboard) deliveryPage(w http.ResponseWriter, v *visit) error {
	hook, delivery, err := d.delivery(v)
	if err != nil {
		return err
	}
	attempts, err := d.store.Attempts(v.Context(), v.org.ID, delivery.ID)
	if err != nil {
		return err
	}
	view := deliveryView{Webhook: webhookURL(hook.ID), Address: shortAddress(hook.URL),
		Title: eventTitle(delivery.EventType), Pill: deliveryPill(delivery),
		Next: v.deliveryStep(delivery), Event: v.at(delivery.CreatedAt),
		Body: indentJSON(delivery.Body),
		Facts: []fact{{Name: "Type", Value: delivery.EventType, Mono: true},
			{Name: "Event ID", Value: delivery.EventID, Mono: true, Copy: true},
			{Name: "Delivery ID", Value: delivery.ID, Mono: true, Copy: true}}}
	if delivery.Status != controlplane.DeliverySucceeded {
		view.Error = delivery.LastError
	}
	if v.may(controlplane.ScopeWebhooksWrite) &&
		(hook.Enabled || delivery.EventType == controlplane.EventTest) {
		view.RedeliverURL = deliveryURL(delivery) + "/redeliver"
	}
	for i := range attempts {
		view.Attempts = append(view.Attempts, v.attemptView(i+1, &attempts[i]))
	}
	slices.Reverse(view.Attempts)
	return d.render(w, v, http.StatusOK,
		"delivery", layout{Title: view.Title, Section: "webhooks", Flash: d.takeFlash(w, v),
			Page: view})
}

// delivery returns the delivery in the URL and its webhook.
func (d *Dashboard) delivery(v *visit) (*controlplane.Webhook, *controlplane.Delivery, error) {
	hook, err := d.webhook(v)
	if err != nil {
		return nil, nil, err
	}
	id := mux.Vars(v.Request)["delivery"]
	if !controlplane.IsID(controlplane.PrefixDelivery, id) {
		return nil, nil, controlplane.NotFound("delivery", id)
	}
	delivery, err := d.store.Delivery(v.Context(), v.org.ID, hook.ID, id)
	return hook, delivery, err
}

func (v *visit) attemptView(number int, a *controlplane.Attempt) attemptView {
	view := attemptView{ID: fmt.Sprintf("attempt-%d", number), Number: number,
		Pill: pill{"ok", "check", "Delivered"}, At: v.at(a.At),
		Duration: formatDuration(a.Duration), Error: a.Error, Status: "No response",
		Request:  sortedHeaders(a.RequestHeaders),
		Response: sortedHeaders(a.ResponseHeaders), Body: a.ResponseBody,
		HasResponse: a.StatusCode != 0}
	if !a.Delivered() {
		view.Pill = pill{"danger", "cross", "Failed"}
	}
	if view.HasResponse {
		view.Status = strings.TrimSpace(fmt.Sprintf("%d %s", a.StatusCode,
			http.StatusText(a.StatusCode)))
	}
	return view
}

func formatDuration(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// sortedHeaders returns header fields sorted by name.
func sortedHeaders(m map[string]string) []header {
	var all []header
	for _, name := range slices.Sorted(maps.Keys(m)) {
		all = append(all, header{name, m[name]})
	}
	return all
}

// indentJSON returns a delivery's body indented for display. The signature covers the original.
func indentJSON(body []byte) string {
	var b bytes.Buffer
	if json.Indent(&b, body, "", "  ") != nil {
		return string(body)
	}
	return b.String()
}
