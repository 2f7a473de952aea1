package api

import (
	"context"
	"errors"
)

var errPendingToken = errors.New("not built yet")

func (a *API) BulkCreateDomains(context.Context, BulkCreateDomainsRequestObject) (BulkCreateDomainsResponseObject, error) {
	return nil, errPendingToken
}

func (a *API) RevokeAllTokens(context.Context, RevokeAllTokensRequestObject) (RevokeAllTokensResponseObject, error) {
	return nil, errPendingToken
}

func (a *API) RotateToken(context.Context, RotateTokenRequestObject) (RotateTokenResponseObject, error) {
	return nil, errPendingToken
}
