package lifecycle

import (
	"context"
	"slices"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// closedAccount is why an account gets no order of the domain now.
type closedAccount struct {
	obstacle
	refused bool // the CA has refused an order of this job because of the account
}

// openAccounts returns the accounts at the CA that may get the domain's order. If none may, first
// says why not for the one that becomes available first; it is empty if CAA forbids all. A name
// that the CA has paused is a failure until the customer acts; other obstacles end without the
// customer.
func (w *work) openAccounts(
	ctx context.Context, r *round, ca string, now time.Time,
) (open []string, first closedAccount, err error) {
	all := w.Issuer.Accounts(ca)
	found, err := w.standings(ctx, w.domain.OrgID, ca, all, w.domain.Names())
	if err != nil {
		return nil, first, err
	}
	for _, account := range all {
		ref := controlplane.AccountRef(ca, account)
		if slices.Contains(w.domain.ForbiddenCAs, ref) {
			continue
		}
		var one closedAccount
		wait := w.waitOf(r, ref, now)
		switch o := found[account]; {
		case o != nil:
			v := controlplane.Verdict{CA: ca, Code: o.Code, Message: o.Message, Fix: o.Fix}
			one.obstacle = obstacleOf(v, o.Code != controlplane.ReasonCAPaused, *o.Until)
		case wait.Until.After(now):
			one.obstacle = obstacleOf(wait.Verdict(ca), wait.Passes, wait.Until)
			one.refused = !wait.Passes
		default:
			open = append(open, account)
			continue
		}
		if first.ca == "" || one.until.Before(first.until) {
			first = one
		}
	}
	return open, first, nil
}

// subjectOf returns what a verdict on an order is about, among the waits of a job: the CA, or only
// the order's account, by its AccountRef, if another account of the CA may fare better.
func (w *work) subjectOf(o *controlplane.Order, v controlplane.Verdict) string {
	ofAccount := v.Class == controlplane.VerdictAccount || v.Class == controlplane.VerdictPaused
	if ofAccount && len(w.Issuer.Accounts(o.CA)) > 1 {
		return controlplane.AccountRef(o.CA, o.Account)
	}
	return o.CA
}
