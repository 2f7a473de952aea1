package dashboard

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// deliveryRow is a row in a webhook's list of deliveries.
type deliveryRow struct {
	URL      string
	Title    string
	EventID  string
	Domain   string // the event's; empty for one about no domain, or a deleted one
	OnURL    string // of the domain
	Pill     pill
	Attempts string
	Response string // status of the last response; empty without one
	Next     step   // next attempt, or when the delivery finished
	At       moment
}

// deliveryList is the list of a webhook's deliveries with its filter. A cursor is valid for one
// deliveryList only.
type deliveryList struct {
	Org, Webhook, Status string
}

// deliveryChips are the filters by status.
var deliveryChips = []struct {
	status controlplane.DeliveryStatus
	word   string
}{
	{"", "All"}, {controlplane.DeliveryPending, "Pending"},
	{controlplane.DeliverySucceeded, "Delivered"}, {controlplane.DeliveryFailed, "Failed"},
}

func (v *visit) deliveryRow(d *controlplane.Delivery) deliveryRow {
	row := deliveryRow{URL: deliveryURL(d), Title: eventTitle(d.EventType), EventID: d.EventID,
		Pill: deliveryPill(d), Attempts: attemptsTitle(d.Attempts),
		Next: v.deliveryStep(d), At: v.at(d.CreatedAt)}
	if d.LastStatusCode != 0 {
		row.Response = strconv.Itoa(d.LastStatusCode)
	}
	return row
}

// deliveryRows returns the rows of deliveries, with the names of their domains.
func (d *Dashboard) deliveryRows(
	v *visit, deliveries []controlplane.Delivery,
) ([]deliveryRow, error) {
	events := make([]string, len(deliveries))
	for i := range deliveries {
		events[i] = deliveries[i].EventID
	}
	domains, err := d.store.EventDomains(v.Context(), v.org.ID, events)
	if err != nil {
		return nil, err
	}
	names, err := d.names(v.Context(), v, slices.Collect(maps.Values(domains)))
	if err != nil {
		return nil, err
	}
	rows := make([]deliveryRow, len(deliveries))
	for i := range deliveries {
		rows[i] = v.deliveryRow(&deliveries[i])
		if id := domains[deliveries[i].EventID]; names[id] != "" {
			rows[i].Domain, rows[i].OnURL = names[id], domainURL(id)
		}
	}
	return rows, nil
}

func deliveryURL(d *controlplane.Delivery) string {
	return webhookURL(d.WebhookID) + "/deliveries/" + d.ID
}

// deliveryPill returns the pill of a delivery's status.
func deliveryPill(d *controlplane.Delivery) pill {
	switch {
	case d.Status == controlplane.DeliverySucceeded:
		return pill{"ok", "check", "Delivered"}
	case d.Status == controlplane.DeliveryFailed:
		return pill{"danger", "cross", "Failed"}
	case d.LastError != "":
		return pill{"warn", "cycle", "Retrying"}
	}
	return pill{"neutral", "clock", "Pending"}
}

// deliveryStep returns the next attempt of a delivery, or when it finished.
func (v *visit) deliveryStep(d *controlplane.Delivery) step {
	switch d.Status {
	case controlplane.DeliverySucceeded:
		return step{Text: "Delivered", At: v.at(d.UpdatedAt)}
	case controlplane.DeliveryFailed:
		return step{Text: "Failed", At: v.at(d.UpdatedAt)}
	}
	return v.due("Next attempt", d.NextAttemptAt, "Attempt in progress")
}

func attemptsTitle(n int) string {
	switch n {
	case 0:
		return "No attempts yet"
	case 1:
		return "1 attempt"
	}
	return fmt.Sprintf("%d attempts", n)
}

// check returns an error for an invalid filter.
func (l deliveryList) check() error {
	for _, c := range deliveryChips {
		if string(c.status) == l.Status {
			return nil
		}
	}
	return invalidFilter("Unknown delivery status.")
}

// url returns the URL of this list at a cursor.
func (l deliveryList) url(cursor string) string {
	return withQuery(webhookURL(l.Webhook),
		queryOf(map[string]string{"status": l.Status, "cursor": cursor}))
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
