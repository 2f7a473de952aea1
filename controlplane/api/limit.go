package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
)

// countNetwork counts a request without a credential against its client network's limit.
func (a *API) countNetwork(ctx context.Context) error {
	if a.limiter == nil {
		return nil
	}
	return a.limiter.Check(ctx, a.limiter.Network, edge.Network(callOf(ctx).ip))
}

// countRefused counts a call that is refused without a look-up, for which err says why: it
// carries no credential, or something that cannot be one.
func (a *API) countRefused(r *http.Request, c *call, err error) error {
	if a.limiter == nil {
		return err
	}
	policy := a.limiter.Failures
	if controlplane.HasCode(err, codeTokenMissing) {
		policy = a.limiter.Network
	}
	if over := a.limiter.Check(r.Context(), policy, edge.Network(c.ip)); over != nil {
		return over
	}
	return err
}

// countSession counts a request against its session's limit, by the cookie's hash.
func (a *API) countSession(ctx context.Context, hash []byte) error {
	if a.limiter == nil {
		return nil
	}
	return a.limiter.Check(ctx, a.limiter.Session, string(hash))
}

// countCaller counts a call against the limits of its person and its organization, once. It
// is called before the credential is looked up, with what is known of it from the last time,
// and after, with what was found.
func (a *API) countCaller(w http.ResponseWriter, r *http.Request, c *call, by edge.Caller) error {
	if a.limiter == nil {
		return nil
	}
	if by.UserID != "" && by.UserID != c.counted.UserID {
		c.counted.UserID = by.UserID
		if err := a.limiter.Check(r.Context(), a.limiter.Person, by.UserID); err != nil {
			return err
		}
	}
	if by.OrgID == c.counted.OrgID && by.Tier == c.counted.Tier {
		return nil
	}
	c.counted.OrgID, c.counted.Tier = by.OrgID, by.Tier
	return a.countOrganization(w, r, by.OrgID, by.Tier)
}

// countOrganization counts a call against its organization's limit and says in the answer how
// many are left (draft-ietf-httpapi-ratelimit-headers-10).
func (a *API) countOrganization(w http.ResponseWriter, r *http.Request, org string, tier controlplane.Tier) error {
	policy := tier.CallPolicy()
	h, name := w.Header(), strconv.Quote(policy.Name)
	h.Set("RateLimit-Policy", name+";q="+strconv.Itoa(policy.Calls)+";w="+seconds(policy.Window))
	v := a.limiter.Take(r.Context(), policy, org)
	switch {
	case !v.Allowed:
		h.Set("RateLimit", name+";r=0;t="+seconds(v.Retry))
		return policy.Exceeded(a.now().Add(v.Retry))
	case v.Counted:
		h.Set("RateLimit", name+";r="+strconv.Itoa(v.Left)+";t="+seconds(v.Reset))
	}
	return nil
}

// seconds writes a duration in whole seconds, rounded up.
func seconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}
