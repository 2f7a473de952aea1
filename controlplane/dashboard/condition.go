package dashboard

import (
	"cmp"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// conditionView is a condition with its fix and its next check.
type conditionView struct {
	ID       string
	Title    string
	Pill     pill
	Reason   string
	Message  string
	Observed string
	Expected string
	Fix      string
	Names    []conditionName // further names that are not ready
	ACME     *acmeProblem
	Checked  moment
	Next     step // always has a text
}

// conditionName is one of several names that are not ready. The records show the problems of
// records.
type conditionName struct{ Name, Title, Message, Fix string }

// conditionNames returns the names of a condition after the first, which the condition is about.
// Those of DNSReady are with the records.
func conditionNames(c controlplane.Condition) []conditionName {
	if c.Type == controlplane.DNSReady || len(c.Names) < 2 {
		return nil
	}
	var names []conditionName
	for _, n := range c.Names[1:] {
		name := conditionName{Name: n.Name, Title: reason(n.Reason)}
		switch n.Reason {
		case controlplane.CauseCAAForbids, controlplane.CauseCAALookupFailed,
			controlplane.CauseDNSSECBogus:
			name.Message, name.Fix = n.Message, n.Fix
		}
		names = append(names, name)
	}
	return names
}

// conditions returns the conditions of a domain. Texts that the summary states are not repeated.
func (v *visit) conditions(d *controlplane.Domain, s controlplane.Summary) []conditionView {
	var views []conditionView
	for _, k := range controlplane.ConditionKinds() {
		c := d.Condition(k.Type)
		view := conditionView{ID: "condition-" + string(k.Type), Title: k.Title,
			Pill: conditionPill(d, k.Type, s.State), Reason: string(c.Reason), Message: c.Message,
			Observed: c.Observed, Expected: c.Expected, Fix: conditionFix(d, c),
			Names: conditionNames(c),
			ACME:  newACMEProblem(string(k.Type), c.ACME), Checked: v.maybeAt(c.LastCheckedAt),
			Next: v.nextCheck(d, c, s)}
		if c.Status != controlplane.ConditionFalse &&
			c.Reason != controlplane.ReasonChainNotOffered &&
			c.Reason != controlplane.ReasonIssuedPartial { // no problem
			view.Observed, view.Expected, view.Fix, view.ACME = "", "", "", nil
			view.Names = nil
		}
		if view.Message == "" {
			view.Message = "Available after the first certificate is issued."
		}
		if strings.Contains(s.Cause, view.Message) {
			view.Message = ""
		}
		if strings.Contains(s.DashboardStep, view.Fix) {
			view.Fix = ""
		}
		views = append(views, view)
	}
	return views
}

// conditionFix returns the fix of a condition, in the dashboard's terms where the catalog has one.
func conditionFix(d *controlplane.Domain, c controlplane.Condition) string {
	reason := c.Reason
	if reason == controlplane.ReasonRevoked && isHeldBack(d) {
		reason = controlplane.ReasonCSRKeyCompromised
	}
	return cmp.Or(entryOf(reason).DashboardFix, c.Fix)
}

// isHeldBack reports whether the domain waits for a CSR with another key.
func isHeldBack(d *controlplane.Domain) bool {
	return d.Condition(controlplane.RenewalOnTrack).Reason == controlplane.ReasonCSRKeyCompromised
}

// nextCheck returns the next check of a condition, or the action that causes it.
func (v *visit) nextCheck(
	d *controlplane.Domain, c controlplane.Condition, s controlplane.Summary,
) step {
	verified := d.Condition(controlplane.DNSReady).Status == controlplane.ConditionTrue
	first := d.CertificateID == ""
	switch {
	case c.NextCheckAt != nil:
		return v.due("Next check", c.NextCheckAt, "")
	case c.Type == controlplane.DNSReady && d.Status == controlplane.DomainError && !verified:
		return step{Text: "Not checked again until you press “Check now”"}
	case c.Type == controlplane.DNSReady:
		return step{Text: "Checked again before every order"}
	case first && c.Type == controlplane.RenewalOnTrack:
		return step{Text: "Checked after the first certificate is issued"}
	case s.Reason == controlplane.ReasonIssuing, c.IsRequested():
		return step{Text: "Order in progress"}
	case first && !verified && d.AutoIssue:
		return step{Text: "Ordered after DNS verification"}
	case first:
		return step{Text: "No order until you press “Issue now”"}
	case !d.AutoRenew:
		return step{Text: "No renewal until you press “Renew now”"}
	}
	return v.due("Renewal", d.RenewAt, "No renewal scheduled")
}
