package api

import (
	"context"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// ListACMEDNSKeys implements GET /api/acmedns-keys.
func (a *API) ListACMEDNSKeys(
	ctx context.Context, r ListACMEDNSKeysRequestObject,
) (ListACMEDNSKeysResponseObject, error) {
	p, err := a.withACMEDNS(ctx)
	if err != nil {
		return nil, err
	}
	l := listing{Operation: "listACMEDNSKeys", Org: p.org()}
	after, err := a.position(l, r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	keys, next, err := a.store.ListACMEDNSKeys(ctx, p.org(), after, limitOf(r.Params.Limit))
	if err != nil {
		return nil, err
	}
	data := make([]ACMEDNSKey, len(keys))
	for i := range keys {
		data[i] = acmednsKeyBody(&keys[i])
	}
	return ListACMEDNSKeys200JSONResponse{Data: data, HasMore: next != nil,
		NextCursor: a.next(l, next)}, nil
}

// CreateACMEDNSKey implements POST /api/acmedns-keys.
func (a *API) CreateACMEDNSKey(
	ctx context.Context, r CreateACMEDNSKeyRequestObject,
) (CreateACMEDNSKeyResponseObject, error) {
	p, err := a.withACMEDNS(ctx)
	if err != nil {
		return nil, err
	}
	if err := a.replacedACMEDNSKey(ctx, r.Params.Replacing); err != nil {
		return nil, err
	}
	k, secret, err := a.lifecycle.CreateACMEDNSKey(ctx, p.actor, p.grant, p.org(), r.Body.Name,
		deref(r.Params.Replacing))
	if err != nil {
		return nil, err
	}
	b := acmednsKeyBody(k)
	return CreateACMEDNSKey201JSONResponse{
		Body: ACMEDNSKeyWithURL{Id: b.Id, Name: b.Name, Prefix: b.Prefix,
			Registrations: b.Registrations, LastUsedAt: b.LastUsedAt, CreatedBy: b.CreatedBy,
			CreatedAt: b.CreatedAt, Url: a.config.PublicURL + acmednsPath + "/" + secret},
		Headers: CreateACMEDNSKey201ResponseHeaders{Location: "/api/acmedns-keys/" + k.ID,
			CacheControl: "no-store"}}, nil
}

// GetACMEDNSKey implements GET /api/acmedns-keys/{key}.
func (a *API) GetACMEDNSKey(
	ctx context.Context, r GetACMEDNSKeyRequestObject,
) (GetACMEDNSKeyResponseObject, error) {
	p, err := a.forACMEDNSKey(ctx, r.Key)
	if err != nil {
		return nil, err
	}
	k, err := a.store.ACMEDNSKey(ctx, p.org(), r.Key)
	if err != nil {
		return nil, err
	}
	return GetACMEDNSKey200JSONResponse(acmednsKeyBody(k)), nil
}

// DeleteACMEDNSKey implements DELETE /api/acmedns-keys/{key}.
func (a *API) DeleteACMEDNSKey(
	ctx context.Context, r DeleteACMEDNSKeyRequestObject,
) (DeleteACMEDNSKeyResponseObject, error) {
	p, err := a.forACMEDNSKey(ctx, r.Key)
	if err != nil {
		return nil, err
	}
	if err := a.lifecycle.DeleteACMEDNSKey(ctx, p.actor, p.org(), r.Key); err != nil {
		return nil, err
	}
	return DeleteACMEDNSKey204Response{}, nil
}

// forACMEDNSKey is withACMEDNS for a call about one registration key.
func (a *API) forACMEDNSKey(ctx context.Context, id string) (principal, error) {
	p, err := a.withACMEDNS(ctx)
	if err == nil && !controlplane.IsID(controlplane.PrefixACMEDNSKey, id) {
		err = controlplane.NotFound("registration key", id)
	}
	return p, err
}

// acmednsKeyBody converts a registration key to its API representation.
func acmednsKeyBody(k *controlplane.ACMEDNSKey) ACMEDNSKey {
	return ACMEDNSKey{Id: k.ID, Name: k.Name, Prefix: k.Prefix, Registrations: k.Registrations,
		LastUsedAt: timeOrNull(k.LastUsedAt), CreatedBy: k.CreatedBy,
		CreatedAt: k.CreatedAt.UTC()}
}
