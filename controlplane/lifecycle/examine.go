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
	cas := s.Issuer.Identities(ctx)
	seen, err := s.Doctor.ExamineNames(ctx, s.nameChecks(d), cas)
	if err != nil {
		return controlplane.DomainExamination{}, err
	}
	names := make([]controlplane.NameExamination, len(seen))
	for i, base := range d.Bases() {
		names[i] = examinedName(d, base, seen[i], controlplane.FingerprintCAs(cas))
	}
	return controlplane.ExamineDomain(names), nil
}

// rehearse is Examine that may reuse what other checks found out: about zones, and the results for
// delegations that other domains use.
func (w *work) rehearse(ctx context.Context) (controlplane.DomainExamination, error) {
	d, cas := w.domain, w.Issuer.Identities(ctx)
	print := controlplane.FingerprintCAs(cas)
	checks := w.nameChecks(d)
	names := make([]controlplane.NameExamination, len(checks))
	var left []controlplane.NameCheck
	var at []int
	for i, n := range checks {
		if shared, ok := w.shared(n, print); ok {
			names[i] = controlplane.NameExamination{Name: n.Name,
				Examination: shared.Examination(cas), Shared: true}
			continue
		}
		left, at = append(left, n), append(at, i)
	}
	if len(left) > 0 {
		seen, err := w.Doctor.RehearseNames(ctx, left, cas)
		if err != nil {
			return controlplane.DomainExamination{}, err
		}
		for i, e := range seen {
			names[at[i]] = examinedName(d, left[i].Name, e, print)
		}
	}
	return controlplane.ExamineDomain(names), nil
}

// shared returns the check of a delegation on behalf of another domain or of the delegation, if it
// serves the domain and is newer than the domain's own.
func (w *work) shared(n controlplane.NameCheck, cas string) (controlplane.SharedCheck, bool) {
	own := w.domain.Condition(controlplane.DNSReady).LastCheckedAt
	s, ok := w.claim.Shared[n.Name]
	return s, ok && cas != "" && own != nil && s.Diagnosis.CheckedAt.After(*own) &&
		s.Serves(n, cas)
}

// examinedName returns the examination of one of a domain's names for the CAs with a fingerprint.
func examinedName(
	d *controlplane.Domain, name string, e controlplane.Examination, cas string,
) controlplane.NameExamination {
	return controlplane.NameExamination{Name: name, Examination: e, Ready: e.Readiness(d.ID, cas)}
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
