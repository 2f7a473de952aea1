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

// Codes that headers depend on.
const (
	codeTokenMissing = "token-missing"
	codeScopeMissing = "scope-missing"
)

// touchEvery is how often a token's last use is recorded at most.
const touchEvery = time.Minute

// principal is who calls, in which organization, and what they may do there.
type principal struct {
	orgID string
	tier  controlplane.Tier
	grant *controlplane.Grant
	actor controlplane.Actor
	// One of the two is there: the token that was sent, or who is signed in.
	token   *controlplane.Token
	session *controlplane.Session
}

func principalOf(ctx context.Context) principal { return callOf(ctx).principal }

func (p principal) org() string { return p.orgID }

// restricted reports whether only some of the organization's domains may be touched.
func (p principal) restricted() bool { return len(p.grant.DomainIDs) > 0 }

// onlyDomains returns the domains that lists are narrowed to, nil for all.
func (p principal) onlyDomains() []string {
	if !p.restricted() {
		return nil // an empty list would let none through
	}
	return p.grant.DomainIDs
}

// seesToken reports whether a token may be touched: a restricted caller reaches only those
// whose domains are among its own.
func (p principal) seesToken(t *controlplane.Token) bool {
	if !p.restricted() || p.token != nil && t.ID == p.token.ID {
		return true
	}
	return len(t.DomainIDs) > 0 && !slices.ContainsFunc(t.DomainIDs, func(id string) bool { return !p.grant.AllowsDomain(id) })
}

// admit counts the call, finds who calls, and whether they have the operation's scope. Unsecured operations let everyone in.
func (a *API) admit(w http.ResponseWriter, r *http.Request, c *call) error {
	if !c.op.secured {
		return nil
	}
	if err := a.authenticate(w, r, c); err != nil {
		return err
	}
	return c.principal.mayCall(c.op)
}

// mayCall returns why the operation is not for the caller, nil if it is.
func (p principal) mayCall(op *operation) error {
	switch {
	case op.session && p.session == nil:
		return &controlplane.Error{Kind: controlplane.KindForbidden, Code: "session-required",
			Message: "Only a person who is signed in can do this; a token cannot.", Fix: "Sign in on the dashboard."}
	case op.session, op.self && p.session != nil:
		return nil // the handler finds out whether it is about themselves
	}
	return p.need(op.scope)
}

// need refuses a caller that lacks a scope.
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

// authenticate finds who calls: whose token the request carries, or, where it carries none,
// who is signed in. The call is counted before anything is looked up, as far as it is known
// by then whose it is.
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

// tokenPrincipal returns what the secret with this hash admits to now.
func (a *API) tokenPrincipal(ctx context.Context, hash []byte) (principal, error) {
	token, err := a.store.TokenByHash(ctx, hash)
	if controlplane.IsKind(err, controlplane.KindNotFound) {
		return principal{}, unauthorized("token-invalid", "There is no such token: it was revoked, or belongs to another installation.")
	}
	if err != nil {
		return principal{}, err
	}
	if token.ExpiresAt != nil && !a.now().Before(*token.ExpiresAt) {
		return principal{}, unauthorized("token-expired", "The token expired at "+token.ExpiresAt.UTC().Format(time.RFC3339)+".")
	}
	if token.SecretUntil != nil && !a.now().Before(*token.SecretUntil) {
		return principal{}, unauthorized("token-rotated", "The token was given a new secret; this one ended at "+token.SecretUntil.UTC().Format(time.RFC3339)+".")
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

// bearer returns the secret of the one Authorization header (RFC 6750 §2.1). One that has
// not the form of a secret costs no query.
func bearer(h http.Header) (string, error) {
	lines := h.Values("Authorization")
	if len(lines) == 0 {
		return "", unauthorized(codeTokenMissing, "The request carries no token.")
	}
	scheme, secret, _ := strings.Cut(lines[0], " ")
	if len(lines) > 1 || !strings.EqualFold(scheme, "Bearer") {
		return "", unauthorized(codeTokenMissing, "The Authorization header is not one bearer token.")
	}
	secret = strings.TrimSpace(secret)
	if !controlplane.WellFormed(secret) {
		return "", unauthorized("token-invalid", "The token has not the form of one: it was cut short or mistyped.")
	}
	return secret, nil
}

func unauthorized(code, message string) error {
	return &controlplane.Error{Kind: controlplane.KindUnauthorized, Code: code, Message: message}
}

// touched holds back what would write the same last use again: a burst of calls with one
// token writes once.
type touched struct {
	mu sync.Mutex
	at map[string]time.Time // by token id
}

const maxTouched = 10_000

// first reports whether id was not recorded within touchEvery before now, and records it.
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

// touch records the token's last use. A call does not fail for it.
func (a *API) touch(ctx context.Context, c *call, token *controlplane.Token) {
	now := a.now()
	if token.LastUsedAt != nil && now.Sub(*token.LastUsedAt) < touchEvery || !a.touched.first(token.ID, now) {
		return
	}
	if err := a.store.TouchToken(ctx, token.OrgID, token.ID, now); err != nil && !errors.Is(ctx.Err(), context.Canceled) {
		a.log.LogAttrs(ctx, slog.LevelWarn, "last use of a token was not recorded",
			slog.String("request_id", c.requestID), slog.String("token_id", token.ID), slog.Any("error", err))
	}
}
