package api

import (
	"context"
	"slices"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// defaultOverlap is how long a rotated token's previous secret remains valid by default; the
// contract states the same.
const defaultOverlap = 24 * time.Hour

// ListTokens implements GET /api/tokens. A restricted token sees only tokens whose domains are
// among its own, so a page can need several pages of the store.
func (a *API) ListTokens(
	ctx context.Context, r ListTokensRequestObject,
) (ListTokensResponseObject, error) {
	p, limit := principalOf(ctx), limitOf(r.Params.Limit)
	creator := deref(r.Params.CreatedBy)
	l := listing{Operation: "listTokens", Org: p.org(), Filters: creator}
	after, err := a.position(l, r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	data := []Token{}
	for {
		var tokens []controlplane.Token
		var next *postgres.Cursor
		// At most as many as are missing, so that the store's cursor fits this page.
		if tokens, next, err = a.store.ListTokens(ctx, p.org(), creator, after,
			limit-len(data)); err != nil {
			return nil, err
		}
		for i := range tokens {
			if p.seesToken(&tokens[i]) {
				data = append(data, a.tokenBody(&tokens[i]))
			}
		}
		if after = next; next == nil || len(data) == limit {
			return ListTokens200JSONResponse{Data: data, HasMore: next != nil,
				NextCursor: a.next(l, next)}, nil
		}
	}
}

// CreateToken implements POST /api/tokens.
func (a *API) CreateToken(
	ctx context.Context, r CreateTokenRequestObject,
) (CreateTokenResponseObject, error) {
	p, b := principalOf(ctx), r.Body
	ids, err := a.domainIDs(ctx, deref(b.DomainIds))
	if err != nil {
		return nil, err
	}
	if err := a.replacedToken(ctx, r.Params.Replacing); err != nil {
		return nil, err
	}
	in := lifecycle.NewToken{Name: b.Name, DomainIDs: ids, Replacing: deref(r.Params.Replacing)}
	for _, s := range b.Scopes {
		in.Scopes = append(in.Scopes, controlplane.Scope(s))
	}
	in.ExpiresAt = timeOf(b.ExpiresAt)
	token, secret, err := a.lifecycle.CreateToken(ctx, p.actor, p.grant, p.org(), in)
	if err != nil {
		return nil, err
	}
	return CreateToken201JSONResponse{
		Body: a.withSecret(token, secret),
		Headers: CreateToken201ResponseHeaders{Location: "/api/tokens/" + token.ID,
			CacheControl: "no-store"},
	}, nil
}

// GetToken implements GET /api/tokens/{token}.
func (a *API) GetToken(
	ctx context.Context, r GetTokenRequestObject,
) (GetTokenResponseObject, error) {
	t, err := a.token(ctx, r.Token)
	if err != nil {
		return nil, err
	}
	return GetToken200JSONResponse(a.tokenBody(t)), nil
}

// UpdateToken implements PATCH /api/tokens/{token}.
func (a *API) UpdateToken(
	ctx context.Context, r UpdateTokenRequestObject,
) (UpdateTokenResponseObject, error) {
	p := principalOf(ctx)
	if _, err := a.token(ctx, r.Token); err != nil {
		return nil, err
	}
	t, err := a.lifecycle.RenameToken(ctx, p.actor, p.org(), r.Token, r.Body.Name)
	if err != nil {
		return nil, err
	}
	return UpdateToken200JSONResponse(a.tokenBody(t)), nil
}

// DeleteToken implements DELETE /api/tokens/{token}.
func (a *API) DeleteToken(
	ctx context.Context, r DeleteTokenRequestObject,
) (DeleteTokenResponseObject, error) {
	p := principalOf(ctx)
	if _, err := a.token(ctx, r.Token); err != nil {
		return nil, err
	}
	if err := a.lifecycle.DeleteToken(ctx, p.actor, p.org(), r.Token); err != nil {
		return nil, err
	}
	return DeleteToken204Response{}, nil
}

// RotateToken implements POST /api/tokens/{token}/rotate.
func (a *API) RotateToken(
	ctx context.Context, r RotateTokenRequestObject,
) (RotateTokenResponseObject, error) {
	p, b := principalOf(ctx), r.Body
	if _, err := a.token(ctx, r.Token); err != nil {
		return nil, err
	}
	in := lifecycle.Rotation{Overlap: defaultOverlap, NewEnd: b.ExpiresAt.IsSpecified(),
		ExpiresAt: timeOf(b.ExpiresAt)}
	if b.OverlapSeconds != nil {
		in.Overlap = time.Duration(*b.OverlapSeconds) * time.Second
	}
	token, secret, err := a.lifecycle.RotateToken(ctx, p.actor, p.grant, p.org(), r.Token, in)
	if err != nil {
		return nil, err
	}
	return RotateToken200JSONResponse{Body: a.withSecret(token, secret),
		Headers: RotateToken200ResponseHeaders{CacheControl: "no-store"}}, nil
}

// RevokePreviousTokenSecrets implements DELETE /api/tokens/{token}/previous-secrets.
func (a *API) RevokePreviousTokenSecrets(
	ctx context.Context, r RevokePreviousTokenSecretsRequestObject,
) (RevokePreviousTokenSecretsResponseObject, error) {
	p := principalOf(ctx)
	if _, err := a.token(ctx, r.Token); err != nil {
		return nil, err
	}
	if err := a.lifecycle.RevokePreviousSecrets(ctx, p.actor, p.org(), r.Token); err != nil {
		return nil, err
	}
	return RevokePreviousTokenSecrets204Response{}, nil
}

// RevokeAllTokens implements POST /api/tokens/revoke-all.
func (a *API) RevokeAllTokens(
	ctx context.Context, r RevokeAllTokensRequestObject,
) (RevokeAllTokensResponseObject, error) {
	p, keep := principalOf(ctx), ""
	if p.restricted() {
		return nil, errRestricted("revoke tokens with access to other domains")
	}
	if p.token != nil && deref(r.Body.KeepCurrent) {
		keep = p.token.ID
	}
	n, err := a.lifecycle.RevokeTokens(ctx, p.actor, p.org(), keep)
	if err != nil {
		return nil, err
	}
	return RevokeAllTokens200JSONResponse{Revoked: n}, nil
}

// errRestricted returns the error of a token that is restricted to some domains and therefore
// cannot do what.
func errRestricted(what string) error {
	return &controlplane.Error{Kind: controlplane.KindForbidden, Code: "token-restricted",
		Message: "The token is restricted to some domains, so it cannot " + what + "."}
}

// token returns a token that the caller can access.
func (a *API) token(ctx context.Context, id string) (*controlplane.Token, error) {
	p := principalOf(ctx)
	if !controlplane.IsID(controlplane.PrefixToken, id) {
		return nil, controlplane.NotFound("token", id)
	}
	t, err := a.store.Token(ctx, p.org(), id)
	if err != nil {
		return nil, err
	}
	if !p.seesToken(t) {
		return nil, errRestricted("read or change the token " + id +
			", which has access to other domains")
	}
	return t, nil
}

// domainIDs replaces domain names by IDs. Unknown names stay in the list, so that lifecycle rejects
// them with their index.
func (a *API) domainIDs(ctx context.Context, refs []string) ([]string, error) {
	var names []string
	canonical := make([]string, len(refs))
	for i, ref := range refs {
		if controlplane.IsID(controlplane.PrefixDomain, ref) {
			continue
		}
		if name, err := canonicalRef(ref); err == nil {
			canonical[i], names = name, append(names, name)
		}
	}
	known, err := a.store.DomainIDs(ctx, principalOf(ctx).org(), names)
	if err != nil {
		return nil, err
	}
	ids := slices.Clone(refs)
	for i, name := range canonical {
		if id, ok := known[name]; ok {
			ids[i] = id
		}
	}
	return ids, nil
}

// tokenBody converts a token to its API representation.
func (a *API) tokenBody(t *controlplane.Token) Token {
	now := a.now()
	body := Token{Id: t.ID, Name: t.Name, TokenPrefix: t.Secrets.Prefix(),
		Scopes: make([]Scope, len(t.Scopes)), DomainIds: t.DomainIDs,
		ExpiresAt: timeOrNull(t.ExpiresAt), LastUsedAt: timeOrNull(t.LastUsedAt),
		RotatedAt:          timeOrNull(t.RotatedAt),
		PreviousValidUntil: timeOrNull(t.Secrets.PreviousUntil(now)),
		Secrets:            secretsBody(t.Secrets, now), CreatedBy: t.CreatedBy,
		CreatedAt: t.CreatedAt.UTC()}
	for i, s := range t.Scopes {
		body.Scopes[i] = Scope(s)
	}
	if body.DomainIds == nil {
		body.DomainIds = []string{}
	}
	return body
}

// withSecret returns a token with its secret, which is returned only once.
func (a *API) withSecret(token *controlplane.Token, secret string) TokenWithSecret {
	t := a.tokenBody(token)
	return TokenWithSecret{Token: secret, Id: t.Id, Name: t.Name, TokenPrefix: t.TokenPrefix,
		Scopes: t.Scopes, DomainIds: t.DomainIds,
		ExpiresAt: t.ExpiresAt, LastUsedAt: t.LastUsedAt, RotatedAt: t.RotatedAt,
		PreviousValidUntil: t.PreviousValidUntil, Secrets: t.Secrets, CreatedBy: t.CreatedBy,
		CreatedAt: t.CreatedAt}
}

// secretsBody converts the valid secrets of a token or webhook to their API representation.
func secretsBody(all controlplane.Secrets, now time.Time) []ValidSecret {
	out := []ValidSecret{}
	for _, s := range all.Valid(now) {
		out = append(out, ValidSecret{Prefix: s.Prefix, CreatedAt: s.CreatedAt.UTC(),
			ValidUntil: timeOrNull(s.ValidUntil)})
	}
	return out
}
