package api

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

const headerIdempotencyKey = "Idempotency-Key"

// once serves a POST with an Idempotency-Key: it is executed once, and its response is replayed.
// The handler runs in the transaction that stores the response (Store.Once), and its response is
// sent after the commit.
func (a *API) once(w http.ResponseWriter, r *http.Request, next http.Handler) {
	c := callOf(r.Context())
	key, err := a.answerKey(c, r)
	if err != nil {
		a.problem(w, r, err)
		return
	}
	owner := key.SealedForCall()
	now := a.now().UTC()
	var held *edge.HeldResponse
	kept, err := a.store.Once(r.Context(), key, now.Add(-controlplane.AnswersKept), now,
		func(ctx context.Context) (*postgres.Answer, error) {
			held = edge.NewHeldResponse()
			next.ServeHTTP(held, r.WithContext(ctx))
			held.Finish()
			// nothing was changed, 499, or 5xx
			if held.Status == http.StatusTooManyRequests ||
				held.Status >= edge.StatusClientClosedRequest {
				return nil, errNotKept
			}
			body := held.Body.Bytes()
			if c.op.rereads {
				body = nil
			}
			sealed, err := a.config.Sealer.Seal(body, owner)
			return &postgres.Answer{Status: held.Status, Header: held.Headers, Body: sealed}, err
		})
	switch {
	case err == nil && kept != nil:
		w.Header().Set("Idempotency-Replayed", "true")
		a.again(w, r, next, kept, owner)
	case err == nil, errors.Is(err, errNotKept):
		held.Send(w)
	default:
		a.problem(w, r, err)
	}
}

// again replays a stored response. Operations with x-rereads run again instead.
func (a *API) again(
	w http.ResponseWriter, r *http.Request, next http.Handler, kept *postgres.Answer, owner string,
) {
	if callOf(r.Context()).op.rereads {
		next.ServeHTTP(w, r)
		return
	}
	body, err := a.config.Sealer.Open(kept.Body, owner)
	if err != nil {
		a.problem(w, r, err)
		return
	}
	answer := &edge.HeldResponse{Headers: kept.Header, Status: kept.Status}
	answer.Body.Write(body)
	answer.Send(w)
}

// errNotKept rolls the transaction back: nothing is stored, and a retry can succeed.
var errNotKept = httpError(http.StatusInternalServerError, "internal",
	"The response is not stored.")

// answerKey identifies the call. The caller is part of it, so that a leaked key does not reveal the
// secret in a response to others. The hash is keyed, so that a password in a body cannot be guessed
// from stored data.
func (a *API) answerKey(c *call, r *http.Request) (postgres.AnswerKey, error) {
	h := hmac.New(sha256.New, a.config.CursorKey)
	_, _ = io.WriteString(h, "idempotency\n"+c.principal.actor.ID+"\n")
	if body, ok := r.Body.(*checkedBody); ok {
		if _, err := body.WriteTo(h); err != nil {
			return postgres.AnswerKey{}, err
		}
		if _, err := body.Seek(0, io.SeekStart); err != nil {
			return postgres.AnswerKey{}, err
		}
	}
	return postgres.AnswerKey{OrgID: c.principal.org(), Key: r.Header.Get(headerIdempotencyKey),
		Method: r.Method, Path: r.URL.EscapedPath(), Hash: h.Sum(nil)}, nil
}
