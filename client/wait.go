package client

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

const (
	// hold is how long the server is asked to hold an answer. Proxies commonly allow 30 s.
	hold = "25s"
	// leastPoll is the shortest time between two polls of a server that does not hold them.
	leastPoll = time.Second
)

// WaitDomain watches a domain until `until` is true of it, which is asked at once and after each change. It returns the
// domain as last seen, also with an error, as far as it was seen: the context's where that ended first.
func (c *Client) WaitDomain(ctx context.Context, id string, until func(*Domain) bool) (*Domain, error) {
	var last *Domain
	var etag string
	for {
		start := time.Now()
		d, tag, err := c.domainSince(ctx, id, etag)
		switch {
		case ctx.Err() != nil:
			return last, ctx.Err()
		case err != nil:
			return last, err
		}
		if d != nil {
			last, etag = d, tag
			if until(d) {
				return d, nil
			}
		}
		if d == nil || tag == "" {
			if err := sleep(ctx, leastPoll-time.Since(start)); err != nil {
				return last, err
			}
		}
	}
}

// domainSince returns the domain and its ETag; nil if it is still what the ETag names after the server held the question.
func (c *Client) domainSince(ctx context.Context, id, etag string) (*Domain, string, error) {
	var in GetDomainParams
	if etag != "" {
		in = GetDomainParams{Wait: new(hold), IfNoneMatch: &etag}
	}
	resp, err := c.raw.GetDomain(ctx, id, &in)
	body, resp, err := read(resp, err, http.StatusNotModified)
	if err != nil || resp.StatusCode == http.StatusNotModified {
		return nil, etag, err
	}
	d := new(Domain)
	if err := json.Unmarshal(body, d); err != nil {
		return nil, etag, err
	}
	return d, resp.Header.Get("ETag"), nil
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
