package lifecycle

import (
	"context"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// PublishACMEDNSValue serves a TXT value at an account's target for
// controlplane.ACMEDNSValueLife. It returns when every name server of the zone serves the value. It
// returns KindNotFound if the account has been deleted, and KindUnavailable if a name server does
// not serve the value within PublishWait; the value stays stored. The audit log does not record it.
func (s *Service) PublishACMEDNSValue(
	ctx context.Context, c *controlplane.ACMEDNSCredential, value string,
) error {
	now := s.now()
	target, err := s.Store.PublishACMEDNSValue(ctx, c.OrgID, c.AccountID, value,
		now.Add(controlplane.ACMEDNSValueLife), now)
	if err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, s.PublishWait)
	defer cancel()
	if err := s.Visible(wait, target+"."+s.Zone, []string{value}); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return &controlplane.Error{Kind: controlplane.KindUnavailable, Code: "zone-not-answering",
			Message: "A name server of the validation zone does not serve the value yet.",
			Fix:     "Repeat the update.", Err: err}
	}
	return nil
}

// RemoveACMEDNSValue stops serving a value of an account. A value that is not served is not an
// error.
func (s *Service) RemoveACMEDNSValue(
	ctx context.Context, c *controlplane.ACMEDNSCredential, value string,
) error {
	return s.Store.RemoveACMEDNSValue(ctx, c.OrgID, c.AccountID, value)
}
