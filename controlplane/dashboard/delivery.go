package dashboard

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/gorilla/mux"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// deliveryView is what templates/delivery.html shows. What a receiver answered is anybody's
// text: it goes into the page as text alone.
type deliveryView struct {
	Webhook      string // address of its page
	Address      string
	Title        string
	Pill         pill
	Next         step
	Error        string // the last attempt failed, or none is made
	Facts        []fact
	Event        moment // when it happened
	Body         string // what is sent; empty until the first attempt
	Attempts     []attemptView
	RedeliverURL string // address of the form that sends it again; empty where nobody may
}

// attemptView is one try to deliver.
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
	Body        string // of the response, its beginning
	HasResponse bool
}

// header is a field of a message.
type header struct{ Name, Value string }

// deliveryPage shows a delivery with every attempt, the last one first.
func (d *Dashboard) deliveryPage(w http.ResponseWriter, v *visit) error {
	hook, delivery, err := d.delivery(v)
	if err != nil {
		return err
	}
	attempts, err := d.store.Attempts(v.Context(), v.org.ID, delivery.ID)
	if err != nil {
		return err
	}
	view := deliveryView{Webhook: webhookURL(hook.ID), Address: shortAddress(hook.URL), Title: eventTitle(delivery.EventType), Pill: deliveryPill(delivery),
		Next: v.deliveryStep(delivery), Event: v.at(delivery.CreatedAt), Body: indentJSON(delivery.Body),
		Facts: []fact{{Name: "Type", Value: delivery.EventType, Mono: true}, {Name: "Event", Value: delivery.EventID, Mono: true, Copy: true},
			{Name: "Delivery", Value: delivery.ID, Mono: true, Copy: true}}}
	if delivery.Status != controlplane.DeliverySucceeded {
		view.Error = delivery.LastError
	}
	if v.may(controlplane.ScopeWebhooksWrite) && (hook.Enabled || delivery.EventType == controlplane.EventTest) {
		view.RedeliverURL = deliveryURL(delivery) + "/redeliver"
	}
	for i := range attempts {
		view.Attempts = append(view.Attempts, v.attemptView(i+1, &attempts[i]))
	}
	slices.Reverse(view.Attempts)
	return d.render(w, v, http.StatusOK, "delivery", layout{Title: view.Title, Section: "webhooks", Flash: d.takeFlash(w, v), Page: view})
}

// delivery returns the delivery of the address, and its webhook.
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
	view := attemptView{ID: fmt.Sprintf("attempt-%d", number), Number: number, Pill: pill{"ok", "check", "Delivered"}, At: v.at(a.At),
		Duration: formatDuration(a.Duration), Error: a.Error, Status: "No answer", Request: sortedHeaders(a.RequestHeaders),
		Response: sortedHeaders(a.ResponseHeaders), Body: a.ResponseBody, HasResponse: a.StatusCode != 0}
	if !a.Delivered() {
		view.Pill = pill{"danger", "cross", "Failed"}
	}
	if view.HasResponse {
		view.Status = trim(fmt.Sprintf("%d %s", a.StatusCode, http.StatusText(a.StatusCode)))
	}
	return view
}

func formatDuration(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// sortedHeaders returns a message's fields in the order of their names.
func sortedHeaders(m map[string]string) []header {
	var all []header
	for _, name := range slices.Sorted(maps.Keys(m)) {
		all = append(all, header{name, m[name]})
	}
	return all
}

// indentJSON returns what is sent with its lines set out, which a signature is not made over.
func indentJSON(body []byte) string {
	var b bytes.Buffer
	if json.Indent(&b, body, "", "  ") != nil {
		return string(body)
	}
	return b.String()
}
