package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// NewWebhook is the input of CreateWebhook. With an empty Secret one is generated.
type NewWebhook struct {
	URL         string
	Description string
	Events      []string // event types; empty: all
	Enabled     bool
	Secret      string
	Replacing   string // ID of a webhook that does not count for the plan's limit, for dry runs
}

// CreateWebhook adds a webhook and returns it with its signing secret, which is not shown again. It
// returns KindInvalid with every invalid field, and KindForbidden if the plan's limit is reached.
func (s *Service) CreateWebhook(
	ctx context.Context, actor controlplane.Actor, orgID string, in NewWebhook,
) (*controlplane.Webhook, string, error) {
	if in.Secret == "" {
		in.Secret = controlplane.NewWebhookSecret()
	}
	if err := s.checkWebhook(&in.URL, &in.Description, in.Events, in.Secret); err != nil {
		return nil, "", err
	}
	now := s.now()
	w := &controlplane.Webhook{ID: controlplane.NewID(controlplane.PrefixWebhook), OrgID: orgID,
		URL: in.URL, Description: in.Description,
		Events: unique(in.Events), Enabled: in.Enabled, CreatedBy: actor.ID, CreatedAt: now,
		UpdatedAt: now}
	sealed, err := s.Sealer.Seal([]byte(in.Secret), w.ID)
	if err != nil {
		return nil, "", wrap("seal a webhook secret", err)
	}
	w.Secrets = controlplane.Secrets{{Prefix: controlplane.WebhookSecretPrefix(in.Secret),
		CreatedAt: now, Sealed: sealed}}
	err = s.Store.InTx(ctx, func(t *postgres.Tx) error {
		tier, err := t.LockTier(ctx, orgID)
		if err != nil {
			return err
		}
		used, err := t.WebhookCount(ctx, orgID, in.Replacing)
		if err != nil {
			return err
		}
		if used >= tier.Webhooks() {
			return &controlplane.Error{Kind: controlplane.KindForbidden, Code: "plan-limit",
				Message: fmt.Sprintf("The %s plan includes %d webhooks, and %d are in use.", tier,
					tier.Webhooks(), used),
				Fix: "Delete a webhook that is no longer needed, or move the organization to a larger plan."}
		}
		if err := t.AddWebhook(ctx, w); err != nil {
			return err
		}
		entry := s.audit(orgID, actor, controlplane.ActionWebhookCreated, "webhook", w.ID, now)
		entry.After = describeWebhook(w)
		return t.Audit(ctx, entry)
	})
	return w, in.Secret, err
}

// WebhookPatch changes a webhook. nil keeps a field.
type WebhookPatch struct {
	URL         *string
	Description *string
	Events      *[]string // a set: their order is not a change
	Enabled     *bool
	Secret      *string // the current secret also signs for controlplane.WebhookOverlap
}

// UpdateWebhook changes a webhook. Enabling it or changing its URL resets its failures. Disabling
// it abandons its pending deliveries. A patch that sets what is already set changes nothing.
func (s *Service) UpdateWebhook(
	ctx context.Context, actor controlplane.Actor, orgID, id string, p WebhookPatch,
) (*controlplane.Webhook, error) {
	var events []string
	if p.Events != nil {
		events = unique(*p.Events)
		p.Events = &events
	}
	secret := controlplane.NewWebhookSecret()
	set(&secret, p.Secret)
	if err := s.checkWebhook(p.URL, p.Description, events, secret); err != nil {
		return nil, err
	}
	disabled := false
	w, err := s.changeWebhook(ctx, orgID, id,
		func(
			t *postgres.Tx, w *controlplane.Webhook, now time.Time,
		) (controlplane.AuditEntry, error) {
			before := *w
			entry := s.audit(orgID, actor, controlplane.ActionWebhookUpdated, "webhook", w.ID, now)
			entry.Before = describeWebhook(w)
			p.apply(w)
			rotated := false
			if p.Secret != nil {
				var err error
				if rotated, err = s.setSecret(ctx, t, w, *p.Secret, now); err != nil {
					return entry, err
				}
			}
			if !rotated && same(before, *w) {
				return entry, errUnchanged
			}
			if rotated {
				entry.Details = map[string]any{"secret_rotated": true}
			}
			disabled = before.Enabled && !w.Enabled
			entry.After = describeWebhook(w)
			return entry, nil
		})
	if err == nil && disabled {
		s.abandonDeliveries(ctx, orgID, id)
	}
	return w, err
}

// apply changes everything but the secret.
func (p *WebhookPatch) apply(w *controlplane.Webhook) {
	if p.Enabled != nil && *p.Enabled && !w.Enabled || p.URL != nil && *p.URL != w.URL {
		w.FailingSince = nil
	}
	set(&w.URL, p.URL)
	set(&w.Description, p.Description)
	if p.Events != nil && !slices.Equal(slices.Sorted(slices.Values(*p.Events)),
		slices.Sorted(slices.Values(w.Events))) {
		w.Events = *p.Events
	}
	if p.Enabled != nil && *p.Enabled != w.Enabled {
		w.Enabled, w.DisabledReason = *p.Enabled, ""
	}
}

// DeleteWebhook ends a webhook: nothing is delivered to it any longer, and it is not found.
// RemoveDeleted removes its deliveries.
func (s *Service) DeleteWebhook(
	ctx context.Context, actor controlplane.Actor, orgID, id string,
) error {
	return s.Store.InTx(ctx, func(t *postgres.Tx) error {
		// Deletions in an organization are serialized: each one adds a delivery to the other
		// webhooks.
		if _, err := t.LockTier(ctx, orgID); err != nil {
			return err
		}
		w, err := t.LockWebhook(ctx, orgID, id)
		if err != nil {
			return err
		}
		now := s.now()
		if err := t.EndWebhook(ctx, orgID, id, now); err != nil {
			return err
		}
		entry := s.audit(orgID, actor, controlplane.ActionWebhookDeleted, "webhook", id, now)
		entry.Before = describeWebhook(w)
		return t.Audit(ctx, entry)
	})
}

// errUnchanged ends a change of an object that changes nothing.
var errUnchanged = errors.New("unchanged")

// changeWebhook locks the webhook, runs change on it, saves it, and records the entry that change
// returns. If change returns errUnchanged, it does not save it.
func (s *Service) changeWebhook(
	ctx context.Context, orgID, id string,
	change func(*postgres.Tx, *controlplane.Webhook, time.Time) (controlplane.AuditEntry, error),
) (*controlplane.Webhook, error) {
	var w *controlplane.Webhook
	err := s.Store.InTx(ctx, func(t *postgres.Tx) error {
		now := s.now()
		var err error
		if w, err = t.LockWebhook(ctx, orgID, id); err != nil {
			return err
		}
		entry, err := change(t, w, now)
		if errors.Is(err, errUnchanged) {
			return nil
		}
		if err != nil {
			return err
		}
		w.UpdatedAt = now
		if err := t.SaveWebhook(ctx, w); err != nil {
			return err
		}
		return t.Audit(ctx, entry)
	})
	return w, err
}

// checkWebhook validates the fields that are not nil. Its error lists every invalid field.
func (s *Service) checkWebhook(address, description *string, events []string, secret string) error {
	problem := &controlplane.Error{}
	add := func(err error) {
		if err != nil {
			e := controlplane.AsError(err)
			problem.Fields, problem.Fix = append(problem.Fields, e.Fields...), e.Fix
		}
	}
	if address != nil {
		add(controlplane.CheckWebhookURL(*address, s.WebhookLoopback))
	}
	if description != nil {
		add(controlplane.InvalidBy("/description", rules.CheckDescription(*description)))
	}
	if len(events) > rules.MaxWebhookEvents {
		add(controlplane.InvalidBy("/events", rules.TooMany(rules.MaxWebhookEvents)))
		events = nil
	}
	for i, e := range events {
		if !slices.Contains(controlplane.EventTypes(), e) {
			add(controlplane.Invalid(fmt.Sprintf("/events/%d", i), "event-unknown",
				fmt.Sprintf("Unknown event type %.64q", e)+
					controlplane.DidYouMean(e, controlplane.EventTypes()),
				"Send event types such as "+controlplane.ActionCertificateIssued+
					", or none for all."))
		}
	}
	_, err := controlplane.WebhookKey(secret)
	add(err)
	return invalid(problem)
}

// describeWebhook returns the fields of a webhook for the audit log. Of its URL that is only the
// host: the rest may contain a secret, and other webhooks receive the log's entries.
func describeWebhook(w *controlplane.Webhook) map[string]any {
	m := map[string]any{"events": w.Events, "enabled": w.Enabled, "description": w.Description}
	if u, err := url.Parse(w.URL); err == nil {
		m["host"] = u.Host
	}
	if w.DisabledReason != "" {
		m["disabled_reason"] = w.DisabledReason
	}
	return m
}
