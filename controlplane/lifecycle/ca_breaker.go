package lifecycle

import (
	"context"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// ReportBreakers records the CAs whose circuit breaker is open in a worker, for the operator. It
// replaces the worker's previous report.
func (s *Service) ReportBreakers(
	ctx context.Context, worker string, open []controlplane.CABreaker,
) error {
	reports := make([]controlplane.CABreaker, len(open))
	for i, b := range open {
		b.Message = controlplane.Shorten(storable(b.Message))
		reports[i] = b
	}
	return s.Store.ReportBreakers(ctx, worker, reports, s.now())
}
