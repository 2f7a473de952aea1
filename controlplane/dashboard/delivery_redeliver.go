package dashboard

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// minute and second are the formats of a datetime-local input (WHATWG HTML §2.3.5.5). Browsers add
// seconds that are not zero.
const (
	minute = "2006-01-02T15:04"
	second = "2006-01-02T15:04:05"
)

// rangeForm is the form to redeliver the events of a time range, with its input and errors. Times
// are in UTC.
type rangeForm struct {
	Action                 string
	Since, Until           string
	SinceError, UntilError string
	All                    bool // include delivered events
	Open                   bool
}

// rangeForm returns the form with the range in the URL. The default is the last 24 hours.
func (v *visit) rangeForm() *rangeForm {
	q := v.URL.Query()
	form := &rangeForm{Since: q.Get("since"), Until: q.Get("until"),
		All: q.Get("all") != "", Open: true}
	if _, _, ok := form.parse(); !ok {
		return &rangeForm{Since: v.now.Add(-24 * time.Hour).Format(minute)}
	}
	return form
}

func parseUTC(s string) (time.Time, error) {
	if t, err := time.Parse(minute, s); err == nil {
		return t, nil
	}
	return time.Parse(second, s)
}

// parse returns the time range of the form. A nil until means now.
func (f *rangeForm) parse() (since time.Time, until *time.Time, ok bool) {
	const wrong = "Invalid date and time. Use the format 2026-01-31T09:30."
	since, err := parseUTC(f.Since)
	if err != nil {
		f.SinceError = wrong
	}
	if f.Until != "" {
		end, err := parseUTC(f.Until)
		if err != nil {
			f.UntilError = wrong
		}
		until = &end
	}
	return since, until, f.SinceError == "" && f.UntilError == ""
}

// redeliver redelivers one event.
func (d *Dashboard) redeliver(w http.ResponseWriter, v *visit) error {
	hook, delivery, err := d.delivery(v)
	if err != nil {
		return err
	}
	if _, err := d.lifecycle.Redeliver(v.Context(), d.actor(v), v.org.ID, hook.ID,
		delivery.ID); err != nil {
		return err
	}
	d.setFlash(w, "redelivered")
	http.Redirect(w, v.Request, deliveryURL(delivery), http.StatusSeeOther)
	return nil
}

// redeliverRange redelivers the events of a time range and reports their number.
func (d *Dashboard) redeliverRange(w http.ResponseWriter, v *visit) error {
	hook, err := d.webhook(v)
	if err != nil {
		return err
	}
	if err := v.ParseForm(); err != nil {
		return badForm(err)
	}
	form := &rangeForm{Since: strings.TrimSpace(v.PostForm.Get("since")),
		Until: strings.TrimSpace(v.PostForm.Get("until")),
		All:   v.PostForm.Get("all") != "", Open: true}
	since, until, ok := form.parse()
	if !ok {
		return d.showWebhook(w, v, http.StatusUnprocessableEntity, hook, editWebhookForm(hook),
			form)
	}
	queued, end, err := d.lifecycle.RedeliverRange(v.Context(), d.actor(v), v.org.ID, hook.ID,
		since, until, form.All)
	if controlplane.HasCode(err, "range-invalid") {
		e := controlplane.AsError(err)
		form.SinceError = e.Message + " " + fixFor(e)
		return d.showWebhook(w, v, http.StatusUnprocessableEntity, hook, editWebhookForm(hook),
			form)
	}
	if err != nil {
		return err
	}
	to, flash := webhookURL(hook.ID), "redelivered-range"
	if until == nil && end.Before(v.now) || until != nil && end.Before(*until) {
		to, flash = to+form.restQuery(end), "redelivered-part"
	}
	d.setFlash(w, flashWithCount(flash, queued))
	http.Redirect(w, v.Request, to, http.StatusSeeOther)
	return nil
}

// restQuery returns the query that fills in the form for the rest of the range, starting at from.
func (f *rangeForm) restQuery(from time.Time) string {
	q := url.Values{"since": {from.UTC().Format(second)}, "until": {f.Until}}
	if f.All {
		q.Set("all", "1")
	}
	return "?" + q.Encode() + "#again"
}
