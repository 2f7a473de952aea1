package lifecycle

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// runOrder runs the order and records what its result shows about the CA, for all workers: whether
// the order's account is usable there, which names the CA has paused, and whether it counts the
// order.
func (w *work) runOrder(
	ctx context.Context, o *controlplane.Order,
) (*controlplane.Certificate, error) {
	placed, replaces := o.OrderURL != "", o.Replaces != ""
	key := accountKey(o)
	_, suspected := w.suspected.Load(key)
	if !placed && suspected {
		// If the account is unusable, this order shows whether it is usable again.
		if err := w.Store.ProbeAccount(ctx, key, w.now()); err != nil {
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
		failed = w.Store.PauseNames(ctx, o.OrgID, key, pausedNames(o, v), v.Message, v.Fix, w.now())
	case v.Class == controlplane.VerdictAccount:
		failed = w.rejectAccount(ctx, key, o.Names, v)
	case !placed && suspected && o.OrderURL != "":
		var news bool
		if news, failed = w.Store.AcceptAccount(ctx, key); news {
			w.Logger.InfoContext(ctx, "lifecycle: ACME account usable again", "ca", o.CA,
				"account", o.Account)
		}
	}
	if failed != nil {
		w.Logger.WarnContext(ctx, "lifecycle: recording a CA's state failed", "ca", o.CA,
			"order", o.ID, "error", failed)
	}
	return cert, err
}

// accountKey returns the AccountKey of the order's account.
func accountKey(o *controlplane.Order) string { return controlplane.AccountKey(o.CA, o.Account) }

// rejectAccount records that a CA rejected one of our accounts, given by its AccountKey, in an
// order for names. If it did so before there was an order, the account is certainly unusable.
// Otherwise it may mean only this order: some CAs use the same error for what single orders
// request.
func (s *Service) rejectAccount(
	ctx context.Context, key string, names []string, v controlplane.Verdict,
) error {
	domain := controlplane.RegisteredDomain(slices.Min(controlplane.Identifiers(names)))
	news, err := s.Store.RejectAccount(ctx, key, domain, v.AccountUnusable, v, s.now())
	if news {
		s.Logger.ErrorContext(ctx, "lifecycle: ACME account unusable", "account", key, "code", v.Code,
			"message", v.Message, "fix", v.Fix)
	}
	return err
}

// noticeAccount records that a CA certainly rejects an account, after a request that is not part
// of a new order. Other rejections may concern only what was requested: a CA does not let an
// account revoke what another one ordered.
func (s *Service) noticeAccount(ctx context.Context, key string, names []string, err error) {
	judged, ok := errors.AsType[controlplane.Judged](err)
	if !ok || !judged.Verdict().AccountUnusable {
		return
	}
	if err := s.rejectAccount(ctx, key, names, storableVerdict(judged.Verdict())); err != nil {
		s.Logger.WarnContext(ctx, "lifecycle: recording a CA's state failed", "account", key,
			"error", err)
	}
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
	q := controlplane.QuotaRequest{CA: o.CA, Account: o.Account, Org: o.OrgID, Names: o.Names,
		OrderID: o.ID}
	w.logUpdate(ctx, o.ID, w.Governor.Count(ctx, q))
}
