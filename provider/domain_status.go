package provider

import (
	"strings"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

// explainStatus describes the state of a domain, its cause, and the next step, as its
// status_summary states them. The observed and expected values are those of the condition that the
// summary is about.
func explainStatus(d *client.Domain) string {
	s := d.StatusSummary
	if s.Headline == "" { // an older version of the service
		return "Its status is " + strings.TrimSpace(string(d.Status)+" "+d.StatusReason) + "."
	}
	about := client.Condition{}
	for _, c := range d.Conditions {
		if c.Reason == s.Reason && c.Status != client.ConditionStatusTrue {
			about = c
			break
		}
	}
	text := s.Headline + ": " + sentence(s.Cause) + lines(
		line{"Observed", deref(about.Observed)}, line{"Expected", deref(about.Expected)},
		line{"Next step", s.NextStep}, line{"Cause", s.Reason})
	if next, err := s.NextEvent.Get(); err == nil {
		text += lines(line{eventTitles[next.What], next.At.UTC().Format(time.RFC3339)})
	}
	return text
}

// eventTitles has the titles of the next events of a domain.
var eventTitles = map[client.StatusEventWhat]string{
	client.StatusEventWhatDnsCheck: "Next check",
	client.StatusEventWhatOrder:    "Next attempt",
	client.StatusEventWhatRenewal:  "Renewal",
	client.StatusEventWhatExpiry:   "Expiry",
}

// explainCondition describes a condition that is not true.
func explainCondition(c client.Condition) string {
	text := sentence(c.Message) + lines(line{"Observed", deref(c.Observed)},
		line{"Expected", deref(c.Expected)}, line{"Next step", deref(c.Fix)},
		line{"Cause", c.Reason})
	if c.NextCheckAt != nil {
		text += lines(line{"Next check", c.NextCheckAt.UTC().Format(time.RFC3339)})
	}
	return text
}

// line is a value with its label.
type line struct{ label, value string }

// lines returns the values that are set, a line each, and each after a line break.
func lines(all ...line) (text string) {
	for _, l := range all {
		if l.value != "" {
			text += "\n" + l.label + ": " + l.value
		}
	}
	return text
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// continues reports whether the service takes the next step of a domain, or tries again anyway.
func continues(d *client.Domain) bool {
	s := d.StatusSummary
	next, err := s.NextEvent.Get()
	return err == nil && next.What != client.StatusEventWhatExpiry ||
		s.Actor == client.StatusSummaryActorService || s.Actor == client.StatusSummaryActorCa
}

// delegated reports whether the record was found.
func delegated(d *client.Domain) bool {
	if c := dnsReady(d); c != nil {
		return c.Status == client.ConditionStatusTrue
	}
	return d.Status == client.DomainStatusIssuing || d.Status == client.DomainStatusActive
}

// dnsReady returns the condition DNSReady, nil if it was never set.
func dnsReady(d *client.Domain) *client.Condition {
	for i := range d.Conditions {
		if d.Conditions[i].Type == client.ConditionTypeDNSReady {
			return &d.Conditions[i]
		}
	}
	return nil
}
