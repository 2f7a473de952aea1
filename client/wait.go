package client

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

const (
	// hold is how long the server is requested to hold a response. Proxies commonly allow 30 s.
	hold = Wait("25s")
	// leastPoll is the minimum interval between polls of a server that does not hold them.
	leastPoll = time.Second
)

// WaitDomain polls a domain until the function until returns true, which it calls immediately and
// after each change. It returns the last known state, even with an error; nil if it never got
// one. It returns the context's error when that is done.
func (c *Client) WaitDomain(
	ctx context.Context, id string, until func(*Domain) bool,
) (*Domain, error) {
	return watch(ctx, until, func(wait *Wait, known *IfNoneMatch) (*http.Response, error) {
		return c.raw.GetDomain(ctx, id, &GetDomainParams{Wait: wait, IfNoneMatch: known})
	})
}

// WaitJob is like WaitDomain, for a job.
func (c *Client) WaitJob(ctx context.Context, id string, until func(*Job) bool) (*Job, error) {
	return watch(ctx, until, func(wait *Wait, known *IfNoneMatch) (*http.Response, error) {
		return c.raw.GetJob(ctx, id, &GetJobParams{Wait: wait, IfNoneMatch: known})
	})
}

func watch[T any](
	ctx context.Context, until func(*T) bool, get func(*Wait, *IfNoneMatch) (*http.Response, error),
) (*T, error) {
	var last *T
	var etag string
	for {
		start := time.Now()
		v, tag, err := since[T](etag, get)
		switch {
		case ctx.Err() != nil:
			return last, ctx.Err()
		case err != nil:
			return last, err
		}
		if v != nil {
			last, etag = v, tag
			if until(v) {
				return v, nil
			}
		}
		if v == nil || tag == "" {
			if err := sleep(ctx, leastPoll-time.Since(start)); err != nil {
				return last, err
			}
		}
	}
}

// since returns the object and its ETag, or nil if the object still matches etag after the server
// held the request.
func since[T any](
	etag string, get func(*Wait, *IfNoneMatch) (*http.Response, error),
) (*T, string, error) {
	var wait *Wait
	var known *IfNoneMatch
	if etag != "" {
		wait, known = new(hold), &etag
	}
	resp, err := get(wait, known)
	body, resp, err := read(resp, err, http.StatusNotModified)
	if err != nil || resp.StatusCode == http.StatusNotModified {
		return nil, etag, err
	}
	v := new(T)
	if err := json.Unmarshal(body, v); err != nil {
		return nil, etag, err
	}
	return v, resp.Header.Get("ETag"), nil
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
