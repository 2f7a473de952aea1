package client

import (
	"context"
	"iter"

	"github.com/oapi-codegen/nullable"
)

// pageSize is the most that the API gives at once.
const pageSize = 200

// AllDomains returns every domain that the filters let pass, in the order that is asked for, in as many calls as that
// takes. Limit and Cursor of in are not used.
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

// DomainPages yields the domains that the filters let pass, a page at a time, and makes a call only when the next page is
// asked for. An error is the last that it yields. A page has Limit domains, or as many as the API gives at once where that
// is not set; Cursor is not used.
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

// TokenPages is DomainPages of tokens.
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

// WebhookPages is DomainPages of webhooks.
func (c *Client) WebhookPages(ctx context.Context, in ListWebhooksParams) iter.Seq2[[]Webhook, error] {
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

// MemberPages is DomainPages of members, oldest first.
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

func pages[T any](get func(cursor *string) (data []T, more bool, next nullable.Nullable[string], err error)) iter.Seq2[[]T, error] {
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
