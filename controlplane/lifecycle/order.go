package lifecycle

import (
	"cmp"
	"context"
	"slices"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// place is the result of choosing a CA: a reservation at a CA, or the wait for the first of the
// remaining CAs. Both are empty if no CA remains.
type place struct {
	quota controlplane.QuotaRequest
	wait  *controlplane.QuotaDecision
	by    string // the CA that it waits for
}

// choose returns the CA to order from: the first one, in order of preference and without those that
// were tried or that CAA forbids, whose limits allow the order now or within the job's patience.
func (w *work) choose(ctx context.Context, tried map[string]controlplane.Verdict) (place, error) {
	left := w.healthy(w.left(tried))
	var p place
	for i, ca := range left {
		q, err := w.quota(ctx, ca)
		if err != nil {
			return p, err
		}
		if i+1 < len(left) {
			q.Patience = w.patience() // another CA is used instead of a longer wait
		}
		if w.Governor == nil {
			return place{quota: q}, nil
		}
		d, err := w.Governor.Reserve(ctx, q)
		if err != nil {
			return p, err
		}
		if d.OK {
			w.uncounted = d.Bypassed
			return place{quota: q}, nil
		}
		if p.wait == nil || d.WaitUntil.Before(p.wait.WaitUntil) {
			p.wait, p.by = &d, ca
		}
		if d.WaitUntil.Sub(w.now()) <= q.Patience {
			return p, nil
		}
	}
	return p, nil
}

// left returns the CAs that remain for this run.
func (w *work) left(tried map[string]controlplane.Verdict) []string {
	var left []string
	for _, ca := range w.preference() {
		if _, done := tried[ca]; !done && !slices.Contains(w.domain.ForbiddenCAs, ca) {
			left = append(left, ca)
		}
	}
	return left
}

// healthy returns the CAs that responded to their last request, or all if none did.
func (w *work) healthy(cas []string) []string {
	up := slices.DeleteFunc(slices.Clone(cas), func(ca string) bool {
		ok, _ := w.Issuer.Healthy(ca)
		return !ok
	})
	if len(up) == 0 {
		return cas
	}
	return up
}

// preference returns the CAs in the domain's order of preference.
func (w *work) preference() []string {
	list := w.Issuer.CAs()
	if i := slices.Index(list, w.domain.CA); i > 0 {
		list = append([]string{w.domain.CA}, slices.Delete(slices.Clone(list), i, i+1)...)
	}
	return list
}

// quota returns the governor's request for a new order at a CA.
func (w *work) quota(ctx context.Context, ca string) (controlplane.QuotaRequest, error) {
	q := controlplane.QuotaRequest{CA: ca, Org: w.domain.OrgID,
		Names:  controlplane.CertificateNames(w.domain.Name, w.domain.Wildcard),
		Waiter: w.claim.Job.ID, OrderID: controlplane.NewID(controlplane.PrefixOrder)}
	due, revoked, err := w.due(ctx)
	if err != nil {
		return q, err
	}
	q.Renewal = due || revoked
	replaces, err := w.replaces(ctx, ca)
	if err != nil || replaces == "" {
		return q, err
	}
	// A CA exempts a renewal from its limits once the renewal window that it suggested starts.
	start, err := w.Store.RenewalWindowStart(ctx, w.domain.OrgID, w.domain.ID)
	q.Replaces = start != nil && !start.After(w.now())
	return q, err
}

// replaces returns the ARI ID of the certificate that an order at the CA would replace.
func (w *work) replaces(ctx context.Context, ca string) (string, error) {
	old, err := w.current(ctx)
	if err != nil || old == nil || old.CA != ca {
		return "", err
	}
	return old.ARIID, nil
}

// createOrder stores a new order with the ID of its reservation.
func (w *work) createOrder(
	ctx context.Context, q controlplane.QuotaRequest,
) (*controlplane.Order, error) {
	d := w.domain
	o := &controlplane.Order{ID: q.OrderID, OrgID: d.OrgID, DomainID: d.ID, JobID: w.claim.Job.ID,
		CA: q.CA, Names: q.Names,
		Target: d.Target, KeyType: d.KeyType, Profile: d.Profile, PreferredChain: d.PreferredChain}
	var err error
	var csr []byte
	if d.CSRPEM != "" {
		if csr, o.KeyType, err = controlplane.ValidateCSR(d.CSRPEM, o.Names); err != nil {
			return nil, err
		}
	}
	if o.Replaces, err = w.replaces(ctx, q.CA); err != nil {
		return nil, err
	}
	if err := w.Issuer.Prepare(ctx, o, csr); err != nil {
		return nil, err
	}
	entry := w.audit(d.OrgID, w.actor(), controlplane.ActionOrderCreated, "domain", d.ID, w.now())
	entry.Details = map[string]any{"order_id": o.ID, "job_id": o.JobID, "ca": q.CA,
		"names": o.Names}
	return o, w.Store.BeginOrder(ctx, w.claim, o, entry)
}

// reportToGovernor updates the tracked limits of a CA after an order failed. A failed update is
// harmless: the CA enforces its limits itself.
func (w *work) reportToGovernor(
	ctx context.Context, o *controlplane.Order, v controlplane.Verdict,
) {
	if w.Governor == nil {
		return
	}
	q := controlplane.QuotaRequest{CA: o.CA, Names: o.Names,
		Replaces: o.Replaces != "", OrderID: o.ID}
	var err error
	switch v.Class {
	case controlplane.VerdictRateLimited:
		err = w.Governor.Learn(ctx, q, v)
		if o.OrderURL == "" {
			err = cmp.Or(err, w.Governor.Refund(ctx, q, false))
		}
	case controlplane.VerdictSlow, controlplane.VerdictInterrupted, controlplane.VerdictInternal:
	default:
		if v.FailedValidation {
			err = w.Governor.AuthorizationFailed(ctx, q)
		}
		if (v.Over || !v.Class.Refusal()) && !mayBeIssued(o, v) {
			err = cmp.Or(w.Governor.Refund(ctx, q,
				o.OrderURL != "" || v.Class == controlplane.VerdictUnreachable), err)
		}
	}
	if err != nil {
		w.Logger.InfoContext(ctx, "lifecycle: updating the tracked CA limits failed", "order", o.ID,
			"error", err)
	}
}

// mayBeIssued reports whether the CA may have issued the certificate of a failed order, and counted
// it against its limits. It did if it returned a chain, and it may have if the response to the CSR
// is unknown.
func mayBeIssued(o *controlplane.Order, v controlplane.Verdict) bool {
	switch v.Class {
	case controlplane.VerdictUnreachable, controlplane.VerdictOrderGone:
		return o.Step == controlplane.StepReady || o.Step == controlplane.StepFinalized ||
			o.Step == controlplane.StepIssued
	}
	return o.Step == controlplane.StepIssued
}

// deferForQuota defers the job until the CA's limits allow the order.
func (w *work) deferForQuota(ctx context.Context, p place) error {
	return w.postpone(ctx, deferral{
		why: deferReason{controlplane.ReasonCAQuota, p.wait.Message, p.by},
		shown: text{controlplane.ReasonCAQuota, p.wait.Message,
			"No action needed. The order is placed when the CA's limit (" + p.wait.Limit +
				") allows it."},
		next: w.within(p.wait.WaitUntil, w.now())})
}
