package lifecycle

import (
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// Delegation returns the CNAME for a name in an organization, without creating anything. Its
// error is about the field /name.
func (s *Service) Delegation(orgID, name string) (controlplane.Delegation, error) {
	canonical, err := s.parseName(name)
	if err != nil {
		return controlplane.Delegation{}, err
	}
	return controlplane.NewDelegation(canonical, controlplane.Target(s.TargetKey, orgID, canonical), s.Zone), nil
}

// parseName returns a new domain's name in stored form. What lies in the validation zone is
// refused: nothing but targets is answered there, so no CNAME could ever be seen. Its error is
// about the field /name.
func (s *Service) parseName(name string) (string, error) {
	canonical, err := controlplane.ParseName("/name", name)
	if err != nil {
		return "", err
	}
	if zone := strings.TrimSuffix(s.Zone, "."); canonical == zone || strings.HasSuffix(canonical, "."+zone) {
		return "", controlplane.Invalid("/name", "name-in-zone", canonical+" lies in the validation zone "+zone+", where no record of yours can stand.", "Send the name that the certificate is for.")
	}
	return canonical, nil
}

// DelegationOf returns a domain's CNAME.
func (s *Service) DelegationOf(d *controlplane.Domain) controlplane.Delegation {
	return controlplane.NewDelegation(d.Name, d.Target, s.Zone)
}
