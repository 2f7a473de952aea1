package api

import (
	"bytes"
	"context"
	"io"
	"net/http"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
)

// unparsed has the errors that net/http returns before it calls a handler, by status. Other
// statuses are handled like 400.
var unparsed = map[int]error{
	http.StatusBadRequest: httpError(http.StatusBadRequest, "malformed-http",
		"The request is not HTTP/1.1 as RFC 9112 defines it."),
	http.StatusExpectationFailed: httpError(http.StatusExpectationFailed,
		"expectation-failed", "The header Expect has a value other than 100-continue."),
	http.StatusRequestHeaderFieldsTooLarge: httpError(http.StatusRequestHeaderFieldsTooLarge,
		"headers-too-large", "The request line and the headers are larger than 64 KiB."),
	http.StatusNotImplemented: httpError(http.StatusNotImplemented,
		"transfer-encoding-unsupported", "The request has a Transfer-Encoding other than chunked."),
	http.StatusHTTPVersionNotSupported: httpError(http.StatusHTTPVersionNotSupported,
		"http-version-unsupported", "The request is neither HTTP/1.1 nor HTTP/1.0."),
}

// Unparsed returns the response to a request that net/http rejects with status because it cannot
// parse it: a problem document like for every other error. It logs and counts the request. peer is
// the address of the connection. The caller must close the connection after the response.
func (a *API) Unparsed(status int, peer string) *http.Response {
	err, ok := unparsed[status]
	if !ok {
		err = unparsed[http.StatusBadRequest]
	}
	r := &http.Request{RemoteAddr: peer}
	c := &call{requestID: controlplane.NewID("req"), ip: edge.ClientIP(r, a.config.TrustedProxy),
		began: a.now()}
	ctx := context.WithValue(context.Background(), callKey{}, c)
	held := edge.NewHeldResponse()
	setHeaders(held.Headers, c.requestID)
	w := &writer{ResponseWriter: held}
	a.problem(w, r.WithContext(ctx), err)
	a.done(ctx, c, "", "", w)
	return &http.Response{StatusCode: held.Status, ProtoMajor: 1, ProtoMinor: 1,
		Header: held.Headers, Close: true,
		Body:          io.NopCloser(bytes.NewReader(held.Body.Bytes())),
		ContentLength: int64(held.Body.Len())}
}
