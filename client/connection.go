package client

import "context"

// CreateDNSConnection tests credentials, and stores a DNS connection with them.
func (c *Client) CreateDNSConnection(
	ctx context.Context, in DNSConnectionCreate,
) (*DNSConnection, error) {
	return decode[DNSConnection](c.raw.CreateDNSConnection(ctx, nil, in))
}

// DNSConnection returns a DNS connection, without its credentials.
func (c *Client) DNSConnection(ctx context.Context, id string) (*DNSConnection, error) {
	return decode[DNSConnection](c.raw.GetDNSConnection(ctx, id))
}

// DNSConnections returns one page of DNS connections, newest first.
func (c *Client) DNSConnections(
	ctx context.Context, in ListDNSConnectionsParams,
) (*DNSConnectionList, error) {
	return decode[DNSConnectionList](c.raw.ListDNSConnections(ctx, &in))
}

// DNSConnectionZones returns the zones in which a connection can create records.
func (c *Client) DNSConnectionZones(ctx context.Context, id string) (*DNSZoneList, error) {
	return decode[DNSZoneList](c.raw.ListDNSConnectionZones(ctx, id, nil))
}

// UpdateDNSConnection changes the fields that are set in in. Credentials are tested first.
func (c *Client) UpdateDNSConnection(
	ctx context.Context, id string, in DNSConnectionUpdate,
) (*DNSConnection, error) {
	return decode[DNSConnection](c.raw.UpdateDNSConnection(ctx, id, nil, in))
}

// DeleteDNSConnection deletes a DNS connection with its credentials. It returns an *Error with the
// status 409, the code CodeConnectionBusy, and RetryAt while records are to be removed through it.
func (c *Client) DeleteDNSConnection(ctx context.Context, id string) error {
	return discard(c.raw.DeleteDNSConnection(ctx, id, nil))
}

// CodeConnectionBusy is the code of a DNS connection that cannot be used or deleted yet.
const CodeConnectionBusy = "connection-busy"
