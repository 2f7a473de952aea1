package dashboard

import (
	"fmt"
	"net/http"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

const (
	// calendarWeeks is how far the page looks ahead.
	calendarWeeks = 26
	// soonestShown is how many domains it names.
	soonestShown = 25
)

// expiryView is what templates/expiry.html shows.
type expiryView struct {
	Certificates int // domains that have a certificate
	Late         int // of which the renewal is late
	Summary      string
	Chart        chart
	Weeks        []weekView // those in which something happens
	Soonest      []expiryRow
	MayAdd       bool
}

// weekView is one week in numbers.
type weekView struct {
	Label               string
	Ends, Renewed, Late int
}

// expiryRow is one domain among the soonest.
type expiryRow struct {
	domainRow
	Late *pill
}

// expiryPage shows when certificates end and are renewed.
func (d *Dashboard) expiryPage(w http.ResponseWriter, v *visit) error {
	begin := weekStart(v.now)
	counted, err := d.store.EndingWeeks(v.Context(), v.org.ID, v.now, begin, calendarWeeks)
	if err != nil {
		return err
	}
	domains, _, err := d.store.ListDomains(v.Context(), v.org.ID, postgres.DomainFilter{Sort: "expires_at", Limit: soonestShown})
	if err != nil {
		return err
	}
	view := newExpiryView(counted, begin)
	view.MayAdd = v.may(controlplane.ScopeDomainsWrite)
	for i := range domains {
		if domains[i].ExpiresAt != nil {
			view.Soonest = append(view.Soonest, v.expiryRow(&domains[i]))
		}
	}
	return d.render(w, v, http.StatusOK, "expiry", layout{Title: "Expiry", Section: "expiry", Flash: d.takeFlash(w, v), Page: view})
}

// weekStart returns when the week of a time began, in UTC.
func weekStart(t time.Time) time.Time {
	day := t.UTC().Truncate(24 * time.Hour)
	return day.AddDate(0, 0, -(int(day.Weekday())+6)%7)
}

func newExpiryView(counted []postgres.EndingWeek, begin time.Time) expiryView {
	var view expiryView
	weeks := make([]weekView, calendarWeeks+1) // the last is what comes after them
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
			weeks[i].Label = "This week, or before"
		case calendarWeeks:
			weeks[i].Label = "Later"
		}
		if i < calendarWeeks {
			ends += weeks[i].Ends
		}
		if weeks[i].Ends > 0 || weeks[i].Renewed > 0 {
			view.Weeks = append(view.Weeks, weeks[i])
		}
	}
	view.Chart = newChart(weeks[:calendarWeeks], begin)
	view.Summary = fmt.Sprintf("%s in the next %d weeks if nothing is renewed. %s", pluralize(ends, "certificate ends", "certificates end"), calendarWeeks,
		pluralize(view.Late, "renewal is late.", "renewals are late."))
	return view
}

// pluralize returns a number with its words.
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
	row := expiryRow{domainRow: v.domainRow(d)}
	if d.AutoRenew && d.LastIssuedAt != nil && v.now.After(controlplane.RenewalLateAt(*d.LastIssuedAt, *d.ExpiresAt)) {
		row.Late = &pill{"danger", "alert", "Renewal late"}
	}
	return row
}
