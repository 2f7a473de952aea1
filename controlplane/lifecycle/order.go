package lifecycle

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// place is where the next order goes: the reservation at a CA, or what all CAs that are left
// make it wait for. Both are empty where no CA is left.
type place struct {
	quota controlplane.QuotaRequest
	wait  *controlplane.QuotaDecision
	by    string // the CA whose limits make it wait
}

// choose returns the CA to order from: the preferred one, then the others in their order,
// without those that were tried and those that CAA forbids, the first whose limits allow it, or
// will before the job's patience is over.
func (w *work) choose(ctx context.Context, tried map[string]controlplane.Verdict) (place, error) {
	left := w.healthy(w.left(tried))
	var p place
	for i, ca := range left {
		q, err := w.quota(ctx, ca)
		if err != nil {
			return p, err
		}
		if i+1 < len(left) {
			q.Patience = w.patience() // rather than wait for longer, another CA is asked
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

// left returns the CAs that can still be asked.
func (w *work) left(tried map[string]controlplane.Verdict) []string {
	var left []string
	for _, ca := range w.preference() {
		if _, done := tried[ca]; !done && !slices.Contains(w.domain.ForbiddenCAs, ca) {
			left = append(left, ca)
		}
	}
	return left
}

// healthy returns the CAs that answered when they were asked last, or all where none did.
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

// preference returns the CAs in the order in which the domain wants them asked.
func (w *work) preference() []string {
	list := w.Issuer.CAs()
	if i := slices.Index(list, w.domain.CA); i > 0 {
		list = append([]string{w.domain.CA}, slices.Delete(slices.Clone(list), i, i+1)...)
	}
	return list
}

// quota describes a new order at a CA to the governor.
func (w *work) quota(ctx context.Context, ca string) (controlplane.QuotaRequest, error) {
	q := controlplane.QuotaRequest{CA: ca, Org: w.domain.OrgID, Names: controlplane.CertificateNames(w.domain.Name, w.domain.Wildcard),
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
	// The CA leaves a renewal out of its limits from the time on that it suggested for it.
	start, err := w.Store.RenewalWindowStart(ctx, w.domain.OrgID, w.domain.ID)
	q.Replaces = start != nil && !start.After(w.now())
	return q, err
}

// replaces returns the ARI id of the certificate that an order at the CA would replace.
func (w *work) replaces(ctx context.Context, ca string) (string, error) {
	old, err := w.current(ctx)
	if err != nil || old == nil || old.CA != ca {
		return "", err
	}
	return old.ARIID, nil
}

// begin stores a new order, under the id by which it was reserved.
func (w *work) begin(ctx context.Context, q controlplane.QuotaRequest) (*controlplane.Order, error) {
	d := w.domain
	o := &controlplane.Order{ID: q.OrderID, OrgID: d.OrgID, DomainID: d.ID, JobID: w.claim.Job.ID, CA: q.CA, Names: q.Names,
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
	entry.Details = map[string]any{"order_id": o.ID, "job_id": o.JobID, "ca": q.CA, "names": o.Names}
	return o, w.Store.BeginOrder(ctx, w.claim, o, entry)
}

// tellGovernor lets the count of the CA's limits follow what became of an order. That it may
// fail does no harm: the CA's own word is the limit then.
func (w *work) tellGovernor(ctx context.Context, o *controlplane.Order, v controlplane.Verdict) {
	if w.Governor == nil {
		return
	}
	q := controlplane.QuotaRequest{CA: o.CA, Names: o.Names, Replaces: o.Replaces != "", OrderID: o.ID}
	var err error
	switch v.Class {
	case controlplane.VerdictRateLimited:
		err = w.Governor.Learn(ctx, q, v)
		if o.OrderURL == "" {
			err = cmp.Or(err, w.Governor.Refund(ctx, q, false))
		}
	case controlplane.VerdictUnreachable, controlplane.VerdictCAAForbids, controlplane.VerdictOrderGone, controlplane.VerdictRejected:
		if v.Over && isValidation(v.Code) {
			err = w.Governor.AuthorizationFailed(ctx, q)
		}
		if (v.Over || v.Class != controlplane.VerdictRejected) && !mayBeIssued(o, v) {
			err = cmp.Or(w.Governor.Refund(ctx, q, o.OrderURL != "" || v.Class == controlplane.VerdictUnreachable), err)
		}
	}
	if err != nil {
		w.Logger.InfoContext(ctx, "lifecycle: the governor was not told", "order", o.ID, "error", err)
	}
}

// mayBeIssued reports whether the CA may have made the certificate of an order that is given
// up: its limits have counted it then. It has where a chain was there to be looked at, and may
// have where the answer to the CSR is not known.
func mayBeIssued(o *controlplane.Order, v controlplane.Verdict) bool {
	switch v.Class {
	case controlplane.VerdictUnreachable, controlplane.VerdictOrderGone:
		return o.Step == controlplane.StepReady || o.Step == controlplane.StepFinalized || o.Step == controlplane.StepIssued
	}
	return o.Step == controlplane.StepIssued
}

// isValidation reports whether a CA's code says that an authorization failed.
func isValidation(code string) bool {
	switch code {
	case "ca-caa", "ca-dns", "ca-connection", "ca-unauthorized":
		return true
	}
	return false
}

// deferForQuota puts the job off until the CA's limits allow the order.
func (w *work) deferForQuota(ctx context.Context, p place) error {
	next := p.wait.WaitUntil.UTC().Truncate(time.Microsecond)
	return w.deferUntil(ctx, next, deferReason{controlplane.ReasonCAQuota, p.wait.Message, p.by}, "Nothing: the order is placed when the CA's limit ("+p.wait.Limit+") allows it.", nil)
}
