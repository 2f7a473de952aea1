package lifecycle

import (
	"fmt"
	"slices"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// showDNS writes the result of a DNS check into the domain. A check without a result changes only
// the time of the next check.
func showDNS(d *controlplane.Domain, seen controlplane.DomainExamination, next *time.Time) {
	if seen.Transient() &&
		d.Condition(controlplane.DNSReady).Status != controlplane.ConditionUnknown {
		c := d.Condition(controlplane.DNSReady)
		c.NextCheckAt = next
		d.SetCondition(c)
		return
	}
	g := seen.Delegation
	c := condition(controlplane.DNSReady, g, "", g.CheckedAt.Truncate(time.Microsecond), next)
	listNames(&c, seen, seen.Undelegated())
	switch {
	case g.OK():
		c.Status, c.Reason = controlplane.ConditionTrue, controlplane.ReasonDelegated
	case g.Transient():
		c.Status = controlplane.ConditionUnknown
	}
	d.SetCondition(c)
	d.ForbiddenCAs = []string{}
	for _, f := range seen.CAA {
		if !f.Allowed {
			d.ForbiddenCAs = append(d.ForbiddenCAs, f.CA)
		}
		for _, account := range f.ForbiddenAccounts {
			d.ForbiddenCAs = append(d.ForbiddenCAs, controlplane.AccountRef(f.CA, account))
		}
	}
}

// showIssuing shows that the domain's first certificate is being ordered.
func showIssuing(d *controlplane.Domain, now time.Time) {
	d.Status, d.StatusReason = controlplane.DomainIssuing, ""
	d.SetCondition(controlplane.Condition{Type: controlplane.CertificateReady,
		Status: controlplane.ConditionFalse, Reason: controlplane.ReasonIssuing,
		Message: "The certificate is being ordered.", LastCheckedAt: &now})
}

// showRequested shows that a requested job is due now, instead of at the time that was shown. The
// job itself shows its progress and its failure.
func showRequested(d *controlplane.Domain, kind controlplane.JobType, now time.Time) {
	showDue(d, kind, now, now)
}

// showDue is showRequested for a job that is due at the given time.
func showDue(d *controlplane.Domain, kind controlplane.JobType, at, now time.Time) {
	t := controlplane.CertificateReady
	switch {
	case isSuspended(d):
		return
	case kind == controlplane.JobDNSCheck:
		t = controlplane.DNSReady
	case kind.Slot() != controlplane.JobRenewal.Slot():
		return
	case d.HasCertificate(now):
		t = controlplane.RenewalOnTrack
	}
	c := d.Condition(t)
	switch planned := c.Status != controlplane.ConditionFalse || planned(d); {
	case t == controlplane.RenewalOnTrack && planned:
		c = renewingCondition(d, now)
	case c.Reason == controlplane.ReasonAwaitingIssue:
		c = controlplane.Condition{Type: t, Status: controlplane.ConditionFalse,
			Reason: controlplane.ReasonIssuing, Message: "The certificate is being ordered.",
			LastCheckedAt: &now}
	case c.Status != controlplane.ConditionTrue && c.Reason != controlplane.ReasonNotIssued:
		c.NextCheckAt = &at
	}
	d.SetCondition(c)
}

// renewingCondition returns RenewalOnTrack of a domain whose new certificate is being ordered
// without a problem.
func renewingCondition(d *controlplane.Domain, now time.Time) controlplane.Condition {
	c := controlplane.Condition{Type: controlplane.RenewalOnTrack,
		Status: controlplane.ConditionTrue, Reason: controlplane.ReasonRenewing,
		Message: "The certificate is being renewed.", LastCheckedAt: &now}
	if d.IsOutdated() {
		c.Reason = controlplane.ReasonOptionsChanged
		c.Message = "A certificate with the changed options is being ordered."
	}
	return c
}

// condition returns a false condition for a cause that the doctor found. prefix precedes its
// summary.
func condition(
	t controlplane.ConditionType, g controlplane.Diagnosis, prefix string, now time.Time,
	next *time.Time,
) controlplane.Condition {
	return controlplane.Condition{Type: t, Status: controlplane.ConditionFalse,
		Reason: controlplane.Reason(g.Code), Message: prefix + g.Summary,
		Observed: g.Observed, ObservedCount: g.Count, Expected: g.Expected, Fix: g.Fix,
		LastCheckedAt: &now, NextCheckAt: next}
}

// conditionOf is condition for the causes of a domain's names.
func conditionOf(
	t controlplane.ConditionType, seen controlplane.DomainExamination, prefix string,
	now time.Time, next *time.Time,
) controlplane.Condition {
	c := condition(t, seen.Cause(), prefix, now, next)
	listNames(&c, seen, seen.Missing)
	return c
}

// listNames adds the names that are not ready to a condition of a domain with several names.
func listNames(
	c *controlplane.Condition, seen controlplane.DomainExamination, causes []controlplane.NameCause,
) {
	if len(seen.Names) == 1 {
		return
	}
	c.Message += alsoNotReady(len(causes) - 1)
	for _, cause := range causes {
		c.Names = append(c.Names, cause.Status())
	}
}

// alsoNotReady returns a sentence about further names that are not ready.
func alsoNotReady(more int) string {
	switch {
	case more <= 0:
		return ""
	case more == 1:
		return " Another name is not ready."
	}
	return fmt.Sprintf(" %d other names are not ready.", more)
}

// notReady reports whether a name of the domain was not ready according to its last check.
func notReady(d *controlplane.Domain, name string) bool {
	c := d.Condition(controlplane.DNSReady)
	if len(c.Names) > 0 {
		return slices.ContainsFunc(c.Names,
			func(n controlplane.NameStatus) bool { return n.Name == name })
	}
	return c.Status != controlplane.ConditionTrue
}

// showFailure writes a job's failure into the domain. next is the next attempt, nil if none is
// scheduled. A domain with a valid certificate stays active, and its renewal is not on track.
func (w *work) showFailure(
	d *controlplane.Domain, cause error, next *time.Time, last bool, now time.Time,
) {
	code, detail, fix := explain(cause)
	switch w.claim.Job.Type {
	case controlplane.JobRevocation:
		return // only the job shows it
	case controlplane.JobDNSCheck:
		c := d.Condition(controlplane.DNSReady)
		c.LastCheckedAt, c.NextCheckAt = &now, next
		d.SetCondition(c)
		if last {
			if d.Status = controlplane.DomainActive; !d.HasCertificate(now) {
				d.Status, d.StatusReason = controlplane.DomainError, controlplane.Reason(code)
			}
		}
		return
	}
	c := controlplane.Condition{Type: controlplane.CertificateReady,
		Status: controlplane.ConditionFalse, Reason: controlplane.Reason(code),
		Message: failureMessage(detail, next, last), Fix: fix, ACME: problemOf(cause),
		LastCheckedAt: &now, NextCheckAt: next}
	switch {
	case d.HasCertificate(now):
		c.Type = controlplane.RenewalOnTrack
	case last:
		d.Status, d.StatusReason = controlplane.DomainError, controlplane.Reason(code)
	}
	d.SetCondition(c)
}

func failureMessage(detail string, next *time.Time, last bool) string {
	switch {
	case !last:
		return detail
	case next == nil:
		return fmt.Sprintf("Failed %d times, and no retry is scheduled: %s",
			controlplane.MaxAttempts, detail)
	}
	return fmt.Sprintf("Failed %d times, and retried automatically at %s: %s",
		controlplane.MaxAttempts, next.UTC().Format("15:04 MST, 2 January 2006"), detail)
}
