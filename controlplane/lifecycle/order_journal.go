package lifecycle

import (
	"context"
	"errors"

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
	if err := j.Visible(ctx, o.Target+"."+j.Zone, o.Values); err != nil {
		return &controlplane.Error{Kind: controlplane.KindUnavailable, Code: "zone-not-answering",
			Message: "A name server of the validation zone does not serve the challenge yet.",
			Fix:     "No action needed. The order is retried automatically. The operator can check the replicas of the zone.", Err: err}
	}
	return nil
}

// errDNSLost is the error of a run that does not finalize its order because the DNS no longer
// works.
var errDNSLost = errors.New("lifecycle: the DNS no longer works")

// Ready implements controlplane.Journal. It checks the DNS again if the order waited: a CA that
// reuses the authorization of an earlier order would issue without a check.
func (j *journal) Ready(ctx context.Context, _ *controlplane.Order) error {
	if !j.resumed && j.fresh() {
		return nil
	}
	seen, err := j.Examine(ctx, j.domain)
	if err == nil && !seen.OK() {
		j.lost, err = seen, errDNSLost
	}
	return err
}
