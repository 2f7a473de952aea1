package api

import (
	"context"
	"net/http"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
)

// fromSession authenticates the user by the session cookie. Browsers can send the cookie with
// requests from any site, so the request must come from one of our pages.
func (a *API) fromSession(w http.ResponseWriter, r *http.Request, c *call, secret string) error {
	if err := a.sameOrigin(r); err != nil {
		return &controlplane.Error{Kind: controlplane.KindForbidden, Code: "cross-origin",
			Message: "The call comes from a page of another site, so the session cookie is not accepted."}
	}
	if !controlplane.IsRandomSecret(secret) {
		return a.countRefused(r, c, edge.SessionEnded())
	}
	session, err := a.sessions.Read(r.Context(), edge.SessionRequest{
		Secret: secret, IP: c.ip, RequestID: c.requestID, Now: a.now(),
		Count: func(by edge.Caller) error { return a.countCaller(w, r, c, by) },
	})
	if session != nil {
		c.identify(w.Header(), principalOfSession(session), session.Hash)
	}
	return err
}

// sessionPrincipal returns the current principal of the session whose secret has this hash.
func (a *API) sessionPrincipal(ctx context.Context, hash []byte) (principal, error) {
	s, err := a.sessions.ByHash(ctx, hash, a.now())
	if err != nil {
		return principal{}, err
	}
	return principalOfSession(s), nil
}

func principalOfSession(s *controlplane.Session) principal {
	return principal{orgID: s.OrgID, tier: s.Tier, grant: s.Role.Grant(), session: s,
		actor: controlplane.Actor{Type: controlplane.ActorUser, ID: s.User.ID}}
}
