package dashboard

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// deliveryRow is one delivery in the list of a webhook.
type deliveryRow struct {
	URL      string
	Title    string
	EventID  string
	Pill     pill
	Attempts string
	Next     step // when it is tried, or when it ended
	At       moment
}

// deliveryList is what of a webhook's deliveries is asked for. A cursor is good for exactly
// one.
type deliveryList struct {
	Org, Webhook, Status string
}

// deliveryChips are the statuses of deliveries, as the list is filtered by them.
var deliveryChips = []struct {
	status controlplane.DeliveryStatus
	word   string
}{
	{"", "All"}, {controlplane.DeliveryPending, "Waiting"}, {controlplane.DeliverySucceeded, "Delivered"}, {controlplane.DeliveryFailed, "Failed"},
}

func (v *visit) deliveryRow(d *controlplane.Delivery) deliveryRow {
	return deliveryRow{URL: deliveryURL(d), Title: eventTitle(d.EventType), EventID: d.EventID, Pill: deliveryPill(d), Attempts: attemptsTitle(d.Attempts),
		Next: v.deliveryStep(d), At: v.at(d.CreatedAt)}
}

func deliveryURL(d *controlplane.Delivery) string {
	return webhookURL(d.WebhookID) + "/deliveries/" + d.ID
}

// deliveryPill is a delivery's state.
func deliveryPill(d *controlplane.Delivery) pill {
	switch {
	case d.Status == controlplane.DeliverySucceeded:
		return pill{"ok", "check", "Delivered"}
	case d.Status == controlplane.DeliveryFailed:
		return pill{"danger", "cross", "Failed"}
	case d.LastError != "":
		return pill{"warn", "cycle", "Tried again"}
	}
	return pill{"neutral", "clock", "Waiting"}
}

// deliveryStep says when a delivery is tried next, or when it ended.
func (v *visit) deliveryStep(d *controlplane.Delivery) step {
	switch d.Status {
	case controlplane.DeliverySucceeded:
		return step{Words: "Delivered", At: v.at(d.UpdatedAt)}
	case controlplane.DeliveryFailed:
		return step{Words: "Ended", At: v.at(d.UpdatedAt)}
	}
	return v.due("Next attempt", d.NextAttemptAt, "It is being tried")
}

func attemptsTitle(n int) string {
	switch n {
	case 0:
		return "No attempt yet"
	case 1:
		return "1 attempt"
	}
	return fmt.Sprintf("%d attempts", n)
}

// check refuses what no link of ours asks for, rather than show a list that was not meant.
func (l deliveryList) check() error {
	for _, c := range deliveryChips {
		if string(c.status) == l.Status {
			return nil
		}
	}
	return &controlplane.Error{Kind: controlplane.KindMalformed, Code: "filter-unknown", Message: "Deliveries have no such status.", Fix: "Begin at the whole list again."}
}

// url returns the address of this list, at a cursor.
func (l deliveryList) url(cursor string) string {
	q := url.Values{}
	for k, v := range map[string]string{"status": l.Status, "cursor": cursor} {
		if v != "" {
			q.Set(k, v)
		}
	}
	return strings.TrimSuffix(webhookURL(l.Webhook)+"?"+q.Encode(), "?")
}

func (l deliveryList) chips() []chip {
	chips := make([]chip, len(deliveryChips))
	for i, c := range deliveryChips {
		to := l
		to.Status = string(c.status)
		chips[i] = chip{Label: c.word, URL: to.url(""), Current: to == l}
	}
	return chips
}
