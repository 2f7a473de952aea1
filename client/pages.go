package client

import "context"

// pageSize is the most that the API gives at once.
const pageSize = 200

// AllDomains returns every domain that the filters let pass, in the order that is asked for, in as many calls as that
// takes. Limit and Cursor of in are not used.
func (c *Client) AllDomains(ctx context.Context, in ListDomainsParams) ([]Domain, error) {
	in.Limit, in.Cursor = new(pageSize), nil
	var all []Domain
	for {
		page, err := c.Domains(ctx, in)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Data...)
		next, err := page.NextCursor.Get()
		if !page.HasMore || err != nil {
			return all, nil
		}
		in.Cursor = &next
	}
}
