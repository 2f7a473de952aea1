package api

import (
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
)

// holdPlace reserves a place among the responses that are held open if the request is for one of
// them, and returns the function that releases it.
func (a *API) holdPlace(c *call, wait time.Duration) (done func(), err error) {
	if !(c.op.streams && c.wantsStream || c.op.waits && wait > 0) {
		return func() {}, nil
	}
	p := c.principal
	h := edge.Holder{OrgID: p.orgID, Tier: p.tier}
	if p.session != nil {
		h.Credential = p.session.ID
	} else {
		h.Credential = p.token.ID
	}
	return a.config.Streams.Open(h, a.now())
}
