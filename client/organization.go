package client

import "context"

// Organization returns the token's organization, its plan, and its usage.
func (c *Client) Organization(ctx context.Context) (*Organization, error) {
	return decode[Organization](c.raw.GetOrganization(ctx))
}
