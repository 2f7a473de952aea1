package api

import (
	"net/http"
	"strconv"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
)

// countRefused counts a call that is rejected without a lookup because of err: it has no
// credential, or a malformed one.
func (a *API) countRefused(r *http.Request, c *call, err error) error {
	count := a.limiter.CountFailure
	if controlplane.HasCode(err, codeTokenMissing) {
		count = a.limiter.CountNetwork
	}
	if over := count(r.Context(), c.ip); over != nil {
		return over
	}
	return err
}

// countCaller counts a call against its organization's limit, once. It is called before the
// credential is looked up, if its caller is known from an earlier call, and after the lookup.
func (a *API) countCaller(w http.ResponseWriter, r *http.Request, c *call, by edge.Caller) error {
	if a.limiter == nil || by.OrgID == c.counted.OrgID && by.Tier == c.counted.Tier {
		return nil
	}
	c.counted = by
	return a.countOrganization(w, r, by.OrgID, by.Tier)
}

// countOrganization counts a call against its organization's limit and sets the headers with the
// remaining calls (draft-ietf-httpapi-ratelimit-headers-10).
func (a *API) countOrganization(
	w http.ResponseWriter, r *http.Request, org string, tier controlplane.Tier,
) error {
	policy := tier.CallPolicy()
	h, name := w.Header(), strconv.Quote(policy.Name)
	h.Set("RateLimit-Policy", name+";q="+strconv.Itoa(policy.Calls)+";w="+
		edge.Seconds(policy.Window))
	v := a.limiter.Take(r.Context(), policy, org)
	switch {
	case !v.Allowed:
		h.Set("RateLimit", name+";r=0;t="+edge.Seconds(v.Retry))
		return policy.Exceeded(a.now().Add(v.Retry))
	case v.Counted:
		h.Set("RateLimit", name+";r="+strconv.Itoa(v.Left)+";t="+edge.Seconds(v.Reset))
	}
	return nil
}
