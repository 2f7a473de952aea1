package lifecycle

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// runOrder runs the order and records what its result shows about the CA, for all workers: whether
// our account is usable there, which names the CA has paused, and whether it counts the order.
func (w *work) runOrder(
	ctx context.Context, o *controlplane.Order,
) (*controlplane.Certificate, error) {
	placed, replaces := o.OrderURL != "", o.Replaces != ""
	_, suspected := w.suspected.Load(o.CA)
	if !placed && suspected {
		// If the account is unusable, this order shows whether it is usable again.
		if err := w.Store.ProbeAccount(ctx, o.CA, w.now()); err != nil {
			return nil, err
		}
	}
	cert, err := w.Issuer.Run(ctx, o, &journal{w})
	if replaces && o.Replaces == "" && w.Governor != nil {
		w.lostExemption(ctx, o)
	}
	v := controlplane.Verdict{}
	if judged, ok := errors.AsType[controlplane.Judged](err); ok {
		v = storableVerdict(judged.Verdict())
	}
	var failed error
	switch {
	case v.Class == controlplane.VerdictPaused:
		failed = w.Store.PauseNames(ctx, o.OrgID, o.CA, pausedNames(o, v), v.Message, v.Fix,
			w.now())
	case v.Class == controlplane.VerdictAccount:
		failed = w.rejectAccount(ctx, o, v)
	case !placed && suspected && o.OrderURL != "":
		var news bool
		if news, failed = w.Store.AcceptAccount(ctx, o.CA); news {
			w.Logger.InfoContext(ctx, "lifecycle: ACME account usable again", "ca", o.CA)
		}
	}
	if failed != nil {
		w.Logger.WarnContext(ctx, "lifecycle: recording a CA's state failed", "ca", o.CA,
			"order", o.ID, "error", failed)
	}
	return cert, err
}

// rejectAccount records that the CA rejected our account. If it did so before there was an order,
// the account is certainly unusable. Otherwise it may mean only this order: some CAs use the same
// error for what single orders request.
func (w *work) rejectAccount(
	ctx context.Context, o *controlplane.Order, v controlplane.Verdict,
) error {
	domain := controlplane.RegisteredDomain(slices.Min(controlplane.Identifiers(o.Names)))
	news, err := w.Store.RejectAccount(ctx, o.CA, domain, v.AccountUnusable, v, w.now())
	if news {
		w.Logger.ErrorContext(ctx, "lifecycle: ACME account unusable", "ca", o.CA, "code", v.Code,
			"message", v.Message, "fix", v.Fix)
	}
	return err
}

// pausedNames returns the names of the order that the CA says are paused, or all if it names none
// of them.
func pausedNames(o *controlplane.Order, v controlplane.Verdict) []string {
	names := controlplane.Identifiers(o.Names)
	words := strings.FieldsFunc(strings.ToLower(v.Message), func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-.", r)
	})
	for i := range words {
		words[i] = strings.Trim(words[i], ".")
	}
	named := slices.DeleteFunc(slices.Clone(names),
		func(name string) bool { return !slices.Contains(words, name) })
	if len(named) == 0 {
		return names
	}
	return named
}

// lostExemption counts an order that was placed without the certificate that it should replace: the
// CA rejected the replacement, so it counts the order.
func (w *work) lostExemption(ctx context.Context, o *controlplane.Order) {
	q := controlplane.QuotaRequest{CA: o.CA, Org: o.OrgID, Names: o.Names, OrderID: o.ID}
	w.logUpdate(ctx, o.ID, w.Governor.Count(ctx, q))
}
