package lifecycle

import (
	"context"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// ConnectionSet is the result for one domain of SetConnections.
type ConnectionSet struct {
	DomainID string // empty if Err is set
	Changed  bool   // it had another connection, or none
	Err      error
}

// SetConnections sets the connection of domains, by ID or canonical name, independently of each
// other, as UpdateDomain does. It returns one result per domain, in their order. It returns
// KindInvalid if the connection does not exist.
func (s *Service) SetConnections(
	ctx context.Context, actor controlplane.Actor, orgID, connection string, refs []string,
) ([]ConnectionSet, error) {
	problem := &controlplane.Error{}
	if err := knownConnection(ctx, s.Store, orgID, connection, problem); err != nil {
		return nil, err
	}
	if err := invalid(problem); err != nil {
		return nil, err
	}
	out := make([]ConnectionSet, len(refs))
	for i, ref := range refs {
		before, err := s.Store.Domain(ctx, orgID, ref)
		if err == nil {
			out[i] = ConnectionSet{DomainID: before.ID, Changed: before.ConnectionID != connection}
			_, err = s.UpdateDomain(ctx, actor, orgID, before.ID, 0,
				DomainPatch{ConnectionID: &connection})
		}
		switch {
		case err == nil:
		case controlplane.IsKind(err, controlplane.KindNotFound):
			out[i] = ConnectionSet{Err: err}
		default:
			return nil, err
		}
	}
	return out, nil
}
