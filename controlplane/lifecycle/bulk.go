package lifecycle

import (
	"context"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// Added is what became of one of several domains that were to be added: it is there, new or
// from before, or Err says why not.
type Added struct {
	Domain *controlplane.Domain // nil where Err is not
	New    bool
	Err    error
}

// AddDomains is AddDomain for many, each by itself: one that is refused keeps no other back.
// The result has one for each, in their order; of two with one name the second is there from
// before. All that can be stored is, in one transaction: within it the organization's other
// additions and deletions wait. Where the plan's limit is reached, the first ones are stored.
func (s *Service) AddDomains(ctx context.Context, actor controlplane.Actor, orgID string, in []NewDomain) ([]Added, error) {
	out := make([]Added, len(in))
	additions := make([]*postgres.Addition, len(in))
	var names []string
	now := s.now()
	for i := range in {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		a, err := s.addition(ctx, actor, orgID, in[i], now)
		if err != nil {
			out[i].Err = err
			continue
		}
		additions[i], names = a, append(names, a.Domain.Name)
	}
	if len(names) == 0 {
		return out, nil
	}
	err := s.Store.InTx(ctx, func(t *postgres.Tx) error {
		known, err := t.LockDomains(ctx, orgID, names)
		if err != nil {
			return err
		}
		var fresh []*postgres.Addition
		for _, a := range additions {
			if a != nil && known[a.Domain.Name] == nil {
				fresh, known[a.Domain.Name] = append(fresh, a), a.Domain
			}
		}
		stored, err := t.AddDomains(ctx, fresh)
		if err != nil {
			return err
		}
		for _, a := range fresh[stored:] {
			delete(known, a.Domain.Name)
		}
		for i, a := range additions {
			if a != nil {
				out[i].Domain = known[a.Domain.Name]
				out[i].New = out[i].Domain == a.Domain
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, s.refuseBeyondPlan(ctx, orgID, out)
}

// refuseBeyondPlan says of all that are neither there nor refused that the plan is full.
func (s *Service) refuseBeyondPlan(ctx context.Context, orgID string, out []Added) error {
	var full error
	for i := range out {
		if out[i].Domain != nil || out[i].Err != nil {
			continue
		}
		if full == nil {
			if full = s.planLimit(ctx, orgID); !controlplane.HasCode(full, "plan-limit") {
				return full
			}
		}
		out[i].Err = full
	}
	return nil
}
