package lifecycle

import (
	"context"
	"slices"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// Examine checks everything in DNS that the CAs will check for a domain's names, now.
func (s *Service) Examine(
	ctx context.Context, d *controlplane.Domain,
) (controlplane.DomainExamination, error) {
	seen, err := s.Doctor.ExamineNames(ctx, s.nameChecks(d), s.Issuer.Identities(ctx))
	return examined(d, seen, err)
}

// rehearse is Examine that may reuse what the checks of other domains found out.
func (w *work) rehearse(ctx context.Context) (controlplane.DomainExamination, error) {
	seen, err := w.Doctor.RehearseNames(ctx, w.nameChecks(w.domain), w.Issuer.Identities(ctx))
	return examined(w.domain, seen, err)
}

// nameChecks returns the checks of a domain's names, in the order of its bases.
func (s *Service) nameChecks(d *controlplane.Domain) []controlplane.NameCheck {
	names := d.Names()
	checks := make([]controlplane.NameCheck, 0, len(names))
	for _, base := range d.Bases() {
		checks = append(checks, controlplane.NameCheck{Name: base,
			Target: controlplane.NewRecord(base, d.TargetOf(base), s.Zone).Target,
			Plain:  slices.Contains(names, base), Wildcard: slices.Contains(names, "*."+base)})
	}
	return checks
}

// examined combines the examinations of a domain's names.
func examined(
	d *controlplane.Domain, seen []controlplane.Examination, err error,
) (controlplane.DomainExamination, error) {
	if err != nil {
		return controlplane.DomainExamination{}, err
	}
	names := make([]controlplane.NameExamination, len(seen))
	for i, base := range d.Bases() {
		names[i] = controlplane.NameExamination{Name: base, Examination: seen[i]}
	}
	return controlplane.ExamineDomain(names), nil
}
