package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// httpConn is a keep-alive connection that writes raw requests and reads the responses. It needs
// less CPU than net/http's client, which leaves more for the servers.
type httpConn struct {
	conn net.Conn
	in   *bufio.Reader
}

func dialHTTP(ctx context.Context, addr string) (*httpConn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &httpConn{conn, bufio.NewReader(conn)}, nil
}

func (c *httpConn) close() { _ = c.conn.Close() }

// call sends a request and reads its response. It returns the body if keep is set.
func (c *httpConn) call(request []byte, keep bool) (status int, body []byte, err error) {
	_ = c.conn.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := c.conn.Write(request); err != nil {
		return 0, nil, err
	}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return 0, nil, err
	}
	if keep {
		body, err = io.ReadAll(resp.Body)
	} else {
		_, err = io.Copy(io.Discard, resp.Body)
	}
	return resp.StatusCode, body, err
}

// httpResult is the result of a load.
type httpResult struct {
	elapsed time.Duration
	took    []time.Duration // of each request
}

// httpLoad sends requests over several connections for a duration, one at a time on each
// connection. A response with another status is an error.
func httpLoad(
	ctx context.Context, addr string, conns int, length time.Duration, status int,
	request func() []byte,
) (httpResult, error) {
	open := make([]*httpConn, conns)
	for i := range open {
		var err error
		if open[i], err = dialHTTP(ctx, addr); err != nil {
			return httpResult{}, err
		}
		defer open[i].close()
	}
	took, errs := make([][]time.Duration, conns), make([]error, conns)
	start := time.Now()
	end := start.Add(length)
	var wg sync.WaitGroup
	for i, c := range open {
		wg.Go(func() {
			for at := time.Now(); at.Before(end) && ctx.Err() == nil; {
				got, _, err := c.call(request(), false)
				if err == nil && got != status {
					err = fmt.Errorf("%s responded with status %d, want %d", addr, got, status)
				}
				if err != nil {
					errs[i] = err
					return
				}
				now := time.Now()
				took[i] = append(took[i], now.Sub(at))
				at = now
			}
		})
	}
	wg.Wait()
	r := httpResult{elapsed: time.Since(start), took: slices.Concat(took...)}
	for _, err := range errs {
		if err != nil {
			return r, err
		}
	}
	if len(r.took) == 0 {
		return r, fmt.Errorf("%s sent no responses in %s", addr, length)
	}
	return r, ctx.Err()
}
