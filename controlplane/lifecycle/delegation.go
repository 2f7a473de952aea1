package lifecycle

import "github.com/dcvaas/terraform-provider-dcvaas/controlplane"

// Delegation returns the CNAME for a name in an organization, without creating anything. Its
// error is about the field /name.
func (s *Service) Delegation(orgID, name string) (controlplane.Delegation, error) {
	canonical, err := controlplane.ParseName("/name", name)
	if err != nil {
		return controlplane.Delegation{}, err
	}
	return controlplane.NewDelegation(canonical, controlplane.Target(s.TargetKey, orgID, canonical), s.Zone), nil
}

// DelegationOf returns a domain's CNAME.
func (s *Service) DelegationOf(d *controlplane.Domain) controlplane.Delegation {
	return controlplane.NewDelegation(d.Name, d.Target, s.Zone)
}
