package lifecycle

import (
	"context"

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
