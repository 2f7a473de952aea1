package lifecycle

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

const (
	// addDelay is how long an order that adds names to a certificate waits for further ones.
	addDelay = 10 * time.Minute
	// A domain with issue_partial gets at most addMost certificates within addPeriod because of
	// added names.
	addMost   = 3
	addPeriod = 24 * time.Hour
)

// partly returns the examination of the certificate that can be ordered with issue_partial: with
// the names that are ready. A name of the current certificate is left out only in the second half
// of the time between its renewal and its expiry, so that there is time to fix it.
func (w *work) partly(
	ctx context.Context, seen controlplane.DomainExamination,
) (controlplane.DomainExamination, error) {
	if !w.domain.IssuePartial || seen.OK() {
		return seen, nil
	}
	kept, err := w.keptNames(ctx)
	if err != nil {
		return seen, err
	}
	return seen.Partial(func(base string) bool { return hasBase(kept, base) }), nil
}

// keptNames returns the names that the next certificate must have.
func (w *work) keptNames(ctx context.Context) ([]string, error) {
	d, now := w.domain, w.now()
	if !d.HasCertificate(now) ||
		d.Condition(controlplane.CertificateReady).Reason == controlplane.ReasonRevoked {
		return nil, nil
	}
	cert, err := w.current(ctx)
	if err != nil {
		return nil, err
	}
	due := controlplane.RenewAt(cert.NotBefore, cert.NotAfter)
	if !now.Before(due.Add(cert.NotAfter.Sub(due) / 2)) {
		return nil, nil
	}
	return cert.Names, nil
}

func hasBase(names []string, base string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return rules.BaseName(n) == base })
}

// orderNames returns the names of the next order: those that the preflight did not leave out.
func (w *work) orderNames() []string {
	return slices.DeleteFunc(w.domain.Names(),
		func(n string) bool { return slices.Contains(w.left, rules.BaseName(n)) })
}

// leftOut returns the base names of a domain with issue_partial that a certificate does not have.
func leftOut(d *controlplane.Domain, names []string) []string {
	if !d.IssuePartial {
		return nil
	}
	return slices.DeleteFunc(d.Bases(), func(base string) bool { return hasBase(names, base) })
}

// showLeftOut shows which names the domain's new certificate does not have.
func showLeftOut(d *controlplane.Domain, cert *controlplane.Certificate) {
	left := leftOut(d, cert.Names)
	if len(left) == 0 {
		return
	}
	c := d.Condition(controlplane.CertificateReady)
	c.Reason = controlplane.ReasonIssuedPartial
	c.Message += " It does not have " + controlplane.Observed(left, ", ") +
		". A name is added when it is ready."
	known := slices.Concat(d.Condition(controlplane.DNSReady).Names, c.Names)
	c.Names = nil
	for _, base := range left {
		status := controlplane.NameStatus{Name: base, Reason: controlplane.ReasonIssuedPartial,
			Message: base + " was not ready when the certificate was ordered."}
		for _, n := range known {
			if n.Name == base {
				status = n
			}
		}
		c.Names = append(c.Names, status)
	}
	d.SetCondition(c)
}

// checkLeftOut adds the check of names that the domain's new certificate does not have.
func (w *work) checkLeftOut(
	ctx context.Context, t *postgres.Tx, d *controlplane.Domain, cert *controlplane.Certificate,
	now time.Time,
) error {
	if len(leftOut(d, cert.Names)) == 0 {
		return nil
	}
	j := newJob(controlplane.JobDNSCheck, controlplane.QueueDefault, d,
		w.claim.Job.RequestID, now)
	j.RunAt = now.Add(controlplane.NextCheck(d.CheckAttempts+1, w.Rand()))
	_, _, err := t.AddJob(ctx, j)
	return err
}

// addable returns the names that are ready and that the domain's current certificate lacks.
func (w *work) addable(
	ctx context.Context, seen controlplane.DomainExamination,
) ([]string, error) {
	d := w.domain
	if !d.IssuePartial || !d.AutoIssue || !seen.OK() || !d.HasCertificate(w.now()) ||
		d.IsOutdated() {
		return nil, nil
	}
	cert, err := w.current(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(leftOut(d, cert.Names), seen.IsMissing), nil
}

// addNames schedules the order of a certificate with further names: when none became ready for
// addDelay, and at most addMost in addPeriod.
func (w *work) addNames(
	ctx context.Context, t *postgres.Tx, d *controlplane.Domain, added []string, now time.Time,
) error {
	if len(added) == 0 {
		return nil
	}
	at := now.Add(addDelay)
	issued, err := t.IssuedBefore(ctx, d.OrgID, d.ID, addMost)
	if err != nil {
		return err
	}
	if !issued.IsZero() {
		at = later(at, issued.Add(addPeriod))
	}
	j := newJob(controlplane.JobStartIssuance, controlplane.QueueDefault, d,
		w.claim.Job.RequestID, now)
	j.RunAt, j.Reason = at, controlplane.ReasonNamesReady
	j, started, err := t.AddJob(ctx, j)
	if err != nil || started || !slices.ContainsFunc(added,
		func(base string) bool { return notReady(d, base) }) {
		return err
	}
	return t.PostponeJob(ctx, d.OrgID, j.ID, controlplane.ReasonNamesReady, at, now)
}

// partlyReady records that a certificate can be ordered with some of the domain's names. The others
// are checked again.
func (w *work) partlyReady(
	d *controlplane.Domain, seen controlplane.DomainExamination, next *controlplane.Job,
	now time.Time,
) postgres.Conclusion {
	k := postgres.Conclusion{Domain: d, Checks: seen.Names, Entries: w.broken(d, seen, now)}
	if len(k.Entries) > 0 {
		d.CheckSince, d.CheckAttempts = now, 0
	}
	if verified := w.verifiedNames(d, seen, now); len(verified) > 0 {
		k.Entries, d.CheckAttempts = append(k.Entries, verified...), 0
	}
	d.CheckAttempts++
	at := w.within(now.Add(controlplane.NextCheck(d.CheckAttempts, w.Rand())), now)
	showDNS(d, seen, &at)
	w.showReady(d, next, now)
	k.Outcome = postgres.Deferred(at, seen.Missing[0].Cause.Code)
	if at.After(d.CheckSince.Add(controlplane.CheckFor)) {
		k.Outcome = postgres.Completed(map[string]any{"delegated": false}) // rehearsals go on
	}
	return k
}

// verifiedNames is verified for those names that the check found delegated.
func (w *work) verifiedNames(
	d *controlplane.Domain, seen controlplane.DomainExamination, now time.Time,
) []controlplane.AuditEntry {
	var names []string
	for _, n := range seen.Names {
		if n.Delegation.OK() && notReady(d, n.Name) {
			names = append(names, n.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return w.about(d, controlplane.ActionDNSVerified, map[string]any{
		"target": w.DelegationOf(d).Target, "names": names}, now)
}

// forOrder returns the examination of the names of an order.
func forOrder(
	seen controlplane.DomainExamination, o *controlplane.Order,
) controlplane.DomainExamination {
	names := slices.DeleteFunc(slices.Clone(seen.Names),
		func(n controlplane.NameExamination) bool {
			return !slices.ContainsFunc(o.Names, func(id string) bool {
				return strings.EqualFold(rules.BaseName(id), n.Name)
			})
		})
	if len(names) == 0 || len(names) == len(seen.Names) {
		return seen
	}
	return controlplane.ExamineDomain(names)
}
