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
	"os"
	"syscall"
	"time"
)

// maxAnswer is the most that is read of a CA's answer, in bytes. A chain has about 5 kB.
const maxAnswer = 1 << 20

// wire is the http.RoundTripper of one session. lego's calls take no context, ask for the directory and a nonce each time
// a client is made, wait out a refused nonce without a context, and drop Retry-After and the problem document's own bytes.
// All of that is put right here, so that a client for each run costs nothing:
//
//   - every request runs under the run's context, and under the request timeout;
//   - the directory and nonces come from what all sessions with the CA share;
//   - an answer that is not a success becomes an *Error, with the problem document verbatim, and so reaches the caller
//     through lego's wrapping;
//   - bodies are read here, up to maxAnswer, so that connections are always reused.
//
// It is used by one goroutine.
type wire struct {
	ctx context.Context // of the run: lego gives no way to hand it to a request
	ca  *authority

	retryAfter time.Duration // of the last answer
	body       []byte        // of the last answer
	answered   bool          // the CA has answered a request of this session
	err        error         // of the last request: where signing failed for want of a nonce, go-jose keeps the text only
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
	resp, body, err := w.ca.exchange(w.ctx, req)
	if err != nil {
		return nil, err
	}
	w.answered = true
	if value := resp.Header.Get("Replay-Nonce"); value != "" && req.Method != http.MethodHead {
		w.ca.nonces.push(value, w.ca.now())
		resp.Header.Del("Replay-Nonce") // lego would keep it for itself
	}
	w.retryAfter = retryAfter(resp.Header, w.ca.now())
	w.body = body
	switch {
	case resp.StatusCode < 300:
		return resp, nil
	case req.Method == http.MethodHead:
		return nil, w.ca.useless(resp, body)
	}
	return nil, w.ca.failure(resp, body)
}

// exchange sends one request and reads its whole answer. Its error is an *Error.
func (a *authority) exchange(ctx context.Context, req *http.Request) (*http.Response, []byte, error) {
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
		return nil, nil, unreachable(a.Name, fmt.Errorf("answer of more than %d bytes", maxAnswer))
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, body, nil
}

// failure makes an Error of an answer that is not a success. A redirect is none: ACME has no use for one.
func (a *authority) failure(resp *http.Response, body []byte) *Error {
	e := problemError(a.Name, body, resp.StatusCode)
	if e == nil {
		e = statusError(a.Name, resp.StatusCode, resp.Header.Get("Content-Type"))
	}
	if e.RetryAfter = retryAfter(resp.Header, a.now()); e.RetryAfter > 0 {
		e.RetryAt = a.now().Add(e.RetryAfter)
	}
	return e
}

// useless is failure for the directory and nonces: a CA that refuses these is none at the moment.
func (a *authority) useless(resp *http.Response, body []byte) *Error {
	e := a.failure(resp, body)
	if e.Class == Rejected {
		e.Class, e.Code, e.Over = Unreachable, "ca-unreachable", false
	}
	return e
}

// netError makes an Error of a request that got no answer.
func (a *authority) netError(ctx context.Context, err error) *Error {
	if ctx.Err() != nil {
		return a.interrupted(ctx)
	}
	e := unreachable(a.Name, err)
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &unknown):
		e.Fix = "The operator must configure the root certificate that this CA's directory is served under."
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), isTimeout(err):
		// Asking again at once would only take longer.
	default:
		e.passing = true
	}
	return e
}

func isTimeout(err error) bool {
	n, ok := errors.AsType[net.Error](err)
	return ok && n.Timeout()
}

// answer is a response that was not asked of the CA.
func answer(req *http.Request, header http.Header, body []byte) *http.Response {
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: req,
	}
}

// newTransport is the connection pool that all sessions with a CA share.
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
