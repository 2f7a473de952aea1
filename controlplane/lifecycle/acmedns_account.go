package lifecycle

import (
	"context"
	"fmt"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// NewACMEDNSAccount is the input of CreateACMEDNSAccount.
type NewACMEDNSAccount struct {
	Description string
	AllowFrom   []string
	Delegation  string // ID or name of the delegation whose target it uses; empty: its own target
	Replacing   string // ID of an account that does not count for the plan's limit, for dry runs
}

// CreateACMEDNSAccount adds an account of the acme-dns API and returns it with its password, which
// is not stored. by is the caller's grant, nil for the operator: the use of a delegation requires
// domains:write, because the account's holder can validate the delegation's name at any CA. It
// returns KindInvalid with every invalid field, and KindForbidden if the scope is missing or the
// plan's limit is reached.
func (s *Service) CreateACMEDNSAccount(
	ctx context.Context, actor controlplane.Actor, by *controlplane.Grant, orgID string,
	in NewACMEDNSAccount,
) (*controlplane.ACMEDNSAccount, string, error) {
	sources, err := checkACMEDNSAccount(in.Description, in.AllowFrom)
	if err != nil {
		return nil, "", err
	}
	now := s.now()
	a := newACMEDNSAccount(orgID, now)
	a.Description, a.AllowFrom, a.CreatedBy = in.Description, sources, actor.ID
	password := controlplane.NewACMEDNSPassword()
	err = s.Store.InTx(ctx, func(t *postgres.Tx) error {
		org, err := lockGrantor(ctx, t, actor, by, orgID)
		if err != nil {
			return err
		}
		if err := roomForAccount(ctx, t, orgID, org.Tier, in.Replacing); err != nil {
			return err
		}
		if in.Delegation != "" {
			if err := s.attach(ctx, t, actor, by, a, in.Delegation, now); err != nil {
				return err
			}
		}
		return s.addAccount(ctx, t, actor, a, password, nil)
	})
	if err != nil {
		return nil, "", err
	}
	return a, password, nil
}

// ACMEDNSAccountPatch changes an account. nil keeps a field.
type ACMEDNSAccountPatch struct {
	Description *string
	AllowFrom   *[]string
	Delegation  *string // ID or name; empty: the account's own target
}

// UpdateACMEDNSAccount changes an account. If the target changes, its values are no longer served.
// by is the caller's grant, as in CreateACMEDNSAccount. A patch that sets what is already set
// changes nothing.
func (s *Service) UpdateACMEDNSAccount(
	ctx context.Context, actor controlplane.Actor, by *controlplane.Grant, orgID, id string,
	p ACMEDNSAccountPatch,
) (*controlplane.ACMEDNSAccount, error) {
	var description string
	var sources []string
	set(&description, p.Description)
	set(&sources, p.AllowFrom)
	sources, err := checkACMEDNSAccount(description, sources)
	if err != nil {
		return nil, err
	}
	var a *controlplane.ACMEDNSAccount
	err = s.Store.InTx(ctx, func(t *postgres.Tx) error {
		now := s.now()
		if _, err := lockGrantor(ctx, t, actor, by, orgID); err != nil {
			return err
		}
		if a, err = t.LockACMEDNSAccount(ctx, orgID, id); err != nil {
			return err
		}
		before := *a
		set(&a.Description, p.Description)
		if p.AllowFrom != nil {
			a.AllowFrom = sources
		}
		switch {
		case p.Delegation == nil:
		case *p.Delegation == "":
			a.DelegationID, a.DelegationName, a.Target = "", "", a.Subdomain
		default:
			if err := s.attach(ctx, t, actor, by, a, *p.Delegation, now); err != nil {
				return err
			}
		}
		if same(before, *a) {
			return nil
		}
		a.UpdatedAt = now
		if err := t.SaveACMEDNSAccount(ctx, a); err != nil {
			return err
		}
		entry := s.auditAccount(actor, controlplane.ActionACMEDNSUpdated, a, now)
		entry.Before, entry.After = describeAccount(&before), describeAccount(a)
		return t.Audit(ctx, entry)
	})
	return a, err
}

// RotateACMEDNSPassword replaces the password of an account, and returns the new one, which is not
// stored. The previous one is invalid at once. For an account that uses a delegation, the grant
// requires domains:write, as in CreateACMEDNSAccount.
func (s *Service) RotateACMEDNSPassword(
	ctx context.Context, actor controlplane.Actor, by *controlplane.Grant, orgID, id string,
) (*controlplane.ACMEDNSAccount, string, error) {
	password := controlplane.NewACMEDNSPassword()
	var a *controlplane.ACMEDNSAccount
	err := s.Store.InTx(ctx, func(t *postgres.Tx) error {
		_, err := lockGrantor(ctx, t, actor, by, orgID)
		if err != nil {
			return err
		}
		if a, err = t.LockACMEDNSAccount(ctx, orgID, id); err != nil {
			return err
		}
		if a.DelegationID != "" {
			if err := mayAttach(by); err != nil {
				return err
			}
		}
		now := s.now()
		if err := t.SetACMEDNSPassword(ctx, orgID, id, controlplane.HashSecret(password),
			now); err != nil {
			return err
		}
		a.RotatedAt = &now
		return t.Audit(ctx, s.auditAccount(actor, controlplane.ActionACMEDNSRotated, a, now))
	})
	if err != nil {
		return nil, "", err
	}
	return a, password, nil
}

// DeleteACMEDNSAccount deletes an account. Its values are no longer served, and its own target no
// longer exists.
func (s *Service) DeleteACMEDNSAccount(
	ctx context.Context, actor controlplane.Actor, orgID, id string,
) error {
	return s.Store.InTx(ctx, func(t *postgres.Tx) error {
		a, err := t.LockACMEDNSAccount(ctx, orgID, id)
		if err != nil {
			return err
		}
		if err := t.DeleteACMEDNSAccount(ctx, orgID, id); err != nil {
			return err
		}
		entry := s.auditAccount(actor, controlplane.ActionACMEDNSDeleted, a, s.now())
		entry.Before = describeAccount(a)
		return t.Audit(ctx, entry)
	})
}

// newACMEDNSAccount returns an account at its own target.
func newACMEDNSAccount(orgID string, now time.Time) *controlplane.ACMEDNSAccount {
	label := controlplane.NewACMEDNSSubdomain()
	return &controlplane.ACMEDNSAccount{ID: controlplane.NewID(controlplane.PrefixACMEDNS),
		OrgID: orgID, Username: controlplane.NewACMEDNSUsername(), Subdomain: label, Target: label,
		CreatedAt: now, UpdatedAt: now}
}

// addAccount stores a new account with its audit entry. The transaction has locked the
// organization.
func (s *Service) addAccount(
	ctx context.Context, t *postgres.Tx, actor controlplane.Actor, a *controlplane.ACMEDNSAccount,
	password string, details map[string]any,
) error {
	if err := t.AddACMEDNSAccount(ctx, a, controlplane.HashSecret(password)); err != nil {
		return err
	}
	entry := s.auditAccount(actor, controlplane.ActionACMEDNSRegistered, a, a.CreatedAt)
	entry.After, entry.Details = describeAccount(a), details
	return t.Audit(ctx, entry)
}

// roomForAccount returns KindForbidden if the organization has as many accounts as its plan
// includes, without the one with the ID except.
func roomForAccount(
	ctx context.Context, t *postgres.Tx, orgID string, tier controlplane.Tier, except string,
) error {
	used, err := t.ACMEDNSAccountCount(ctx, orgID, except)
	if err != nil || used < tier.ACMEDNSAccounts() {
		return err
	}
	return &controlplane.Error{Kind: controlplane.KindForbidden, Code: "plan-limit",
		Message: fmt.Sprintf("The %s plan includes %d acme-dns accounts, and %d exist.", tier,
			tier.ACMEDNSAccounts(), used),
		Fix: "Delete accounts that are no longer needed, or move the organization to a larger " +
			"plan."}
}

// attach makes an account use the target of a delegation, and pins the delegation, so that it
// stays. The transaction has locked the organization.
func (s *Service) attach(
	ctx context.Context, t *postgres.Tx, actor controlplane.Actor, by *controlplane.Grant,
	a *controlplane.ACMEDNSAccount, ref string, now time.Time,
) error {
	if err := mayAttach(by); err != nil {
		return err
	}
	if name, err := rules.CanonicalName(ref); err == nil &&
		!controlplane.IsID(controlplane.PrefixDelegation, ref) {
		ref = name
	}
	g, err := t.LockDelegation(ctx, a.OrgID, ref)
	if controlplane.IsKind(err, controlplane.KindNotFound) {
		return controlplane.Invalid("/delegation_id", "delegation-unknown",
			"The organization has no such delegation.", "")
	}
	if err != nil {
		return err
	}
	a.DelegationID, a.DelegationName, a.Target = g.ID, g.Name, g.Target
	pinned := true
	return s.changeDelegation(ctx, t, actor, g, DelegationPatch{Pinned: &pinned}, now)
}

// mayAttach returns KindForbidden if the grant does not include domains:write.
func mayAttach(by *controlplane.Grant) error {
	switch {
	case by == nil || by.Allows(controlplane.ScopeDomainsWrite):
		return nil
	case by.Role != "":
		return controlplane.RoleMissing(by.Role, controlplane.ScopeDomainsWrite)
	}
	return &controlplane.Error{Kind: controlplane.KindForbidden, Code: "scope-missing",
		Message: "The token lacks the scope " + string(controlplane.ScopeDomainsWrite) +
			", which the password of an account with the target of a delegation requires.",
		Fix: "Use a token with the scope " + string(controlplane.ScopeDomainsWrite) + "."}
}

// checkACMEDNSAccount validates the fields of an account, and returns its networks in stored form.
// Its error lists every invalid field.
func checkACMEDNSAccount(description string, allowFrom []string) ([]string, error) {
	problem := &controlplane.Error{}
	check := func(pointer string, err error) {
		if err := controlplane.InvalidBy(pointer, err); err != nil {
			e := controlplane.AsError(err)
			problem.Fields, problem.Fix = append(problem.Fields, e.Fields...), e.Fix
		}
	}
	check("/description", rules.CheckDescription(description))
	if len(allowFrom) > rules.MaxNetworks {
		check("/allow_from", rules.TooMany(rules.MaxNetworks))
		return nil, invalid(problem)
	}
	sources := make([]string, len(allowFrom))
	for i, network := range allowFrom {
		var err error
		sources[i], err = rules.ParseNetwork(network)
		check(fmt.Sprintf("/allow_from/%d", i), err)
	}
	return sources, invalid(problem)
}

// accountsUse returns KindConflict if accounts use the target of a delegation, which therefore must
// stay.
func accountsUse(ctx context.Context, t *postgres.Tx, g *controlplane.Delegation) error {
	accounts, err := t.ACMEDNSAccountsAt(ctx, g.OrgID, g.ID, usersShown)
	if err != nil || len(accounts) == 0 {
		return err
	}
	list := ""
	for i := range accounts {
		if i > 0 {
			list += ", "
		}
		list += accounts[i].ID
	}
	return &controlplane.Error{Kind: controlplane.KindConflict, Code: "delegation-in-use",
		ExistingID: accounts[0].ID,
		Message:    "acme-dns accounts use the target of " + g.Name + ": " + list + ".",
		Fix:        "Delete these accounts, or set their delegation_id to null, first."}
}

func (s *Service) auditAccount(
	actor controlplane.Actor, action string, a *controlplane.ACMEDNSAccount, now time.Time,
) controlplane.AuditEntry {
	return s.audit(a.OrgID, actor, action, "acmedns_account", a.ID, now)
}

// describeAccount returns the fields of an account for the audit log.
func describeAccount(a *controlplane.ACMEDNSAccount) map[string]any {
	d := map[string]any{"subdomain": a.Subdomain, "description": a.Description,
		"allow_from": a.AllowFrom}
	if a.DelegationID != "" {
		d["delegation_id"], d["name"] = a.DelegationID, a.DelegationName
	}
	return d
}
