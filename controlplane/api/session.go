package api

import (
	"context"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// ListSessions implements GET /api/sessions.
func (a *API) ListSessions(
	ctx context.Context, r ListSessionsRequestObject,
) (ListSessionsResponseObject, error) {
	p := principalOf(ctx)
	l := listing{Operation: "listSessions", Org: p.org(), Filters: []any{p.session.User.ID}}
	after, err := a.position(l, r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	sessions, next, err := a.store.ListSessions(ctx, p.session.User.ID, a.now(), after,
		limitOf(r.Params.Limit))
	if err != nil {
		return nil, err
	}
	data := make([]Session, len(sessions))
	for i := range sessions {
		data[i] = sessionBody(&sessions[i], p.session.ID)
	}
	return ListSessions200JSONResponse{Data: data, HasMore: next != nil,
		NextCursor: a.next(l, next)}, nil
}

// EndSession implements DELETE /api/sessions/{session}.
func (a *API) EndSession(
	ctx context.Context, r EndSessionRequestObject,
) (EndSessionResponseObject, error) {
	p := principalOf(ctx)
	if !controlplane.IsID(controlplane.PrefixSession, r.Session) {
		return nil, controlplane.NoSession(r.Session)
	}
	if err := a.lifecycle.EndSession(ctx, p.actor, p.session.User.ID, r.Session); err != nil {
		return nil, err
	}
	return EndSession204Response{}, nil
}

// EndAllSessions implements POST /api/sessions/end-all.
func (a *API) EndAllSessions(
	ctx context.Context, r EndAllSessionsRequestObject,
) (EndAllSessionsResponseObject, error) {
	p, keep := principalOf(ctx), ""
	if deref(r.Body.KeepCurrent) {
		keep = p.session.ID
	}
	n, err := a.lifecycle.EndSessions(ctx, p.actor, p.session.User.ID, keep)
	if err != nil {
		return nil, err
	}
	return EndAllSessions200JSONResponse{Ended: n}, nil
}

// sessionBody converts a session to its API representation.
func sessionBody(s *controlplane.Session, current string) Session {
	return Session{Id: s.ID, Current: s.ID == current, OrganizationId: s.OrgID,
		OrganizationName: s.OrgName, Ip: s.IP, UserAgent: s.UserAgent,
		CreatedAt: s.CreatedAt.UTC(), LastSeenAt: s.LastSeenAt.UTC(), ExpiresAt: s.ExpiresAt.UTC()}
}
