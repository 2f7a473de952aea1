package lifecycle

import (
	"context"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// Added is the result for one domain of AddDomains: the domain, new or existing, or an error.
type Added struct {
	Domain *controlplane.Domain // nil if Err is set
	New    bool
	Err    error
}

// AddDomains adds many domains independently of each other: one that is rejected does not affect
// the others. It returns one result per domain, in their order. Of two with the same name the
// second exists already. All valid domains are stored in one transaction, which blocks the
// organization's other additions and deletions. Those that exceed a limit of the plan are rejected,
// in their order.
func (s *Service) AddDomains(
	ctx context.Context, actor controlplane.Actor, orgID string, in []NewDomain,
) ([]Added, error) {
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
		for i, a := range fresh {
			if !stored[i] {
				delete(known, a.Domain.Name)
			}
		}
		for i, a := range additions {
			if a != nil {
				out[i].Domain = known[a.Domain.Name]
				out[i].New = out[i].Domain == a.Domain
			}
		}
		return s.requestAdded(ctx, t, actor, orgID, fresh, stored, now)
	})
	if err != nil {
		return nil, err
	}
	return out, s.rejectBeyondPlan(ctx, orgID, additions, out)
}

// rejectBeyondPlan sets the error of all domains that were neither stored nor rejected: a limit of
// the plan is reached.
func (s *Service) rejectBeyondPlan(
	ctx context.Context, orgID string, additions []*postgres.Addition, out []Added,
) error {
	var beyond []int
	var domains []*controlplane.Domain
	for i := range out {
		if out[i].Domain == nil && out[i].Err == nil {
			beyond, domains = append(beyond, i), append(domains, additions[i].Domain)
		}
	}
	if len(beyond) == 0 {
		return nil
	}
	reasons, err := s.planLimits(ctx, orgID, domains)
	if err != nil {
		return err
	}
	for i, at := range beyond {
		out[at].Err = reasons[i]
	}
	return nil
}
