package api

import (
	"context"
	"time"

	"github.com/oapi-codegen/nullable"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// ListAuditLogs implements GET /api/audit-logs.
func (a *API) ListAuditLogs(
	ctx context.Context, r ListAuditLogsRequestObject,
) (ListAuditLogsResponseObject, error) {
	p, q := principalOf(ctx), r.Params
	filter, err := a.logFilter(ctx, logQuery{q.Actor, q.Action, q.Entity, q.Since, q.Until})
	if err != nil {
		return nil, err
	}
	filter.Limit = limitOf(q.Limit)
	l := listing{Operation: "listAuditLogs", Org: p.org(),
		Filters: []any{filter.ActorID, filter.Action, filter.EntityID, filter.DomainID,
			filter.Since, filter.Until}}
	if filter.After, err = a.position(l, q.Cursor); err != nil {
		return nil, err
	}
	entries, next, err := a.store.ListLog(ctx, p.org(), filter)
	if err != nil {
		return nil, err
	}
	data := make([]AuditEntry, len(entries))
	for i := range entries {
		data[i] = auditEntryBody(&entries[i])
	}
	return ListAuditLogs200JSONResponse{Data: data, HasMore: next != nil,
		NextCursor: a.next(l, next)}, nil
}

// ListTimeline implements GET /api/domains/{domain}/timeline.
func (a *API) ListTimeline(
	ctx context.Context, r ListTimelineRequestObject,
) (ListTimelineResponseObject, error) {
	d, err := a.domain(ctx, r.Domain)
	if err != nil {
		return nil, err
	}
	l := listing{Operation: "listTimeline", Org: d.OrgID, Filters: d.ID}
	filter := postgres.LogFilter{DomainID: d.ID, Limit: limitOf(r.Params.Limit)}
	if filter.After, err = a.position(l, r.Params.Cursor); err != nil {
		return nil, err
	}
	entries, next, err := a.store.ListLog(ctx, d.OrgID, filter)
	if err != nil {
		return nil, err
	}
	return ListTimeline200JSONResponse{Data: eventBodies(entries), HasMore: next != nil,
		NextCursor: a.next(l, next)}, nil
}

// logQuery has the filters of the audit log.
type logQuery struct {
	actor, action, entity *string
	since, until          *time.Time
}

// logFilter converts the filters for the store. An entity that is not the ID of another type of
// object names a domain.
func (a *API) logFilter(ctx context.Context, q logQuery) (postgres.LogFilter, error) {
	if err := knownType("action", deref(q.action), "an action",
		controlplane.ActionNames()); err != nil {
		return postgres.LogFilter{}, err
	}
	f := postgres.LogFilter{ActorID: deref(q.actor), Action: deref(q.action), Since: q.since,
		Until: q.until, DomainIDs: principalOf(ctx).onlyDomains()}
	var err error
	switch entity := deref(q.entity); {
	case entity == "":
	case isOtherID(entity):
		f.EntityID, err = entity, a.checkLogged(ctx, entity)
	default:
		f.DomainID, err = a.loggedDomain(ctx, entity)
	}
	return f, err
}

// loggedDomain returns the ID of the domain that a filter of the log names. It also finds a deleted
// domain by its ID.
func (a *API) loggedDomain(ctx context.Context, ref string) (string, error) {
	if principalOf(ctx).grant.AllowsDomain(ref) &&
		controlplane.IsID(controlplane.PrefixDomain, ref) {
		return ref, nil
	}
	d, err := a.domain(ctx, ref)
	switch {
	case err == nil:
		return d.ID, nil
	case controlplane.IsID(controlplane.PrefixDomain, ref) &&
		controlplane.IsKind(err, controlplane.KindNotFound):
		return ref, nil
	}
	return "", err
}

// checkLogged returns an error if the log is filtered by an object outside the domains of a
// restricted token. An object that does not exist, or no longer exists, is not an error.
func (a *API) checkLogged(ctx context.Context, id string) error {
	p := principalOf(ctx)
	if !p.restricted() {
		return nil
	}
	var err error
	switch {
	case controlplane.IsID(controlplane.PrefixDelegation, id):
		_, err = a.delegation(ctx, id)
	case controlplane.IsID(controlplane.PrefixJob, id):
		_, err = a.job(ctx, id)
	case controlplane.IsID(controlplane.PrefixCertificate, id):
		_, err = a.certificate(ctx, id)
	case controlplane.IsID(controlplane.PrefixToken, id):
		_, err = a.token(ctx, id)
	case controlplane.IsID(controlplane.PrefixWebhook, id):
		_, err = a.unrestricted(ctx)
	}
	if controlplane.IsKind(err, controlplane.KindNotFound) {
		return nil
	}
	return err
}

func isOtherID(s string) bool {
	for _, prefix := range []string{controlplane.PrefixJob, controlplane.PrefixCertificate,
		controlplane.PrefixDelegation, controlplane.PrefixToken, controlplane.PrefixOrganization,
		controlplane.PrefixUser, controlplane.PrefixConnection, controlplane.PrefixWebhook} {
		if controlplane.IsID(prefix, s) {
			return true
		}
	}
	return false
}

// auditEntryBody converts an audit entry to its API representation.
func auditEntryBody(e *controlplane.AuditEntry) AuditEntry {
	actor := actorBody(e.Actor)
	actor.Ip = optional(e.Actor.IP)
	return AuditEntry{
		Id: e.ID, CreatedAt: e.CreatedAt.UTC(), Actor: actor, Action: e.Action,
		EntityType: e.EntityType, EntityId: e.EntityID,
		Before: objectOrNull(e.Before), After: objectOrNull(e.After),
		Details: objectOrNull(e.Details), RequestId: e.Actor.RequestID,
	}
}

func actorBody(a controlplane.Actor) Actor { return Actor{Type: ActorType(a.Type), Id: a.ID} }

func objectOrNull(m map[string]any) nullable.Nullable[map[string]any] {
	if m == nil {
		return nullable.NewNullNullable[map[string]any]()
	}
	return nullable.NewNullableWithValue(m)
}

// eventBody converts an audit entry to an event.
func eventBody(e *controlplane.AuditEntry) Event {
	return Event{Id: e.ID, Type: e.Action, Timestamp: e.CreatedAt.UTC(), OrganizationId: e.OrgID,
		Actor: actorBody(e.Actor), Data: e.EventData()}
}

func eventBodies(entries []controlplane.AuditEntry) []Event {
	data := make([]Event, len(entries))
	for i := range entries {
		data[i] = eventBody(&entries[i])
	}
	return data
}
