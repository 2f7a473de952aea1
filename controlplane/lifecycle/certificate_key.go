package lifecycle

import (
	"context"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// TakeKey returns a certificate's private key as PKCS#8 PEM, after recording in the audit
// log who took it. Where the customer holds the key it is KindConflict.
func (s *Service) TakeKey(ctx context.Context, actor controlplane.Actor, orgID, certificateID string) (string, error) {
	c, err := s.Store.Certificate(ctx, orgID, certificateID)
	if err != nil {
		return "", err
	}
	if !c.HasKey() {
		return "", &controlplane.Error{Kind: controlplane.KindConflict, Code: "key-not-held", ExistingID: c.ID,
			Message: "The certificate was made for a request that was sent here: its private key never was.",
			Fix:     "Use the key that the certificate request was made with."}
	}
	entry := s.audit(orgID, actor, controlplane.ActionKeyDownloaded, "certificate", c.ID, s.now())
	entry.Details = map[string]any{"domain_id": c.DomainID, "serial": c.Serial}
	if err := s.Store.Audit(ctx, entry); err != nil {
		return "", err
	}
	key, err := s.Sealer.Open(c.SealedKey, c.OrderID)
	if err != nil {
		return "", wrap("opening a sealed key", err)
	}
	return string(key), nil
}
