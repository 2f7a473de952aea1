package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// fromSession finds who is signed in on the dashboard, where the request carries its cookie. A
// browser sends that along whoever makes it: what changes something must come from a page of
// ours.
func (a *API) fromSession(w http.ResponseWriter, r *http.Request, c *call, secret string) error {
	if err := a.origins.Check(r); err != nil {
		return &controlplane.Error{Kind: controlplane.KindForbidden, Code: "cross-origin",
			Message: "The call comes from a page of another site, so who is signed in here is not taken to have made it."}
	}
	if !controlplane.IsRandomSecret(secret) {
		return a.countRefused(r, c, errSessionEnded())
	}
	if err := a.recognize(w, r, c, controlplane.HashSecret(secret), a.countSession, a.sessionPrincipal); err != nil {
		return err
	}
	ctx, s, now := r.Context(), c.principal.session, a.now()
	if err := a.store.TouchSession(ctx, s, now); err != nil && !errors.Is(ctx.Err(), context.Canceled) { // the call does not fail for it
		a.log.LogAttrs(ctx, slog.LevelWarn, "use of a session was not recorded",
			slog.String("request_id", c.requestID), slog.String("session_id", s.ID), slog.Any("error", err))
	}
	return nil
}

// sessionPrincipal returns what the cookie whose value has this hash admits to now.
func (a *API) sessionPrincipal(ctx context.Context, hash []byte) (principal, error) {
	s, err := a.store.Session(ctx, hash, a.now())
	if controlplane.IsKind(err, controlplane.KindNotFound) {
		return principal{}, errSessionEnded()
	}
	if err != nil {
		return principal{}, err
	}
	return principal{orgID: s.OrgID, tier: s.Tier, grant: s.Role.Grant(), session: s,
		actor: controlplane.Actor{Type: controlplane.ActorUser, ID: s.User.ID}}, nil
}

func errSessionEnded() error {
	return unauthorized("session-ended", "Nobody is signed in: the session has ended, or the membership that it belonged to.")
}

// readPublicURL finds out how browsers are told our pages from others'.
func (a *API) readPublicURL(publicURL string) error {
	a.origins = http.NewCrossOriginProtection()
	a.cookie = controlplane.SessionCookie(strings.HasPrefix(publicURL, "https:"))
	if publicURL == "" {
		return nil
	}
	u, err := url.Parse(publicURL)
	if err != nil || u.Host == "" {
		return errors.New("api: PublicURL is no URL")
	}
	if err := a.origins.AddTrustedOrigin(u.Scheme + "://" + u.Host); err != nil {
		return fmt.Errorf("api: PublicURL: %w", err)
	}
	return nil
}
