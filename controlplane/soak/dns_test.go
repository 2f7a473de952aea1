package soak

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// dns is the DNS as this service's resolvers and those of the CAs see it.
type dns struct {
	clock    *clock
	scenario *scenario
	store    *postgres.Store
	subjects map[string]*subject

	mu      sync.Mutex
	targets map[string]string  // targets of the customers' CNAMEs: labels in the validation zone
	latest  map[string]*issued // the certificate of a name that expires last, of any CA
}

func newDNS(c *clock, s *scenario, store *postgres.Store) *dns {
	d := &dns{clock: c, scenario: s, store: store, subjects: map[string]*subject{},
		targets: map[string]string{}, latest: map[string]*issued{}}
	for i := range s.subjects {
		one := &s.subjects[i]
		for _, name := range append([]string{one.name}, one.more...) {
			d.subjects[base(name)] = one
		}
	}
	return d
}

// delegate creates the customer's CNAMEs for all names of a domain.
func (d *dns) delegate(domain *controlplane.Domain) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, name := range domain.Bases() {
		d.targets[name] = domain.TargetOf(name)
	}
}

// certified records a certificate of any CA.
func (d *dns) certified(name string, cert *issued) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if old := d.latest[name]; old == nil || cert.notAfter.After(old.notAfter) {
		d.latest[name] = cert
	}
}

// lastQuarter reports whether the name's certificate has a quarter of its lifetime left, or less.
func (d *dns) lastQuarter(name string, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	cert := d.latest[name]
	return cert != nil && cert.notAfter.Sub(now) <= cert.notAfter.Sub(cert.notBefore)/4
}

// target returns the target of the name's CNAME, or "" if it is missing.
func (d *dns) target(name string) string {
	now := d.clock.Now()
	for _, b := range d.subjects[name].broken {
		if b.has(now) {
			return ""
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.targets[name]
}

// RehearseNames implements lifecycle.Doctor.
func (d *dns) RehearseNames(
	ctx context.Context, names []controlplane.NameCheck, cas []controlplane.CAIdentity,
) ([]controlplane.Examination, error) {
	return d.ExamineNames(ctx, names, cas)
}

// ExamineNames implements lifecycle.Doctor.
func (d *dns) ExamineNames(
	ctx context.Context, names []controlplane.NameCheck, cas []controlplane.CAIdentity,
) ([]controlplane.Examination, error) {
	var all []controlplane.Examination
	for _, n := range names {
		e, err := d.examine(ctx, n.Name, n.Target, n.Wildcard, cas)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

func (d *dns) examine(
	ctx context.Context, domain, target string, _ bool, _ []controlplane.CAIdentity,
) (controlplane.Examination, error) {
	step(ctx)
	now := d.clock.Now()
	g := controlplane.Diagnosis{Code: controlplane.CauseOK, Summary: "The CNAME exists.",
		CheckedAt: now, Expected: target}
	label, _, _ := strings.Cut(target, ".")
	switch {
	case d.scenario.during(now, resolversAway) != nil:
		g.Code, g.Summary = controlplane.CauseResolverUnreachable, "No resolver answered."
	case d.target(domain) == label && d.scenario.during(now, zoneUnserved) != nil:
		g.Code, g.Summary = controlplane.CauseTargetNotServed, "The target is not served."
	case d.target(domain) != label:
		g.Code, g.Summary, g.Fix = controlplane.CauseCNAMEMissing, "The CNAME is missing.",
			"Create it."
	}
	e := controlplane.Examination{Delegation: g}
	if !g.OK() {
		e.Causes = []controlplane.Diagnosis{g}
	}
	return e, nil
}

// lookup returns the TXT values that a CA finds for the name's challenge: those in the validation
// zone at the CNAME's target.
func (d *dns) lookup(ctx context.Context, name string) ([]string, error) {
	label := d.target(name)
	if label == "" || d.scenario.during(d.clock.Now(), zoneUnserved) != nil {
		return nil, errors.New("NXDOMAIN")
	}
	_, live, err := d.store.LookupTarget(ctx, label, d.clock.Now())
	var values []string
	for _, c := range live {
		values = append(values, c.Value)
	}
	return values, err
}
