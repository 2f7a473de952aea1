package api

import (
	"context"
	"net/http"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
)

// Query parameters of dry runs.
const (
	paramDryRun    = "dry_run"
	paramReplacing = "replacing"
)

// isDryRun reports whether a valid request asks only whether it would succeed.
func isDryRun(r *http.Request, op *operation) bool {
	return op.dryRun && r.URL.RawQuery != "" && r.URL.Query().Get(paramDryRun) == "true"
}

// dryRun serves a request in a transaction that is rolled back: it responds with 204 if the request
// would succeed, and with its problem otherwise. The response is sent after the rollback.
func (a *API) dryRun(w http.ResponseWriter, r *http.Request, next http.Handler) {
	held := edge.NewHeldResponse()
	err := a.store.DryRun(r.Context(), func(ctx context.Context) {
		next.ServeHTTP(held, r.WithContext(ctx))
	})
	switch {
	case err != nil:
		a.problem(w, r, err)
	case held.Status < http.StatusMultipleChoices:
		w.WriteHeader(http.StatusNoContent)
	default:
		held.Send(w)
	}
}

// replaced checks the object that a dry run replaces, with check, which also removes it if it would
// be in the way. noun and prefix are those of its type. Without an object, it does nothing. It
// returns KindInvalid about the parameter if the organization does not have the object.
func (a *API) replaced(
	ctx context.Context, id *Replacing, noun, prefix string,
	check func(ctx context.Context, id string) error,
) error {
	if id == nil {
		return nil
	}
	var err error = controlplane.NotFound(noun, *id)
	if controlplane.IsID(prefix, *id) {
		err = check(ctx, *id)
	}
	if controlplane.IsKind(err, controlplane.KindNotFound) {
		return cannotReplace("The organization has no " + noun + " with this ID.")
	}
	return err
}

func cannotReplace(detail string) error {
	return controlplane.Invalid(pointer(paramReplacing), "replacing-invalid", detail, "")
}

// replacedDomain removes the domain that a dry run replaces.
func (a *API) replacedDomain(ctx context.Context, id *Replacing) error {
	p := principalOf(ctx)
	return a.replaced(ctx, id, "domain", controlplane.PrefixDomain,
		func(ctx context.Context, id string) error {
			return a.lifecycle.DeleteDomain(ctx, p.actor, p.org(), id, 0)
		})
}

// replacedToken checks the token that a dry run replaces. It can be the token of the request.
func (a *API) replacedToken(ctx context.Context, id *Replacing) error {
	return a.replaced(ctx, id, "token", controlplane.PrefixToken,
		func(ctx context.Context, id string) error {
			_, err := a.token(ctx, id)
			return err
		})
}

// replacedWebhook checks the webhook that a dry run replaces.
func (a *API) replacedWebhook(ctx context.Context, id *Replacing) error {
	return a.replaced(ctx, id, "webhook", controlplane.PrefixWebhook,
		func(ctx context.Context, id string) error {
			_, err := a.webhook(ctx, id)
			return err
		})
}

// replacedConnection checks the DNS connection that a dry run replaces.
func (a *API) replacedConnection(ctx context.Context, id *Replacing) error {
	p := principalOf(ctx)
	return a.replaced(ctx, id, "DNS connection", controlplane.PrefixConnection,
		func(ctx context.Context, id string) error {
			_, err := a.store.Connection(ctx, p.org(), id)
			return err
		})
}

// replacedACMEDNSAccount checks the acme-dns account that a dry run replaces.
func (a *API) replacedACMEDNSAccount(ctx context.Context, id *Replacing) error {
	p := principalOf(ctx)
	return a.replaced(ctx, id, "acme-dns account", controlplane.PrefixACMEDNS,
		func(ctx context.Context, id string) error {
			_, err := a.store.ACMEDNSAccount(ctx, p.org(), id)
			return err
		})
}

// replacedACMEDNSKey checks the registration key that a dry run replaces.
func (a *API) replacedACMEDNSKey(ctx context.Context, id *Replacing) error {
	p := principalOf(ctx)
	return a.replaced(ctx, id, "registration key", controlplane.PrefixACMEDNSKey,
		func(ctx context.Context, id string) error {
			_, err := a.store.ACMEDNSKey(ctx, p.org(), id)
			return err
		})
}

// replacedMember removes the member that a dry run replaces. People cannot replace themselves:
// after leaving, they can no longer invite.
func (a *API) replacedMember(ctx context.Context, id *Replacing) error {
	p := principalOf(ctx)
	return a.replaced(ctx, id, "member", controlplane.PrefixUser,
		func(ctx context.Context, id string) error {
			if p.is(id) {
				return cannotReplace("You cannot replace yourself.")
			}
			return a.lifecycle.RemoveMember(ctx, p.actor, p.grant, p.org(), id, false)
		})
}

// replacedInvitation removes the invitation that a dry run replaces.
func (a *API) replacedInvitation(ctx context.Context, id *Replacing) error {
	p := principalOf(ctx)
	return a.replaced(ctx, id, "invitation", controlplane.PrefixInvitation,
		func(ctx context.Context, id string) error {
			return a.lifecycle.RevokeInvitation(ctx, p.actor, p.grant, p.org(), id)
		})
}
