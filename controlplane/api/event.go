package api

import (
	"context"
	"strconv"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// ListEvents implements GET /api/events, the list and the stream.
func (a *API) ListEvents(
	ctx context.Context, r ListEventsRequestObject,
) (ListEventsResponseObject, error) {
	p, q := principalOf(ctx), r.Params
	filter := postgres.EventFilter{Type: deref(q.Type), DomainIDs: p.onlyDomains()}
	if ref := deref(q.Domain); ref != "" {
		var err error
		if filter.DomainID, err = a.loggedDomain(ctx, ref); err != nil {
			return nil, err
		}
	}
	if callOf(ctx).wantsStream {
		return a.streamEvents(ctx, filter, deref(q.LastEventID))
	}
	filter.Newest, filter.Limit = true, limitOf(q.Limit)+1
	l := listing{Operation: "listEvents", Org: p.org(),
		Filters: []any{filter.Type, filter.DomainID}}
	after, err := a.position(l, q.Cursor)
	if err != nil {
		return nil, err
	}
	if after != nil {
		filter.UpTo, err = strconv.ParseInt(after.Key, 10, 64)
		filter.UpTo-- // Key is the last listed entry
	} else {
		// Not beyond the horizon, so that a stream can resume after the first listed event.
		filter.UpTo, _, err = a.store.LogHorizon(ctx)
	}
	if err != nil {
		return nil, err
	}
	entries, err := a.store.Events(ctx, p.org(), filter)
	if err != nil {
		return nil, err
	}
	var next *postgres.Cursor
	if len(entries) == filter.Limit {
		entries = entries[:filter.Limit-1]
		next = &postgres.Cursor{Key: strconv.FormatInt(entries[len(entries)-1].Seq, 10)}
	}
	return ListEvents200JSONResponse{Data: eventBodies(entries), HasMore: next != nil,
		NextCursor: a.next(l, next)}, nil
}
