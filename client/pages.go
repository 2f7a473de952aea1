package client

import (
	"context"
	"iter"

	"github.com/oapi-codegen/nullable"
)

// pageSize is the maximum page size of the API.
const pageSize = 200

// AllDomains returns all domains that match the filters, in the requested order, with as many calls
// as necessary. It ignores Limit and Cursor.
func (c *Client) AllDomains(ctx context.Context, in ListDomainsParams) ([]Domain, error) {
	in.Limit = nil
	var all []Domain
	for page, err := range c.DomainPages(ctx, in) {
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
	}
	return all, nil
}

// DomainPages yields the domains that match the filters, one page at a time. It requests a page
// only when the caller needs it, and stops after an error. A page has Limit domains, by default the
// maximum of the API. It ignores Cursor.
func (c *Client) DomainPages(ctx context.Context, in ListDomainsParams) iter.Seq2[[]Domain, error] {
	if in.Limit == nil {
		in.Limit = new(pageSize)
	}
	return pages(func(cursor *string) ([]Domain, bool, nullable.Nullable[string], error) {
		in.Cursor = cursor
		page, err := c.Domains(ctx, in)
		if err != nil {
			return nil, false, nil, err
		}
		return page.Data, page.HasMore, page.NextCursor, nil
	})
}

// TokenPages is like DomainPages, for tokens.
func (c *Client) TokenPages(ctx context.Context, in ListTokensParams) iter.Seq2[[]Token, error] {
	if in.Limit == nil {
		in.Limit = new(pageSize)
	}
	return pages(func(cursor *string) ([]Token, bool, nullable.Nullable[string], error) {
		in.Cursor = cursor
		page, err := c.Tokens(ctx, in)
		if err != nil {
			return nil, false, nil, err
		}
		return page.Data, page.HasMore, page.NextCursor, nil
	})
}

// WebhookPages is like DomainPages, for webhooks.
func (c *Client) WebhookPages(
	ctx context.Context, in ListWebhooksParams,
) iter.Seq2[[]Webhook, error] {
	if in.Limit == nil {
		in.Limit = new(pageSize)
	}
	return pages(func(cursor *string) ([]Webhook, bool, nullable.Nullable[string], error) {
		in.Cursor = cursor
		page, err := c.Webhooks(ctx, in)
		if err != nil {
			return nil, false, nil, err
		}
		return page.Data, page.HasMore, page.NextCursor, nil
	})
}

// MemberPages is like DomainPages, for members, oldest first.
func (c *Client) MemberPages(ctx context.Context, in ListMembersParams) iter.Seq2[[]Member, error] {
	if in.Limit == nil {
		in.Limit = new(pageSize)
	}
	return pages(func(cursor *string) ([]Member, bool, nullable.Nullable[string], error) {
		in.Cursor = cursor
		page, err := c.Members(ctx, in)
		if err != nil {
			return nil, false, nil, err
		}
		return page.Data, page.HasMore, page.NextCursor, nil
	})
}

func pages[T any](
	get func(cursor *string) (data []T, more bool, next nullable.Nullable[string], err error),
) iter.Seq2[[]T, error] {
	return func(yield func([]T, error) bool) {
		var cursor *string
		for {
			data, more, next, err := get(cursor)
			if !yield(data, err) || err != nil || !more {
				return
			}
			at, err := next.Get()
			if err != nil {
				return
			}
			cursor = &at
		}
	}
}
