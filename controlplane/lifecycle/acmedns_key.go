package lifecycle

import (
	"context"
	"fmt"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// CreateACMEDNSKey adds a registration key and returns it with its secret, which is not stored. by
// is the caller's grant, nil for the operator. replacing is the ID of a key that does not count for
// the plan's limit, for dry runs. It returns KindForbidden if the limit is reached.
func (s *Service) CreateACMEDNSKey(
	ctx context.Context, actor controlplane.Actor, by *controlplane.Grant, orgID, name string,
	replacing string,
) (*controlplane.ACMEDNSKey, string, error) {
	name, err := controlplane.DisplayName(name)
	if err != nil {
		return nil, "", err
	}
	secret := controlplane.NewRegistrationSecret()
	k := &controlplane.ACMEDNSKey{ID: controlplane.NewID(controlplane.PrefixACMEDNSKey),
		OrgID: orgID, Name: name, Prefix: controlplane.RegistrationPrefix(secret),
		CreatedBy: actor.ID, CreatedAt: s.now()}
	err = s.Store.InTx(ctx, func(t *postgres.Tx) error {
		org, err := lockGrantor(ctx, t, actor, by, orgID)
		if err != nil {
			return err
		}
		used, err := t.ACMEDNSKeyCount(ctx, orgID, replacing)
		if err != nil {
			return err
		}
		if used >= org.Tier.ACMEDNSKeys() {
			return &controlplane.Error{Kind: controlplane.KindForbidden, Code: "plan-limit",
				Message: fmt.Sprintf("The %s plan includes %d registration keys, and %d exist.",
					org.Tier, org.Tier.ACMEDNSKeys(), used),
				Fix: "Delete keys that are no longer needed, or move the organization to a " +
					"larger plan."}
		}
		if err := t.AddACMEDNSKey(ctx, k, controlplane.HashSecret(secret)); err != nil {
			return err
		}
		entry := s.audit(orgID, actor, controlplane.ActionACMEDNSKeyCreated, "acmedns_key", k.ID,
			k.CreatedAt)
		entry.After = map[string]any{"name": k.Name, "prefix": k.Prefix}
		return t.Audit(ctx, entry)
	})
	if err != nil {
		return nil, "", err
	}
	return k, secret, nil
}

// DeleteACMEDNSKey revokes a registration key: it registers no further accounts. The accounts that
// it has registered stay, and keep the URL that contains it.
func (s *Service) DeleteACMEDNSKey(
	ctx context.Context, actor controlplane.Actor, orgID, id string,
) error {
	return s.Store.InTx(ctx, func(t *postgres.Tx) error {
		k, err := t.ACMEDNSKey(ctx, orgID, id)
		if err != nil {
			return err
		}
		if err := t.DeleteACMEDNSKey(ctx, orgID, id); err != nil {
			return err
		}
		entry := s.audit(orgID, actor, controlplane.ActionACMEDNSKeyDeleted, "acmedns_key", id,
			s.now())
		entry.Before = map[string]any{"name": k.Name, "prefix": k.Prefix}
		return t.Audit(ctx, entry)
	})
}

// Registration is a registration of an account by a client of the acme-dns API.
type Registration struct {
	OrgID     string
	Key       *controlplane.ACMEDNSKey // that the client used; nil: none
	AllowFrom []string                 // in stored form
	IP        string
	RequestID string
}

// RegisterACMEDNSAccount adds an account with its own target for a client, and returns it with its
// password, which is not stored. It returns KindNotFound if the organization or the key no longer
// exists, and KindForbidden if the plan's limit is reached.
func (s *Service) RegisterACMEDNSAccount(
	ctx context.Context, in Registration,
) (*controlplane.ACMEDNSAccount, string, error) {
	now := s.now()
	a := newACMEDNSAccount(in.OrgID, now)
	a.AllowFrom, a.CreatedBy = in.AllowFrom, "acmedns"
	actor := controlplane.Actor{Type: controlplane.ActorSystem, ID: "acmedns", IP: in.IP,
		RequestID: in.RequestID}
	var details map[string]any
	if in.Key != nil {
		a.KeyID, a.CreatedBy = in.Key.ID, in.Key.ID
		details = map[string]any{"key_id": in.Key.ID, "key_name": in.Key.Name}
	}
	password := controlplane.NewACMEDNSPassword()
	err := s.Store.InTx(ctx, func(t *postgres.Tx) error {
		tier, err := t.LockTier(ctx, in.OrgID)
		if err != nil {
			return err
		}
		if in.Key != nil {
			if err := t.CountRegistration(ctx, in.OrgID, in.Key.ID, now); err != nil {
				return err
			}
		}
		if err := roomForAccount(ctx, t, in.OrgID, tier, ""); err != nil {
			return err
		}
		return s.addAccount(ctx, t, actor, a, password, details)
	})
	if err != nil {
		return nil, "", err
	}
	return a, password, nil
}
