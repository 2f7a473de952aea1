package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
)

// Codes that determine headers.
const (
	codeTokenMissing = "token-missing"
	codeScopeMissing = "scope-missing"
)

// touchEvery is the minimum interval between records of a token's last use.
const touchEvery = time.Minute

// principal is the caller, its organization, and its permissions.
type principal struct {
	orgID string
	tier  controlplane.Tier
	grant *controlplane.Grant
	actor controlplane.Actor
	// One of the two is set.
	token   *controlplane.Token
	session *controlplane.Session
}

func principalOf(ctx context.Context) principal { return callOf(ctx).principal }

func (p principal) org() string { return p.orgID }

// restricted reports whether the caller can access only some of the organization's domains.
func (p principal) restricted() bool { return len(p.grant.DomainIDs) > 0 }

// onlyDomains returns the domains that lists are restricted to, nil for all.
func (p principal) onlyDomains() []string {
	if !p.restricted() {
		return nil // an empty list would match no domain
	}
	return p.grant.DomainIDs
}

// seesToken reports whether the caller can access a token: a restricted caller can access only
// itself and tokens whose domains are among its own.
func (p principal) seesToken(t *controlplane.Token) bool {
	if !p.restricted() || p.token != nil && t.ID == p.token.ID {
		return true
	}
	return len(t.DomainIDs) > 0 && !slices.ContainsFunc(t.DomainIDs,
		func(id string) bool { return !p.grant.AllowsDomain(id) })
}

// admit counts the call, authenticates the caller, and checks the operation's scope. Unsecured
// operations are open to everyone.
func (a *API) admit(w http.ResponseWriter, r *http.Request, c *call) error {
	if !c.op.secured {
		return nil
	}
	if err := a.authenticate(w, r, c); err != nil {
		return err
	}
	return c.principal.mayCall(c.op)
}

// mayCall returns an error if the caller cannot call the operation.
func (p principal) mayCall(op *operation) error {
	switch {
	case op.session && p.session == nil:
		return &controlplane.Error{Kind: controlplane.KindForbidden, Code: "session-required",
			Message: "Only signed-in users can do this; tokens cannot.",
			Fix:     "Sign in on the dashboard."}
	case op.session, op.self && p.session != nil:
		return nil // the handler checks whether it is about the user
	}
	return p.need(op.scope)
}

// need returns an error if the caller lacks a scope.
func (p principal) need(s controlplane.Scope) error {
	switch {
	case p.grant.Allows(s):
		return nil
	case p.session != nil:
		return controlplane.RoleMissing(p.session.Role, s)
	}
	return &controlplane.Error{Kind: controlplane.KindForbidden, Code: codeScopeMissing,
		Message: "The token lacks the scope " + string(s) + ".",
		Fix:     "Use a token with the scope " + string(s) + ", or create one."}
}

// authenticate authenticates the caller by the token of the request or, without a token, by the
// session cookie. The call is counted before the lookup, as far as its caller is already known.
func (a *API) authenticate(w http.ResponseWriter, r *http.Request, c *call) error {
	if r.Header.Get("Authorization") == "" {
		if cookie, err := r.Cookie(a.cookie); err == nil {
			return a.fromSession(w, r, c, cookie.Value)
		}
	}
	secret, err := bearer(r.Header)
	if err != nil {
		return a.countRefused(r, c, err)
	}
	ctx, hash := r.Context(), controlplane.HashSecret(secret)
	count := func(by edge.Caller) error { return a.countCaller(w, r, c, by) }
	err = a.limiter.Verify(ctx, hash, c.ip, count, func() (edge.Caller, error) {
		p, err := a.tokenPrincipal(ctx, hash)
		if err != nil {
			return edge.Caller{}, err
		}
		c.identify(w.Header(), p, hash)
		return edge.Caller{OrgID: p.orgID, Tier: p.tier}, nil
	})
	if err != nil {
		return err
	}
	a.touch(ctx, c, c.principal.token)
	return nil
}

// tokenPrincipal returns the current principal of the token whose secret has this hash.
func (a *API) tokenPrincipal(ctx context.Context, hash []byte) (principal, error) {
	token, err := a.store.TokenByHash(ctx, hash)
	if controlplane.IsKind(err, controlplane.KindNotFound) {
		return principal{}, unauthorized("token-invalid",
			"Unknown token: it was revoked or belongs to another installation.")
	}
	if err != nil {
		return principal{}, err
	}
	if token.ExpiresAt != nil && !a.now().Before(*token.ExpiresAt) {
		return principal{}, unauthorized("token-expired", "The token expired at "+
			token.ExpiresAt.UTC().Format(time.RFC3339)+".")
	}
	if token.SecretUntil != nil && !a.now().Before(*token.SecretUntil) {
		return principal{}, unauthorized("token-rotated",
			"The token was rotated; this secret expired at "+
				token.SecretUntil.UTC().Format(time.RFC3339)+".")
	}
	return principal{orgID: token.OrgID, tier: token.Tier, grant: token.Grant(), token: token,
		actor: controlplane.Actor{Type: controlplane.ActorToken, ID: token.ID}}, nil
}

// identify records the caller and the hash of its secret, and adds the caller's organization to the
// response.
func (c *call) identify(h http.Header, p principal, hash []byte) {
	c.become(p)
	c.credential = hash
	h.Set("DCVaaS-Organization", p.orgID)
}

// become replaces the call's principal.
func (c *call) become(p principal) {
	p.actor.IP, p.actor.RequestID = c.ip, c.requestID
	c.principal = p
}

// bearer returns the secret of the only Authorization header (RFC 6750 §2.1). A malformed secret is
// rejected without a query.
func bearer(h http.Header) (string, error) {
	lines := h.Values("Authorization")
	if len(lines) == 0 {
		return "", unauthorized(codeTokenMissing, "The request has no token.")
	}
	scheme, secret, _ := strings.Cut(lines[0], " ")
	if len(lines) > 1 || !strings.EqualFold(scheme, "Bearer") {
		return "", unauthorized(codeTokenMissing,
			"The Authorization header is not a single bearer token.")
	}
	secret = strings.TrimSpace(secret)
	if !controlplane.WellFormed(secret) {
		return "", unauthorized("token-invalid", "Malformed token: it is incomplete or mistyped.")
	}
	return secret, nil
}

func unauthorized(code, message string) error {
	return &controlplane.Error{Kind: controlplane.KindUnauthorized, Code: code, Message: message}
}

// touched remembers recorded uses of tokens, so that a burst of calls with one token writes once.
type touched struct {
	mu sync.Mutex
	at map[string]time.Time // by token id
}

const maxTouched = 10_000

// first reports whether no use of id was recorded within touchEvery before now, and records one.
func (t *touched) first(id string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if last, ok := t.at[id]; ok && now.Sub(last) < touchEvery {
		return false
	}
	if t.at == nil || len(t.at) >= maxTouched {
		t.at = make(map[string]time.Time)
	}
	t.at[id] = now
	return true
}

// touch records the token's last use. The call does not fail because of it.
func (a *API) touch(ctx context.Context, c *call, token *controlplane.Token) {
	now := a.now()
	if token.LastUsedAt != nil && now.Sub(*token.LastUsedAt) < touchEvery ||
		!a.touched.first(token.ID, now) {
		return
	}
	if err := a.store.TouchToken(ctx, token.OrgID, token.ID, now); err != nil &&
		!errors.Is(ctx.Err(), context.Canceled) {
		a.log.LogAttrs(ctx, slog.LevelWarn, "token use not recorded",
			slog.String("request_id", c.requestID), slog.String("token_id", token.ID),
			slog.Any("error", err))
	}
}
