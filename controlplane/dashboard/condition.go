package dashboard

import "github.com/dcvaas/terraform-provider-dcvaas/controlplane"

// conditionView is one condition, with what to do about it and when it is looked at again.
type conditionView struct {
	ID       string
	Title    string
	Pill     pill
	Reason   string
	Message  string
	Observed string
	Expected string
	Fix      string
	ACME     *acmeProblem
	Checked  moment
	Next     step // always says something
}

// conditionTitles are in the order of display.
var conditionTitles = []struct {
	kind  controlplane.ConditionType
	title string
}{
	{controlplane.DNSReady, "DNS record"},
	{controlplane.CertificateReady, "Certificate"},
	{controlplane.RenewalOnTrack, "Renewal"},
}

func (v *visit) conditions(d *controlplane.Domain) []conditionView {
	var views []conditionView
	for _, t := range conditionTitles {
		c := d.Condition(t.kind)
		view := conditionView{ID: "condition-" + string(t.kind), Title: t.title, Pill: conditionPill(c), Reason: c.Reason, Message: c.Message,
			Observed: c.Observed, Expected: c.Expected, Fix: conditionFix(d, c), ACME: newACMEProblem(string(t.kind), c.ACME), Checked: v.maybeAt(c.LastCheckedAt), Next: v.nextCheck(d, c)}
		if c.Status != "false" { // there is nothing to mend
			view.Observed, view.Expected, view.Fix, view.ACME = "", "", "", nil
		}
		if view.Message == "" {
			view.Message = "Known once there is a certificate."
		}
		views = append(views, view)
	}
	return views
}

// conditionFixes say in the dashboard's terms what the conditions' own texts say in the API's.
var conditionFixes = map[string]string{
	reasonAwaitingIssue: "Press “Issue now”.",
	reasonRenewalOff:    "Press “Renew now” in time.",
	reasonRevoked:       "Press “Renew now” to order a new one.",
	reasonCompromised:   "Send a certificate request that was made with another key, as csr_pem through the API or Terraform. The renewal follows.",
}

func conditionFix(d *controlplane.Domain, c controlplane.Condition) string {
	if c.Reason == reasonRevoked && d.Condition(controlplane.RenewalOnTrack).Reason == reasonCompromised {
		return conditionFixes[reasonCompromised]
	}
	if fix, ok := conditionFixes[c.Reason]; ok {
		return fix
	}
	return c.Fix
}

// nextCheck says when a condition is looked at again, or what makes that happen.
func (v *visit) nextCheck(d *controlplane.Domain, c controlplane.Condition) step {
	if c.NextCheckAt != nil {
		return v.due("Next check", c.NextCheckAt, "")
	}
	switch {
	case c.Type == controlplane.DNSReady && d.Status == controlplane.DomainError:
		return step{Words: "Not checked again until you press “Check now”"}
	case c.Type == controlplane.DNSReady:
		return step{Words: "Checked again before every order"}
	case c.Type == controlplane.CertificateReady && d.Status == controlplane.DomainIssuing:
		return step{Words: "The order is under way"}
	case c.Type == controlplane.CertificateReady && d.CertificateID == "" && d.AutoIssue:
		return step{Words: "Ordered as soon as the DNS record is right"}
	case d.CertificateID == "" && d.AutoIssue:
		return step{Words: "Looked at from the first certificate on"}
	case d.CertificateID == "":
		return step{Words: "Nothing happens until you press “Issue now”"}
	case !d.AutoRenew:
		return step{Words: "Nothing happens until you press “Renew now”"}
	}
	return v.due("Renewal", d.RenewAt, "No renewal is planned")
}
