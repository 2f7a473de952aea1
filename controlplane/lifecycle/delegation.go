package lifecycle

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// Delegations returns the CNAMEs for names in an organization, in the same order. It stores
// nothing. Its error is about the field /name or, with several names, /name/ and the index of each
// invalid one.
func (s *Service) Delegations(orgID string, names []string) ([]controlplane.Record, error) {
	records := make([]controlplane.Record, len(names))
	problem := &controlplane.Error{}
	for i, name := range names {
		canonical, err := s.parseName(name)
		switch {
		case err == nil:
			records[i] = controlplane.NewRecord(canonical,
				controlplane.Target(s.TargetKey, orgID, canonical), s.Zone)
		case len(names) == 1:
			return nil, err
		default:
			e := controlplane.AsError(err)
			problem.Fix = cmp.Or(problem.Fix, e.Fix)
			for _, f := range e.Fields {
				f.Pointer += "/" + strconv.Itoa(i)
				problem.Fields = append(problem.Fields, f)
			}
		}
	}
	return records, invalid(problem)
}

// parseName returns a new domain's name in canonical form. It rejects names in the validation zone,
// which contains only targets, so a CNAME could never exist there. Its error is about the field
// /name.
func (s *Service) parseName(name string) (string, error) {
	canonical, err := controlplane.ParseName("/name", name)
	if err != nil {
		return "", err
	}
	if err := s.outsideZone(canonical); err != nil {
		return "", controlplane.InvalidBy("/name", err)
	}
	return canonical, nil
}

// outsideZone returns a *rules.Error if a canonical name is in the validation zone.
func (s *Service) outsideZone(name string) error {
	zone := strings.TrimSuffix(s.Zone, ".")
	if name != zone && !strings.HasSuffix(name, "."+zone) {
		return nil
	}
	return &rules.Error{Code: "name-in-zone", Message: name + " is in the validation zone " +
		zone + ", which can't contain your records.",
		Fix: "Send the name that the certificate is for."}
}

// DelegationOf returns a domain's CNAME.
func (s *Service) DelegationOf(d *controlplane.Domain) controlplane.Record {
	return controlplane.NewRecord(d.Name, d.Target, s.Zone)
}

// DelegationAt returns the CNAME of one of a domain's names. A wildcard has that of its base name.
func (s *Service) DelegationAt(d *controlplane.Domain, name string) controlplane.Record {
	return controlplane.NewRecord(rules.BaseName(name), d.TargetOf(name), s.Zone)
}
