package acme

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"syscall"
	"time"
)

// maxAnswer is the largest response that is read, in bytes. A chain has about 5 kB.
const maxAnswer = 1 << 20

// wire is the http.RoundTripper of one session. lego's calls take no context, fetch the directory
// and a nonce whenever a client is created, retry a rejected nonce without a context, and drop
// Retry-After and the original problem document. wire corrects this, so that a client per run is
// cheap:
//
//   - Every request uses the run's context and the request timeout.
//   - The directory and nonces come from the authority.
//   - A response that is not a success becomes an *Error with the unchanged problem document, which
//     reaches the caller through lego's wrapping.
//   - Bodies are read completely, up to maxAnswer, so that connections are reused.
//
// It is used by one goroutine.
type wire struct {
	ctx context.Context // of the run: lego does not pass one to its requests
	ca  *authority

	// finish completes POST requests that are in flight when ctx ends, because they may change
	// state at the CA: their results must be recorded
	finish bool

	step       step          // of the current request
	retryAfter time.Duration // of the last response
	url        *url.URL      // of the last response
	status     int           // of the last response; 0 if there was none
	header     http.Header   // of the last response
	body       []byte        // of the last response
	answered   bool          // the CA has responded to a request of this session
	// of the last request: if signing fails for lack of a nonce, go-jose keeps only the error's
	// text
	err error
}

// RoundTrip implements http.RoundTripper.
func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := w.send(req)
	w.err = err
	return resp, err
}

func (w *wire) send(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		defer req.Body.Close()
	}
	if w.ctx.Err() != nil {
		return nil, w.ca.interrupted(w.ctx)
	}
	switch req.Method {
	case http.MethodHead: // lego sends HEAD for nonces only
		if value, ok := w.ca.nonces.pop(w.ca.now()); ok {
			return answer(req, http.Header{"Replay-Nonce": {value}}, nil), nil
		}
	case http.MethodGet:
		if req.URL.String() == w.ca.DirectoryURL {
			dir, err := w.ca.directory(w.ctx)
			if err != nil {
				return nil, err
			}
			return answer(req, http.Header{"Content-Type": {"application/json"}}, dir.raw), nil
		}
	}
	ctx := w.ctx
	if w.finish && req.Method == http.MethodPost {
		ctx = context.WithoutCancel(ctx)
	}
	w.status = 0
	resp, body, err := w.ca.exchange(ctx, req)
	if err != nil {
		return nil, err
	}
	w.answered = true
	if ref := resp.Header.Get("Location"); ref != "" {
		if location, err := absolute(req.URL, ref); err == nil {
			resp.Header.Set("Location", location)
		} else {
			resp.Header.Del("Location")
		}
	}
	if value := resp.Header.Get("Replay-Nonce"); value != "" && req.Method != http.MethodHead {
		w.ca.nonces.push(value, w.ca.now())
		resp.Header.Del("Replay-Nonce") // otherwise lego would store it
	}
	w.retryAfter = retryAfter(resp.Header, w.ca.now())
	w.url, w.status, w.header, w.body = req.URL, resp.StatusCode, resp.Header, body
	switch {
	case resp.StatusCode < 300 && req.Method == http.MethodHead &&
		resp.Header.Get("Replay-Nonce") == "":
		e := protocol(w.ca.Name, "sent no nonce", errors.New("no Replay-Nonce header"))
		e.passing = true
		return nil, e
	case resp.StatusCode < 300:
		return resp, nil
	case req.Method == http.MethodHead:
		return nil, w.ca.failure(atNonce, resp, body)
	}
	return nil, w.ca.failure(w.step, resp, body)
}

// exchange sends one request and reads the whole response. It returns an *Error.
func (a *authority) exchange(
	ctx context.Context, req *http.Request,
) (*http.Response, []byte, error) {
	if !spend(ctx) {
		e := a.slow(budgetPause)
		e.Err = errManyRequests
		return nil, nil, e
	}
	reqCtx, cancel := context.WithTimeout(ctx, a.cfg.RequestTimeout)
	defer cancel()
	resp, err := a.transport.RoundTrip(req.WithContext(reqCtx))
	if err != nil {
		return nil, nil, a.netError(ctx, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, nil, a.netError(ctx, err)
	}
	if len(body) > maxAnswer {
		return nil, nil, malformed(a.Name,
			fmt.Errorf("the response has more than %d bytes", maxAnswer))
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, body, nil
}

// failure returns an Error for a response that is not a success. A redirect is a failure: ACME does
// not use redirects.
func (a *authority) failure(at step, resp *http.Response, body []byte) *Error {
	e := problemError(a.CA, at, body, resp.StatusCode)
	if e == nil {
		e = statusError(a.Name, at, resp.StatusCode, resp.Header.Get("Content-Type"))
	}
	if e.RetryAfter = retryAfter(resp.Header, a.now()); e.RetryAfter > 0 {
		e.RetryAt = a.now().Add(e.RetryAfter)
	}
	return e
}

// netError returns an Error for a request without a response.
func (a *authority) netError(ctx context.Context, err error) *Error {
	if ctx.Err() != nil {
		return a.interrupted(ctx)
	}
	e := unreachable(a.Name, err)
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &unknown):
		e.Fix = "Ask the operator to configure the root certificate of this CA's directory."
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, os.ErrDeadlineExceeded),
		errors.Is(err, context.DeadlineExceeded), isTimeout(err):
		// An immediate retry would only take longer.
	default:
		e.passing = true
	}
	return e
}

func isTimeout(err error) bool {
	n, ok := errors.AsType[net.Error](err)
	return ok && n.Timeout()
}

// answer returns a response that was not received from the CA.
func answer(req *http.Request, header http.Header, body []byte) *http.Response {
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1,
		ProtoMinor: 1,
		Header:     header, Body: io.NopCloser(bytes.NewReader(body)),
		ContentLength: int64(len(body)), Request: req,
	}
}

// newTransport returns the connection pool of a CA, shared by its sessions.
func newTransport(ca CA, cfg *Config) *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                  cfg.Proxy,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: ca.RootCAs, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  cfg.RequestTimeout,
		MaxIdleConns:           64,
		MaxIdleConnsPerHost:    64,
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}
