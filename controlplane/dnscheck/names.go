package dnscheck

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// The bounds of a check of several names.
const (
	nameTimeout     = 10 * time.Second // of one name, with its repetition by a rehearsal
	namesTimeout    = time.Minute      // of all
	concurrentNames = 16
)

// ExamineNames is Examine for several names, which share the answers about common zones. It returns
// their examinations in the order of the names. Each takes at most 10 s, and all together a minute:
// names that were not examined by then have the result of unreachable resolvers.
func (d *Doctor) ExamineNames(
	ctx context.Context, names []controlplane.NameCheck, cas []CAIdentity,
) ([]controlplane.Examination, error) {
	return d.examineAll(ctx, d.newGroup(), names,
		func(ctx context.Context, l *lookup, c certified) (controlplane.Examination, error) {
			return l.examine(ctx, c, cas)
		})
}

// RehearseNames is Rehearse for several names, within the bounds of ExamineNames.
func (d *Doctor) RehearseNames(
	ctx context.Context, names []controlplane.NameCheck, cas []CAIdentity,
) ([]controlplane.Examination, error) {
	g := d.newGroup()
	g.since = 0
	return d.examineAll(ctx, g, names,
		func(ctx context.Context, l *lookup, c certified) (controlplane.Examination, error) {
			return l.rehearse(ctx, c, cas)
		})
}

// examineAll calls examine for each name. A single name is examined without the bounds of several.
func (d *Doctor) examineAll(
	ctx context.Context, g *group, names []controlplane.NameCheck,
	examine func(context.Context, *lookup, certified) (controlplane.Examination, error),
) ([]controlplane.Examination, error) {
	for _, n := range names {
		if err := checkNames(n.Name, n.Target); err != nil {
			return nil, err
		}
	}
	if len(names) > 1 {
		bounded, cancel := context.WithTimeout(ctx, namesTimeout)
		defer cancel()
		g.ctx, g.at = bounded, d.now()
	}
	all := make([]controlplane.Examination, len(names))
	var eg errgroup.Group
	eg.SetLimit(concurrentNames)
	for i, n := range names {
		eg.Go(func() (err error) {
			l := g.lookup(d, n.Name, n.Target)
			if g.ctx != nil {
				l.deadline = time.Now().Add(nameTimeout)
			}
			all[i], err = examine(ctx, l, certified{n.Plain, n.Wildcard})
			return err
		})
	}
	return all, eg.Wait()
}

// bounded returns the context of the queries of one check.
func (l *lookup) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if l.group.ctx != nil {
		return context.WithDeadline(l.group.ctx, l.deadline)
	}
	return context.WithTimeout(ctx, 5*l.timeout)
}
