package lifecycle

import (
	"context"
	"fmt"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// NewToken is the input of CreateToken.
type NewToken struct {
	Name      string
	Scopes    []controlplane.Scope
	DomainIDs []string // limits the token to these domains; empty: all
	ExpiresAt *time.Time
	Replacing string // ID of a token that does not count for the plan's limit, for dry runs
}

// CreateToken adds a token and returns it with its secret, which is not stored. by is the caller's
// grant, which the token must not exceed, nil for the operator.
func (s *Service) CreateToken(
	ctx context.Context, actor controlplane.Actor, by *controlplane.Grant, orgID string,
	in NewToken,
) (*controlplane.Token, string, error) {
	now := s.now()
	problem := &controlplane.Error{}
	add := func(pointer, code, detail string) {
		problem.Fields = append(problem.Fields,
			controlplane.FieldError{Pointer: pointer, Code: code, Detail: detail})
	}
	check := func(pointer string, err error) bool {
		if err == nil {
			return true
		}
		e := controlplane.AsError(controlplane.InvalidBy(pointer, err))
		problem.Fields, problem.Fix = append(problem.Fields, e.Fields...), e.Fix
		return false
	}
	name, err := rules.DisplayName(in.Name)
	check("/name", err)
	if len(in.Scopes) == 0 {
		add("/scopes", "scopes-empty", "A token needs at least one scope.")
	}
	if len(in.Scopes) > rules.MaxTokenScopes {
		check("/scopes", rules.TooMany(rules.MaxTokenScopes))
		in.Scopes = nil
	}
	for i, sc := range in.Scopes {
		pointer := fmt.Sprintf("/scopes/%d", i)
		known := check(pointer, rules.CheckScope(string(sc)))
		if known && by != nil && !by.Allows(sc) {
			add(pointer, "scope-exceeds",
				"The caller's token does not have the scope "+string(sc)+".")
		}
	}
	if in.ExpiresAt != nil && !in.ExpiresAt.After(now) {
		check("/expires_at", rules.ExpiresInPast())
	}
	if by != nil && by.ExpiresAt != nil &&
		(in.ExpiresAt == nil || in.ExpiresAt.After(*by.ExpiresAt)) {
		add("/expires_at", "expires-exceeds", "The caller's token expires at "+
			by.ExpiresAt.Format(time.RFC3339)+", so the new token must not expire later.")
	}
	if by != nil && len(by.DomainIDs) > 0 && len(in.DomainIDs) == 0 {
		add("/domain_ids", "domains-exceed",
			"The caller's token is limited to some domains, so the new token must be limited to some of them.")
	}
	if len(in.DomainIDs) > rules.MaxTokenDomains {
		check("/domain_ids", rules.TooMany(rules.MaxTokenDomains))
		in.DomainIDs = nil
	}
	known, err := s.Store.DomainIDs(ctx, orgID, in.DomainIDs)
	if err != nil {
		return nil, "", err
	}
	for i, id := range in.DomainIDs {
		if by != nil && !by.AllowsDomain(id) {
			add(fmt.Sprintf("/domain_ids/%d", i), "domains-exceed",
				"The caller's token does not have access to this domain.")
		} else if id == "" || known[id] != id { // the map returns "" for an unknown ID
			add(fmt.Sprintf("/domain_ids/%d", i), "domain-unknown",
				"The organization has no domain with this ID.")
		}
	}
	if err := invalid(problem); err != nil {
		return nil, "", err
	}
	secret := controlplane.NewSecret()
	t := &controlplane.Token{ID: controlplane.NewID(controlplane.PrefixToken), OrgID: orgID,
		Name: name, Scopes: unique(in.Scopes), DomainIDs: unique(in.DomainIDs),
		CreatedBy: actor.ID, CreatedAt: now, ExpiresAt: toMicrosecond(in.ExpiresAt),
		Secrets: controlplane.Secrets{{Prefix: controlplane.SecretPrefix(secret), CreatedAt: now}}}
	err = s.Store.InTx(ctx, func(tx *postgres.Tx) error {
		org, err := lockGrantor(ctx, tx, actor, by, orgID)
		if err != nil {
			return err
		}
		used, err := tx.TokenCount(ctx, orgID, in.Replacing)
		if err != nil {
			return err
		}
		if used >= org.Tier.Tokens() {
			return &controlplane.Error{Kind: controlplane.KindForbidden, Code: "plan-limit",
				Message: fmt.Sprintf("The %s plan includes %d API tokens, and %d exist.", org.Tier,
					org.Tier.Tokens(), used),
				Fix: "Revoke tokens that are no longer needed, or move the organization to a larger plan."}
		}
		if err := tx.AddToken(ctx, t, controlplane.HashSecret(secret)); err != nil {
			return err
		}
		entry := s.audit(orgID, actor, controlplane.ActionTokenCreated, "token", t.ID, now)
		entry.After = map[string]any{"name": t.Name, "scopes": t.Scopes, "domain_ids": t.DomainIDs,
			"expires_at": t.ExpiresAt, "prefix": t.Secrets.Prefix()}
		return tx.Audit(ctx, entry)
	})
	if err != nil {
		return nil, "", err
	}
	return t, secret, nil
}

// RenameToken changes a token's name.
func (s *Service) RenameToken(
	ctx context.Context, actor controlplane.Actor, orgID, id, name string,
) (*controlplane.Token, error) {
	name, err := controlplane.DisplayName(name)
	if err != nil {
		return nil, err
	}
	var t *controlplane.Token
	err = s.Store.InTx(ctx, func(tx *postgres.Tx) error {
		var err error
		if t, err = tx.Token(ctx, orgID, id); err != nil || t.Name == name {
			return err
		}
		entry := s.audit(orgID, actor, controlplane.ActionTokenUpdated, "token", id, s.now())
		entry.Before, entry.After = map[string]any{"name": t.Name}, map[string]any{"name": name}
		if err := tx.RenameToken(ctx, orgID, id, name); err != nil {
			return err
		}
		t.Name = name
		return tx.Audit(ctx, entry)
	})
	return t, err
}

// DeleteToken revokes a token. Its secrets are invalid at once.
func (s *Service) DeleteToken(
	ctx context.Context, actor controlplane.Actor, orgID, id string,
) error {
	return s.Store.InTx(ctx, func(tx *postgres.Tx) error {
		t, err := tx.Token(ctx, orgID, id)
		if err != nil {
			return err
		}
		if err := tx.DeleteToken(ctx, orgID, id); err != nil {
			return err
		}
		return tx.Audit(ctx, s.tokenDeleted(actor, t, s.now()))
	})
}

func (s *Service) tokenDeleted(
	actor controlplane.Actor, t *controlplane.Token, now time.Time,
) controlplane.AuditEntry {
	entry := s.audit(t.OrgID, actor, controlplane.ActionTokenDeleted, "token", t.ID, now)
	entry.Before = map[string]any{"name": t.Name, "prefix": t.Secrets.Prefix()}
	return entry
}

// RevokeTokens revokes every token of the organization except the one with the ID keep, and returns
// their number. Their secrets are invalid at once.
func (s *Service) RevokeTokens(
	ctx context.Context, actor controlplane.Actor, orgID, keep string,
) (int, error) {
	n := 0
	err := s.Store.InTx(ctx, func(tx *postgres.Tx) error {
		var err error
		if n, err = tx.DeleteTokens(ctx, orgID, keep); err != nil || n == 0 {
			return err
		}
		entry := s.audit(orgID, actor, controlplane.ActionTokensRevoked, "organization", orgID,
			s.now())
		entry.Details = map[string]any{"revoked": n, "kept": keep}
		return tx.Audit(ctx, entry)
	})
	return n, err
}

// unique returns the distinct values in their order.
func unique[T comparable](in []T) []T {
	out, seen := make([]T, 0, len(in)), make(map[T]bool, len(in))
	for _, v := range in {
		if !seen[v] {
			out, seen[v] = append(out, v), true
		}
	}
	return out
}
