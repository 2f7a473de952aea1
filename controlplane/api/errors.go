package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
)

// errPanic is the error of a panic that is already logged.
var errPanic = errors.New("panic")

// statusError is an error with an HTTP status that is not in the domain model.
type statusError struct {
	status  int
	problem *controlplane.Error
}

func (e *statusError) Error() string { return e.problem.Error() }

func httpError(status int, code, message string) error {
	return &statusError{status: status,
		problem: &controlplane.Error{Kind: controlplane.KindMalformed, Code: code,
			Message: message}}
}

// asHTTPError converts err for a response. Internal errors, and errors without a text for users,
// become the code "internal" without their text.
func asHTTPError(err error) *statusError {
	if e, ok := errors.AsType[*statusError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*controlplane.Error](err); ok && e.Kind != controlplane.KindInternal {
		return &statusError{status: edge.Status(e.Kind), problem: e}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &statusError{status: http.StatusServiceUnavailable, problem: &controlplane.Error{
			Kind: controlplane.KindUnavailable, Code: "timeout", Message: "The request timed out.",
			Err: err}}
	}
	hidden := controlplane.AsError(errors.New("hidden"))
	hidden.Err = err
	return &statusError{status: http.StatusInternalServerError, problem: hidden}
}

// document is the JSON encoding of a problem document (RFC 9457 §3). It matches the contract's
// Problem, except that acme is passed through as the CA sent it.
type document struct {
	Type       string                    `json:"type"`
	Title      string                    `json:"title"`
	Status     int                       `json:"status"`
	Detail     string                    `json:"detail,omitempty"`
	Code       string                    `json:"code"`
	RequestID  string                    `json:"request_id"`
	Fix        string                    `json:"fix,omitempty"`
	ExistingID string                    `json:"existing_id,omitempty"`
	RetryAt    *time.Time                `json:"retry_at,omitempty"`
	Errors     []controlplane.FieldError `json:"errors,omitempty"`
	Total      int                       `json:"errors_total,omitempty"`
	ACME       json.RawMessage           `json:"acme,omitempty"`
}

// problem responds with the problem document of err. It is the only place where an error becomes an
// HTTP response.
func (a *API) problem(w http.ResponseWriter, r *http.Request, err error) {
	c := callOf(r.Context())
	out, _ := w.(*writer)
	started := out != nil && out.status != 0
	if errors.Is(r.Context().Err(), context.Canceled) {
		// The client disconnected, or the connection failed: net/http cancels the context in both
		// cases.
		if c.gone = true; !started {
			w.WriteHeader(edge.StatusClientClosedRequest)
		}
		return
	}
	c.err = err
	if started {
		a.logError(r.Context(), c, err)
		return // the response has already started
	}
	e := asHTTPError(err)
	p := e.problem
	if e.status >= http.StatusInternalServerError || p.Err != nil {
		a.logError(r.Context(), c, err)
	}
	doc := a.document(c, e)
	a.problemHeaders(w.Header(), c, e)
	w.WriteHeader(e.status)
	_ = json.NewEncoder(w).Encode(doc) // fails only if the client disconnected
}

// document returns the problem document of an error.
func (a *API) document(c *call, e *statusError) *document {
	p := e.problem
	entry, _ := controlplane.CodeOf(p.Code)
	doc := &document{
		Type: a.config.PublicURL + "/problems/" + p.Code, Title: entry.Title, Status: e.status,
		Detail: p.Message,
		Code:   p.Code, RequestID: c.requestID, Fix: p.Fix, ExistingID: p.ExistingID,
	}
	doc.Errors, doc.Total = listed(p, maxErrors)
	if doc.Title == "" {
		doc.Title = http.StatusText(e.status)
	}
	if doc.Fix == "" {
		doc.Fix = entry.Fix
	}
	if !p.RetryAt.IsZero() {
		at := p.RetryAt.UTC()
		doc.RetryAt = &at
	}
	if json.Valid(p.ACME) {
		doc.ACME = p.ACME
	}
	return doc
}

func (a *API) problemHeaders(h http.Header, c *call, e *statusError) {
	h.Set("Content-Type", "application/problem+json")
	switch e.status {
	case http.StatusUnauthorized: // RFC 6750 §3
		challenge := `Bearer realm="dcvaas"`
		if e.problem.Code != codeTokenMissing {
			challenge += `, error="invalid_token"`
		}
		h.Set("WWW-Authenticate", challenge)
	case http.StatusForbidden:
		if e.problem.Code == codeScopeMissing {
			h.Set("WWW-Authenticate", `Bearer realm="dcvaas", error="insufficient_scope", scope="`+
				string(c.op.scope)+`"`)
		}
	}
	edge.SetRetryAfter(h, e.status, e.problem.RetryAt, a.now())
}

func (a *API) logError(ctx context.Context, c *call, err error) {
	a.log.LogAttrs(ctx, slog.LevelError, "request failed", slog.String("request_id", c.requestID),
		slog.Any("error", err))
}

// requestProblem responds to a request that the generated binding rejected although it matches the
// contract, which guard has already checked. The binding's own text repeats content of the request
// and is not returned.
func (a *API) requestProblem(w http.ResponseWriter, r *http.Request, err error) {
	c := callOf(r.Context())
	a.log.LogAttrs(r.Context(), slog.LevelWarn, "binding rejected a valid request",
		slog.String("request_id", c.requestID), slog.String("operation", c.op.id))
	name := ""
	if e, ok := errors.AsType[*InvalidParamFormatError](err); ok {
		name = e.ParamName
	} else if e, ok := errors.AsType[*TooManyValuesForParamError](err); ok {
		name = e.ParamName
	} else if e, ok := errors.AsType[*RequiredParamError](err); ok {
		name = e.ParamName
	}
	if name == "" {
		a.problem(w, r, malformed("malformed-json",
			"The body does not match this operation's request."))
		return
	}
	a.problem(w, r,
		fieldsError([]controlplane.FieldError{{Pointer: pointer(name), Code: codeInvalidParameter,
			Detail: name + " is unreadable."}}, nil))
}

func malformed(code, message string) error {
	return &controlplane.Error{Kind: controlplane.KindMalformed, Code: code, Message: message}
}
