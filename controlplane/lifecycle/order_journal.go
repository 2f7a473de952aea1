package lifecycle

import (
	"context"
	"errors"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// journal records an order's steps while the claim holds, and publishes its challenges.
type journal struct{ *work }

// Save implements controlplane.Journal.
func (j *journal) Save(ctx context.Context, o *controlplane.Order) error {
	return j.Store.SaveOrder(ctx, j.claim, o, j.now())
}

// Publish implements controlplane.Journal: the order is recorded with its values, which are
// told to every replica of the name server when they are committed, and then each is asked,
// over the wire.
func (j *journal) Publish(ctx context.Context, o *controlplane.Order) error {
	now := j.now()
	if err := j.Store.PublishChallenges(ctx, j.claim, o, now.Add(j.ChallengeTTL), now); err != nil {
		return err
	}
	if err := j.Visible(ctx, o.Target+"."+j.Zone, o.Values); err != nil {
		return &controlplane.Error{Kind: controlplane.KindUnavailable, Code: "zone-not-answering",
			Message: "A name server of the validation zone does not answer the challenge yet.",
			Fix:     "Nothing for now: it is tried again. The operator can look at the replicas of the zone.", Err: err}
	}
	return nil
}

// errLost is the error of a run whose order is not finished, since what a CA looks at in DNS is
// not right any more.
var errLost = errors.New("lifecycle: the DNS is not right any more")

// Ready implements controlplane.Journal: where the order has waited, the DNS is looked at again. A
// CA that still holds the proof of another order would issue without it.
func (j *journal) Ready(ctx context.Context, _ *controlplane.Order) error {
	if !j.resumed && j.fresh() {
		return nil
	}
	seen, err := j.Examine(ctx, j.domain)
	if err == nil && !seen.OK() {
		j.lost, err = seen, errLost
	}
	return err
}
