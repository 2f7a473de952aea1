package dashboard

import (
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// summaryView is the summary of a domain, on its page and in the list.
type summaryView struct {
	Pill     pill
	Headline string // empty if the pill states it
	Cause    string
	NextStep string // empty if nothing is wrong or pending
	Next     step   // always has a text
}

func (v *visit) summaryView(s controlplane.Summary) summaryView {
	view := summaryView{Pill: summaryPill(s.State), Headline: s.Headline, Cause: s.Cause,
		NextStep: s.DashboardStep, Next: v.nextStep(s)}
	if s.Headline == view.Pill.Label {
		view.Headline = ""
	}
	if s.Actor == controlplane.PartyNone {
		view.NextStep = ""
	}
	return view
}

// step is the next event of an object, and its time.
type step struct {
	Text string
	At   moment // zero if no time is set
}

// nextStep returns the next event of a domain, or the party that it waits for. The expiry has its
// own place on each page.
func (v *visit) nextStep(s controlplane.Summary) step {
	what := map[controlplane.SummaryEventKind]string{controlplane.EventDNSCheck: "DNS check",
		controlplane.EventOrder: "Next attempt", controlplane.EventRenewal: "Renewal"}
	switch {
	case s.Next != nil && what[s.Next.What] != "":
		return v.due(what[s.Next.What], &s.Next.At, "")
	case s.State == controlplane.SummaryActive:
		return step{Text: "No automatic renewal"}
	case s.Actor == controlplane.PartyCustomer:
		return step{Text: "Action required"}
	case s.Actor == controlplane.PartyOperator:
		return step{Text: "Waiting for the operator"}
	}
	return step{Text: "Order in progress"}
}

// due returns a step at a time, or "due now" if the time has passed. If at is nil, the text is
// otherwise.
func (v *visit) due(text string, at *time.Time, otherwise string) step {
	if at == nil {
		return step{Text: otherwise}
	}
	if !at.After(v.now) {
		return step{Text: text + " due now"}
	}
	return step{Text: text, At: v.at(*at)}
}
