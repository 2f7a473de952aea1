package api

import (
	"context"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// acmednsPath is the path of the acme-dns API, which clients use with an account.
const acmednsPath = "/acmedns"

// ListACMEDNSAccounts implements GET /api/acmedns-accounts.
func (a *API) ListACMEDNSAccounts(
	ctx context.Context, r ListACMEDNSAccountsRequestObject,
) (ListACMEDNSAccountsResponseObject, error) {
	p, err := a.withACMEDNS(ctx)
	if err != nil {
		return nil, err
	}
	l := listing{Operation: "listACMEDNSAccounts", Org: p.org()}
	after, err := a.position(l, r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	accounts, next, err := a.store.ListACMEDNSAccounts(ctx, p.org(), after,
		limitOf(r.Params.Limit))
	if err != nil {
		return nil, err
	}
	data := make([]ACMEDNSAccount, len(accounts))
	for i := range accounts {
		data[i] = a.acmednsBody(&accounts[i])
	}
	return ListACMEDNSAccounts200JSONResponse{Data: data, HasMore: next != nil,
		NextCursor: a.next(l, next)}, nil
}

// CreateACMEDNSAccount implements POST /api/acmedns-accounts.
func (a *API) CreateACMEDNSAccount(
	ctx context.Context, r CreateACMEDNSAccountRequestObject,
) (CreateACMEDNSAccountResponseObject, error) {
	p, err := a.withACMEDNS(ctx)
	if err != nil {
		return nil, err
	}
	if err := a.replacedACMEDNSAccount(ctx, r.Params.Replacing); err != nil {
		return nil, err
	}
	account, password, err := a.lifecycle.CreateACMEDNSAccount(ctx, p.actor, p.grant, p.org(),
		lifecycle.NewACMEDNSAccount{Description: deref(r.Body.Description),
			AllowFrom: deref(r.Body.AllowFrom), Delegation: deref(r.Body.DelegationId),
			Replacing: deref(r.Params.Replacing)})
	if err != nil {
		return nil, err
	}
	return CreateACMEDNSAccount201JSONResponse{Body: a.withPassword(account, password),
		Headers: CreateACMEDNSAccount201ResponseHeaders{
			Location: "/api/acmedns-accounts/" + account.ID, CacheControl: "no-store"}}, nil
}

// GetACMEDNSAccount implements GET /api/acmedns-accounts/{account}.
func (a *API) GetACMEDNSAccount(
	ctx context.Context, r GetACMEDNSAccountRequestObject,
) (GetACMEDNSAccountResponseObject, error) {
	p, err := a.forACMEDNSAccount(ctx, r.Account)
	if err != nil {
		return nil, err
	}
	account, err := a.store.ACMEDNSAccount(ctx, p.org(), r.Account)
	if err != nil {
		return nil, err
	}
	return GetACMEDNSAccount200JSONResponse(a.acmednsBody(account)), nil
}

// UpdateACMEDNSAccount implements PATCH /api/acmedns-accounts/{account}.
func (a *API) UpdateACMEDNSAccount(
	ctx context.Context, r UpdateACMEDNSAccountRequestObject,
) (UpdateACMEDNSAccountResponseObject, error) {
	p, err := a.forACMEDNSAccount(ctx, r.Account)
	if err != nil {
		return nil, err
	}
	account, err := a.lifecycle.UpdateACMEDNSAccount(ctx, p.actor, p.grant, p.org(), r.Account,
		lifecycle.ACMEDNSAccountPatch{Description: r.Body.Description,
			AllowFrom: r.Body.AllowFrom, Delegation: patchOf(r.Body.DelegationId)})
	if err != nil {
		return nil, err
	}
	return UpdateACMEDNSAccount200JSONResponse(a.acmednsBody(account)), nil
}

// DeleteACMEDNSAccount implements DELETE /api/acmedns-accounts/{account}.
func (a *API) DeleteACMEDNSAccount(
	ctx context.Context, r DeleteACMEDNSAccountRequestObject,
) (DeleteACMEDNSAccountResponseObject, error) {
	p, err := a.forACMEDNSAccount(ctx, r.Account)
	if err != nil {
		return nil, err
	}
	if err := a.lifecycle.DeleteACMEDNSAccount(ctx, p.actor, p.org(), r.Account); err != nil {
		return nil, err
	}
	return DeleteACMEDNSAccount204Response{}, nil
}

// RotateACMEDNSAccount implements POST /api/acmedns-accounts/{account}/rotate.
func (a *API) RotateACMEDNSAccount(
	ctx context.Context, r RotateACMEDNSAccountRequestObject,
) (RotateACMEDNSAccountResponseObject, error) {
	p, err := a.forACMEDNSAccount(ctx, r.Account)
	if err != nil {
		return nil, err
	}
	account, password, err := a.lifecycle.RotateACMEDNSPassword(ctx, p.actor, p.grant, p.org(),
		r.Account)
	if err != nil {
		return nil, err
	}
	return RotateACMEDNSAccount200JSONResponse{Body: a.withPassword(account, password),
		Headers: RotateACMEDNSAccount200ResponseHeaders{CacheControl: "no-store"}}, nil
}

// withACMEDNS returns the caller, and an error if it is restricted to some domains: an account can
// validate any name whose CNAME points to its target.
func (a *API) withACMEDNS(ctx context.Context) (principal, error) {
	p := principalOf(ctx)
	if p.restricted() {
		return p, errRestricted("use acme-dns accounts, which belong to no domain")
	}
	return p, nil
}

// forACMEDNSAccount is withACMEDNS for a call about one account.
func (a *API) forACMEDNSAccount(ctx context.Context, id string) (principal, error) {
	p, err := a.withACMEDNS(ctx)
	if err == nil && !controlplane.IsID(controlplane.PrefixACMEDNS, id) {
		err = controlplane.NotFound("acme-dns account", id)
	}
	return p, err
}

// acmednsBody converts an account to its API representation.
func (a *API) acmednsBody(account *controlplane.ACMEDNSAccount) ACMEDNSAccount {
	return ACMEDNSAccount{Id: account.ID, Username: account.Username,
		Subdomain: account.Subdomain, Fulldomain: account.Target + "." + a.lifecycle.Zone,
		ServerUrl: a.config.PublicURL + acmednsPath, Description: account.Description,
		AllowFrom:         append([]string{}, account.AllowFrom...),
		DelegationId:      orNull(account.DelegationID),
		RegistrationKeyId: orNull(account.KeyID), Updates: account.Updates,
		LastUsedAt: timeOrNull(account.LastUsedAt), RotatedAt: timeOrNull(account.RotatedAt),
		CreatedBy: account.CreatedBy, CreatedAt: account.CreatedAt.UTC(),
		UpdatedAt: account.UpdatedAt.UTC()}
}

// withPassword converts an account and its new password to their API representation.
func (a *API) withPassword(
	account *controlplane.ACMEDNSAccount, password string,
) ACMEDNSAccountWithPassword {
	b := a.acmednsBody(account)
	return ACMEDNSAccountWithPassword{Id: b.Id, Username: b.Username, Subdomain: b.Subdomain,
		Fulldomain: b.Fulldomain, ServerUrl: b.ServerUrl, Description: b.Description,
		AllowFrom: b.AllowFrom, DelegationId: b.DelegationId,
		RegistrationKeyId: b.RegistrationKeyId, Updates: b.Updates, LastUsedAt: b.LastUsedAt,
		RotatedAt: b.RotatedAt, CreatedBy: b.CreatedBy, CreatedAt: b.CreatedAt,
		UpdatedAt: b.UpdatedAt,
		Password:  password}
}
