package api

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/oapi-codegen/nullable"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// ListDNSConnections implements GET /api/dns-connections.
func (a *API) ListDNSConnections(
	ctx context.Context, r ListDNSConnectionsRequestObject,
) (ListDNSConnectionsResponseObject, error) {
	p, err := a.withConnections(ctx)
	if err != nil {
		return nil, err
	}
	l := listing{Operation: "listDNSConnections", Org: p.org()}
	after, err := a.position(l, r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	connections, next, err := a.store.ListConnections(ctx, p.org(), after, limitOf(r.Params.Limit))
	if err != nil {
		return nil, err
	}
	data := make([]DNSConnection, len(connections))
	for i := range connections {
		data[i] = connectionBody(&connections[i])
	}
	return ListDNSConnections200JSONResponse{Data: data, HasMore: next != nil,
		NextCursor: a.next(l, next)}, nil
}

// CreateDNSConnection implements POST /api/dns-connections.
func (a *API) CreateDNSConnection(
	ctx context.Context, r CreateDNSConnectionRequestObject,
) (CreateDNSConnectionResponseObject, error) {
	p, err := a.withConnections(ctx)
	if err != nil {
		return nil, err
	}
	if err := a.replacedConnection(ctx, r.Params.Replacing); err != nil {
		return nil, err
	}
	credentials, err := json.Marshal(r.Body.Credentials)
	if err != nil {
		return nil, err
	}
	c, err := a.lifecycle.CreateConnection(ctx, p.actor, p.org(), lifecycle.NewConnection{
		Type: controlplane.ConnectionType(r.Body.Type), Name: r.Body.Name,
		Credentials: credentials, Replacing: deref(r.Params.Replacing)})
	if err != nil {
		return nil, err
	}
	return CreateDNSConnection201JSONResponse{Body: connectionBody(c),
		Headers: CreateDNSConnection201ResponseHeaders{
			Location: "/api/dns-connections/" + c.ID}}, nil
}

// GetDNSConnection implements GET /api/dns-connections/{connection}.
func (a *API) GetDNSConnection(
	ctx context.Context, r GetDNSConnectionRequestObject,
) (GetDNSConnectionResponseObject, error) {
	p, err := a.forConnection(ctx, r.Connection)
	if err != nil {
		return nil, err
	}
	c, err := a.store.Connection(ctx, p.org(), r.Connection)
	if err != nil {
		return nil, err
	}
	return GetDNSConnection200JSONResponse(connectionBody(c)), nil
}

// UpdateDNSConnection implements PATCH /api/dns-connections/{connection}.
func (a *API) UpdateDNSConnection(
	ctx context.Context, r UpdateDNSConnectionRequestObject,
) (UpdateDNSConnectionResponseObject, error) {
	p, err := a.forConnection(ctx, r.Connection)
	if err != nil {
		return nil, err
	}
	patch := lifecycle.ConnectionPatch{Name: r.Body.Name}
	if r.Body.Credentials != nil {
		if patch.Credentials, err = json.Marshal(r.Body.Credentials); err != nil {
			return nil, err
		}
	}
	c, err := a.lifecycle.UpdateConnection(ctx, p.actor, p.org(), r.Connection, patch)
	if err != nil {
		return nil, err
	}
	return UpdateDNSConnection200JSONResponse(connectionBody(c)), nil
}

// DeleteDNSConnection implements DELETE /api/dns-connections/{connection}.
func (a *API) DeleteDNSConnection(
	ctx context.Context, r DeleteDNSConnectionRequestObject,
) (DeleteDNSConnectionResponseObject, error) {
	p, err := a.forConnection(ctx, r.Connection)
	if err != nil {
		return nil, err
	}
	if err := a.lifecycle.DeleteConnection(ctx, p.actor, p.org(), r.Connection,
		r.Params.Records != nil); err != nil {
		return nil, err
	}
	return DeleteDNSConnection204Response{}, nil
}

// TestDNSConnection implements POST /api/dns-connections/{connection}/test.
func (a *API) TestDNSConnection(
	ctx context.Context, r TestDNSConnectionRequestObject,
) (TestDNSConnectionResponseObject, error) {
	p, err := a.forConnection(ctx, r.Connection)
	if err != nil {
		return nil, err
	}
	c, err := a.lifecycle.TestConnection(ctx, p.actor, p.org(), r.Connection)
	if err != nil {
		return nil, err
	}
	return TestDNSConnection200JSONResponse(connectionBody(c)), nil
}

// ListDNSConnectionZones implements GET /api/dns-connections/{connection}/zones.
func (a *API) ListDNSConnectionZones(
	ctx context.Context, r ListDNSConnectionZonesRequestObject,
) (ListDNSConnectionZonesResponseObject, error) {
	p, err := a.forConnection(ctx, r.Connection)
	if err != nil {
		return nil, err
	}
	zones, err := a.lifecycle.ConnectionZones(ctx, p.org(), r.Connection)
	if err != nil {
		return nil, err
	}
	part := strings.ToLower(deref(r.Params.Q))
	data := []DNSZone{}
	for _, zone := range zones {
		if strings.Contains(zone, part) {
			data = append(data, DNSZone{Name: zone})
		}
	}
	return ListDNSConnectionZones200JSONResponse{Data: data}, nil
}

// withConnections returns the caller, and an error if it is restricted to some domains: the zones
// of a connection can contain other domains.
func (a *API) withConnections(ctx context.Context) (principal, error) {
	p := principalOf(ctx)
	if p.restricted() {
		return p, errRestricted("use DNS connections, whose zones can contain other domains")
	}
	return p, nil
}

// forConnection is withConnections for a call about one connection.
func (a *API) forConnection(ctx context.Context, id string) (principal, error) {
	p, err := a.withConnections(ctx)
	if err == nil && !controlplane.IsID(controlplane.PrefixConnection, id) {
		err = controlplane.NotFound("DNS connection", id)
	}
	return p, err
}

// connectionBody converts a connection to its API representation.
func connectionBody(c *controlplane.Connection) DNSConnection {
	body := DNSConnection{Id: c.ID, Type: DNSConnectionType(c.Type), Name: c.Name,
		Status: DNSConnectionStatus(c.Status), StatusDetail: nullable.NewNullNullable[string](),
		LastTestedAt: timeOrNull(c.LastTestedAt), LastUsedAt: timeOrNull(c.LastUsedAt),
		CreatedBy: c.CreatedBy, CreatedAt: c.CreatedAt.UTC(), UpdatedAt: c.UpdatedAt.UTC()}
	if c.StatusDetail != "" {
		body.StatusDetail.Set(c.StatusDetail)
	}
	return body
}
