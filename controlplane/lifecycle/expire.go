package lifecycle

import (
	"context"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// Expire marks domains whose certificate expired as failed, and returns their number. Automatic
// renewals continue.
func (s *Service) Expire(ctx context.Context) (int, error) {
	total := 0
	for {
		expired, err := s.Store.Expired(ctx, s.now(), sweepBatch)
		if err != nil || len(expired) == 0 {
			return total, err
		}
		for i := range expired {
			if err := s.expire(ctx, &expired[i]); err != nil {
				return total, err
			}
			total++
		}
	}
}

func (s *Service) expire(ctx context.Context, seen *controlplane.Domain) error {
	return s.Store.InTx(ctx, func(t *postgres.Tx) error {
		now := s.now()
		d, err := t.LockDomain(ctx, seen.OrgID, seen.ID)
		if controlplane.IsKind(err, controlplane.KindNotFound) {
			return nil
		}
		if err != nil || d.Status != controlplane.DomainActive || d.HasCertificate(now) {
			return err
		}
		d.Status, d.StatusReason = controlplane.DomainError, controlplane.ReasonCertificateExpired
		d.SetCondition(controlplane.Condition{Type: controlplane.CertificateReady,
			Status: controlplane.ConditionFalse, Reason: controlplane.ReasonCertificateExpired,
			Message: "The certificate expired at " + d.ExpiresAt.Format(time.RFC3339) +
				".", Fix: "POST /api/domains/" + d.ID + "/renew", LastCheckedAt: &now})
		if err := t.SaveDomain(ctx, d, now); err != nil {
			return err
		}
		entry := s.audit(d.OrgID, controlplane.System("sweep"), controlplane.ActionCertificateEnded,
			"domain", d.ID, now)
		entry.Details = map[string]any{"certificate_id": d.CertificateID, "expired_at": d.ExpiresAt,
			"auto_renew": d.AutoRenew}
		return t.Audit(ctx, entry)
	})
}
