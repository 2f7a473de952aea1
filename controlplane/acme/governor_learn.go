package acme

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const (
	// firstPause is the first pause of an account after the CA rejected orders for several
	// unrelated names over unknown limits. It doubles up to lastPause.
	firstPause = time.Minute
	lastPause  = 15 * time.Minute
	// unrelatedNames is how many of them it must reject within unrelatedFor.
	unrelatedNames = 3
	unrelatedFor   = 10 * time.Minute
	// longestPause is the longest pause of names over an unknown limit.
	longestPause = 24 * time.Hour
	// pauseMemory is how long a pause is remembered after its end, so that the next one is longer.
	pauseMemory = 10 * time.Minute
	// maxPauseText is how much of the CA's text is kept with a pause, in bytes.
	maxPauseText = 1000
)

// Refund returns the tokens that Reserve took for the order, at most once. If the order reached the
// CA without producing a certificate, it returns only the tokens of the certificate limits, because
// the CA counted an order. Refund does nothing if the order was not counted or is already refunded.
// Its error reports that Redis is unavailable; callers may ignore it.
func (g *Governor) Refund(ctx context.Context, q controlplane.QuotaRequest, reachedCA bool) error {
	ca, ok := g.cas[q.CA]
	if !ok || q.OrderID == "" {
		return nil
	}
	q.Replaces = false // the order may no longer replace a certificate; Redis recorded what it took
	var back []bucket
	for _, b := range g.buckets(ca, q) {
		certificates := b.name == controlplane.LimitRegisteredDomain ||
			b.name == controlplane.LimitDuplicates
		if !b.check && b.name != controlplane.LimitPace && (certificates || !reachedCA) {
			back = append(back, b)
		}
	}
	_, err := g.eval(ctx, refundScript, ca.keys(q, back),
		append([]any{g.cfg.Now().UnixMicro(), len(back)}, bucketArgs(back)...)...)
	return err
}

// AuthorizationFailed counts a failed authorization for each of the request's names: those of the
// order that failed. Callers may ignore its error.
func (g *Governor) AuthorizationFailed(ctx context.Context, q controlplane.QuotaRequest) error {
	ca, ok := g.cas[q.CA]
	if !ok {
		return nil
	}
	failed := named(g.buckets(ca, q), controlplane.LimitFailedAuthorizations)
	if len(failed) == 0 {
		return nil
	}
	_, err := g.eval(ctx, spendScript, ca.keys(q, failed),
		append([]any{g.cfg.Now().UnixMicro(), len(failed)}, bucketArgs(failed)...)...)
	return err
}

// Count counts an order against the limits from which Reserve exempted it, because the CA has
// rejected the replacement that exempted it. Callers may ignore its error.
func (g *Governor) Count(ctx context.Context, q controlplane.QuotaRequest) error {
	ca, ok := g.cas[q.CA]
	if !ok || q.OrderID == "" {
		return nil
	}
	q.Replaces = false
	counted := slices.DeleteFunc(g.buckets(ca, q), func(b bucket) bool {
		return b.check || b.name == controlplane.LimitPace
	})
	_, err := g.eval(ctx, countScript, ca.keys(q, counted),
		append([]any{g.cfg.Now().UnixMicro(), len(counted)}, append(bucketArgs(counted),
			orderMemory.Milliseconds())...)...)
	return err
}

// Learn records that the CA rejected an order with VerdictRateLimited. If the CA names a known
// limit, that bucket stays empty until the time that the CA stated, at most for the limit's period.
// If the order has several buckets of the limit, those of the names or domains in the CA's text do.
// Otherwise only the order's names wait until then, at most a day: the limit may be theirs alone.
// The account waits too if the CA names its limit, or after the CA has rejected several unrelated
// names within a short time. It waits for a minute, doubled with each consecutive rejection. If the
// CA states no time, a minute applies. Callers may ignore its error.
func (g *Governor) Learn(
	ctx context.Context, q controlplane.QuotaRequest, v controlplane.Verdict,
) error {
	ca, ok := g.cas[q.CA]
	if !ok || v.Class != controlplane.VerdictRateLimited {
		return nil
	}
	now, until := g.cfg.Now(), v.RetryAt
	if !until.After(now) {
		until = now.Add(firstPause)
	}
	q.Replaces = false // the rejection shows that the CA counts this order
	limit := LimitOf(v.Problem)
	if empty := concerned(named(g.buckets(ca, q), limit), v); len(empty) > 0 {
		until = minTime(until, now.Add(empty[0].limit.Per))
		_, err := g.eval(ctx, emptyScript, ca.keys(q, empty),
			append([]any{now.UnixMicro(), len(empty), until.UnixMicro()}, bucketArgs(empty)...)...)
		return err
	}
	until = minTime(until, now.Add(longestPause))
	unrelated := unrelatedNames
	if limit == controlplane.LimitNewOrders {
		unrelated = 1 // the CA says that it is the account's limit
	}
	args := []any{now.UnixMicro(), until.UnixMicro(), firstPause.Microseconds(),
		lastPause.Microseconds(), pauseMemory.Microseconds(), unrelated,
		unrelatedFor.Microseconds(), clip(v.Message, maxPauseText)}
	for _, domain := range registeredDomains(q.Names) {
		args = append(args, digest(domain))
	}
	_, err := g.eval(ctx, pauseScript, ca.keys(q, nil), args...)
	return err
}

// LimitOf returns the limit that a CA's problem document names, or "" if it names no known limit.
// Let's Encrypt names the limit only in the detail text and in a documentation link.
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

// concerned returns those of several buckets of one limit whose subject the CA names: an order for
// several domains may exceed the limit of only one of them. It returns none if the CA names none.
func concerned(list []bucket, v controlplane.Verdict) []bucket {
	if len(list) < 2 {
		return list
	}
	return slices.DeleteFunc(list, func(b bucket) bool {
		return !mentions(string(v.Problem), b.subject) && !slices.ContainsFunc(v.Identifiers,
			func(name string) bool {
				return name == b.subject || controlplane.RegisteredDomain(name) == b.subject
			})
	})
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
