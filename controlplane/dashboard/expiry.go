package dashboard

import (
	"fmt"
	"net/http"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// soonestShown is the number of domains that the page lists.
const soonestShown = 25

// expiryView is the data for templates/expiry.html.
type expiryView struct {
	Certificates int // number of domains that have a certificate
	Late         int // number of late renewals
	Summary      string
	Counted      *moment // nil: now
	Chart        chart
	Weeks        []weekView // only weeks with an expiry or a renewal
	Soonest      []expiryRow
	MayAdd       bool
}

// weekView has the numbers of one week.
type weekView struct {
	Label               string
	Ends, Renewed, Late int
}

// expiryRow is a row in the list of domains that expire soonest.
type expiryRow struct {
	domainRow
	Late *pill
}

// expiryPage shows when certificates expire and are renewed.
func (d *Dashboard) expiryPage(w http.ResponseWriter, v *visit) error {
	calendar, err := d.store.Calendar(v.Context(), v.org, v.now)
	if err != nil {
		return err
	}
	domains, _, err := d.store.ListDomains(v.Context(), v.org.ID,
		postgres.DomainFilter{Sort: "expires_at", Limit: soonestShown})
	if err != nil {
		return err
	}
	view := newExpiryView(calendar.Weeks, postgres.CalendarStart(v.now))
	if calendar.CountedAt.Before(v.now) {
		counted := v.at(calendar.CountedAt)
		view.Counted = &counted
	}
	view.MayAdd = v.may(controlplane.ScopeDomainsWrite)
	for i := range domains {
		if domains[i].ExpiresAt != nil {
			view.Soonest = append(view.Soonest, v.expiryRow(&domains[i]))
		}
	}
	return d.render(w, v, http.StatusOK,
		"expiry", layout{Title: "Expiry", Section: "expiry", Flash: d.takeFlash(w, v), Page: view})
}

func newExpiryView(counted []postgres.EndingWeek, begin time.Time) expiryView {
	var view expiryView
	weeks := make([]weekView, postgres.CalendarWeeks+1) // the last element counts everything later
	for _, c := range counted {
		view.Certificates += c.Count
		weeks[c.Ends].Ends += c.Count
		if c.Late {
			view.Late += c.Count
			weeks[c.Ends].Late += c.Count
		}
		if c.Renews != nil {
			weeks[*c.Renews].Renewed += c.Count
		}
	}
	ends := 0
	for i := range weeks {
		weeks[i].Label = "Week of " + begin.Add(time.Duration(i)*postgres.Week).Format("2 Jan 2006")
		switch i {
		case 0:
			weeks[i].Label = "This week or earlier"
		case postgres.CalendarWeeks:
			weeks[i].Label = "Later"
		}
		if i < postgres.CalendarWeeks {
			ends += weeks[i].Ends
		}
		if weeks[i].Ends > 0 || weeks[i].Renewed > 0 {
			view.Weeks = append(view.Weeks, weeks[i])
		}
	}
	view.Chart = newChart(weeks[:postgres.CalendarWeeks], begin)
	view.Summary = fmt.Sprintf("%s in the next %d weeks unless renewed. %s",
		pluralize(ends, "certificate expires", "certificates expire"), postgres.CalendarWeeks,
		pluralize(view.Late, "renewal is late.", "renewals are late."))
	return view
}

// pluralize returns n with the singular or plural text.
func pluralize(n int, one, many string) string {
	switch n {
	case 0:
		return "No " + one
	case 1:
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func (v *visit) expiryRow(d *controlplane.Domain) expiryRow {
	row := expiryRow{domainRow: v.domainRow(d, domainList{Sort: defaultSort})}
	if d.AutoRenew && d.LastIssuedAt != nil &&
		v.now.After(controlplane.RenewalLateAt(*d.LastIssuedAt, *d.ExpiresAt)) {
		row.Late = &pill{"danger", "alert", "Renewal late"}
	}
	return row
}
