package lifecycle

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// journal records an order's steps while the run holds its claim, and publishes its challenges.
type journal struct{ *work }

// Save implements controlplane.Journal.
func (j *journal) Save(ctx context.Context, o *controlplane.Order) error {
	return j.Store.SaveOrder(ctx, j.claim, o, j.now())
}

// Publish implements controlplane.Journal. It records the order with its challenge values. The
// commit notifies every replica of the name server. Then Publish queries each replica until all
// serve them.
func (j *journal) Publish(ctx context.Context, o *controlplane.Order) error {
	now := j.now()
	if err := j.Store.PublishChallenges(ctx, j.claim, o, now.Add(j.ChallengeTTL), now); err != nil {
		return err
	}
	if err := j.awaitValues(ctx, o.Values); err != nil {
		return &controlplane.Error{Kind: controlplane.KindUnavailable, Code: "zone-not-answering",
			Message: "A name server of the validation zone does not serve the challenge yet.",
			Fix:     "No action needed. The order is retried automatically. The operator can check the replicas of the zone.", Err: err}
	}
	return j.zoneProblem(ctx)
}

// concurrentWaits bounds the targets of one order that are queried at the same time.
const concurrentWaits = 16

// awaitValues returns when every name server serves each value at its target.
func (j *journal) awaitValues(ctx context.Context, values []controlplane.TXT) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(concurrentWaits)
	for target, served := range controlplane.ByTarget(values) {
		g.Go(func() error { return j.Visible(ctx, target+"."+j.Zone, served) })
	}
	return g.Wait()
}

// errDNSLost is the error of a run that does not finalize its order because the DNS no longer
// works.
var errDNSLost = errors.New("lifecycle: the DNS no longer works")

// Ready implements controlplane.Journal. It checks the DNS again if the order waited: a CA that
// reuses the authorization of an earlier order would issue without a check.
func (j *journal) Ready(ctx context.Context, o *controlplane.Order) error {
	if !j.resumed && j.fresh() {
		return nil
	}
	seen, err := j.Examine(ctx, j.domain)
	if err == nil && !forOrder(seen, o).OK() {
		j.lost, err = seen, errDNSLost
	}
	return err
}
