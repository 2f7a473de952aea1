package acme

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// firstPause is how long an account waits after the CA refused an order over a limit that it did not name.
const firstPause = time.Minute

// Refund gives back what Reserve counted for the order, once. Where the order reached the CA and gave no certificate, only the
// limits of certificates get theirs back: the CA has counted an order. It does nothing for an order that was not counted or
// has been given back, and where Redis is away; its error says so, and may be ignored.
func (g *Governor) Refund(ctx context.Context, q controlplane.QuotaRequest, reachedCA bool) error {
	ca, ok := g.cas[q.CA]
	if !ok || q.OrderID == "" {
		return nil
	}
	q.Replaces = false // the CA may have refused to replace a certificate meanwhile; what was taken is on record
	var back []bucket
	for _, b := range g.buckets(ca, q) {
		certificates := b.name == controlplane.LimitRegisteredDomain || b.name == controlplane.LimitDuplicates
		if !b.check && b.name != controlplane.LimitPace && (certificates || !reachedCA) {
			back = append(back, b)
		}
	}
	_, err := g.eval(ctx, refundScript, ca.keys(q, back), append([]any{g.cfg.Now().UnixMicro(), len(back)}, bucketArgs(back)...)...)
	return err
}

// AuthorizationFailed counts a failed authorization for each of the request's names. Its error may be ignored.
func (g *Governor) AuthorizationFailed(ctx context.Context, q controlplane.QuotaRequest) error {
	ca, ok := g.cas[q.CA]
	if !ok {
		return nil
	}
	failed := named(g.buckets(ca, q), controlplane.LimitFailedAuthorizations)
	if len(failed) == 0 {
		return nil
	}
	_, err := g.eval(ctx, spendScript, ca.keys(q, failed), append([]any{g.cfg.Now().UnixMicro(), len(failed)}, bucketArgs(failed)...)...)
	return err
}

// Learn takes in that the CA refused an order with a VerdictRateLimited: the limit that it names has no token before the time
// that it gave, for whoever falls under it. Where it names none that is known, the order's names wait until then, and all
// others at this account a minute at first, twice as long each time it happens again. A CA that gives no time is taken to
// mean a minute. Its error may be ignored.
func (g *Governor) Learn(ctx context.Context, q controlplane.QuotaRequest, v controlplane.Verdict) error {
	ca, ok := g.cas[q.CA]
	if !ok || v.Class != controlplane.VerdictRateLimited {
		return nil
	}
	now, until := g.cfg.Now(), v.RetryAt
	if !until.After(now) {
		until = now.Add(firstPause)
	}
	until = minTime(until, now.Add(maxRetryAfter))
	q.Replaces = false // the CA has just shown that it counts
	if empty := named(g.buckets(ca, q), LimitOf(v.Problem)); len(empty) > 0 {
		_, err := g.eval(ctx, emptyScript, ca.keys(q, empty), append([]any{now.UnixMicro(), len(empty), until.UnixMicro()}, bucketArgs(empty)...)...)
		return err
	}
	_, err := g.eval(ctx, pauseScript, ca.keys(q, nil), now.UnixMicro(), until.UnixMicro(), firstPause.Microseconds(), (10 * time.Minute).Microseconds())
	return err
}

// LimitOf returns which limit a CA's problem document speaks of, or "" where it names none that is known. Let's Encrypt says it
// in its words, and by a link to its page of limits.
func LimitOf(raw json.RawMessage) string {
	var p problem
	if json.Unmarshal(raw, &p) != nil {
		return ""
	}
	text := strings.ToLower(p.Detail)
	for _, sub := range p.SubProblems {
		text += " " + strings.ToLower(sub.Detail)
	}
	for _, sign := range []struct{ words, limit string }{
		{"exact set of", controlplane.LimitDuplicates},
		{"exact-set-of", controlplane.LimitDuplicates},
		{"certificates-per-registered-domain", controlplane.LimitRegisteredDomain},
		{"already issued for", controlplane.LimitRegisteredDomain},
		{"new-orders-per-account", controlplane.LimitNewOrders},
		{"too many new orders", controlplane.LimitNewOrders},
		{"authorization-failures-per", controlplane.LimitFailedAuthorizations},
		{"failed authorizations", controlplane.LimitFailedAuthorizations},
	} {
		if strings.Contains(text, sign.words) {
			return sign.limit
		}
	}
	return ""
}

func named(list []bucket, name string) []bucket {
	var some []bucket
	for _, b := range list {
		if b.name == name {
			some = append(some, b)
		}
	}
	return some
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
