package lifecycle

import (
	"context"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// TakeKey returns a certificate's private key as PKCS#8 PEM, after recording the download in the
// audit log. It returns KindConflict if the certificate was issued for a CSR, or if it was replaced
// and its key was removed.
func (s *Service) TakeKey(
	ctx context.Context, actor controlplane.Actor, orgID, certificateID string,
) (string, error) {
	c, err := s.Store.Certificate(ctx, orgID, certificateID)
	if err != nil {
		return "", err
	}
	if c.KeyRemovedAt != nil {
		return "", &controlplane.Error{Kind: controlplane.KindConflict,
			Code: "key-removed", ExistingID: c.ID,
			Message: "The certificate was replaced, and its private key was removed on " +
				c.KeyRemovedAt.Format(time.DateOnly) + ".",
			Fix: "Use the domain's current certificate and its private key."}
	}
	if !c.HasKey() {
		return "", &controlplane.Error{Kind: controlplane.KindConflict,
			Code: "key-not-held", ExistingID: c.ID,
			Message: "The certificate was issued for your CSR, so the service never had its private key.",
			Fix:     "Use the private key that the CSR was created with."}
	}
	entry := s.audit(orgID, actor, controlplane.ActionKeyDownloaded, "certificate", c.ID, s.now())
	entry.Details = map[string]any{"domain_id": c.DomainID, "serial": c.Serial}
	if err := s.Store.Audit(ctx, entry); err != nil {
		return "", err
	}
	key, err := s.Sealer.Open(c.SealedKey, c.OrderID)
	if err != nil {
		return "", wrap("unseal a private key", err)
	}
	return string(key), nil
}
