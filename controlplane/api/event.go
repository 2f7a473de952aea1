package api

import (
	"context"
	"strconv"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// ListEvents implements GET /api/events, the list and the stream.
func (a *API) ListEvents(
	ctx context.Context, r ListEventsRequestObject,
) (ListEventsResponseObject, error) {
	p, q := principalOf(ctx), r.Params
	if err := knownType("type", deref(q.Type), "an event type",
		controlplane.EventTypes()); err != nil {
		return nil, err
	}
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
	filters := []any{filter.Type, filter.DomainID}
	if lastID := deref(q.LastEventID); lastID != "" {
		var expired bool
		var err error
		if filter.After, expired, err = a.eventPosition(ctx, lastID); err != nil {
			return nil, err
		}
		if expired {
			return nil, errEventExpired
		}
		filters = append(filters, filter.After)
	}
	l := listing{Operation: "listEvents", Org: p.org(), Filters: filters}
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
