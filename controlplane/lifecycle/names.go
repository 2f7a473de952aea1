package lifecycle

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// checkNames replaces the additional names of a domain by their canonical form, sorted, and adds an
// error to e for each that can't be in its certificate, by its index. It reports whether all can.
// The domain's name is empty if it is invalid.
func (s *Service) checkNames(
	name string, o *controlplane.Options, e *controlplane.Error,
) bool {
	wrong := make(map[int]*rules.Error)
	canonical := make([]string, len(o.AdditionalNames))
	for i, one := range o.AdditionalNames {
		parsed, err := rules.ParseAdditionalName(one)
		if err == nil {
			err = s.outsideZone(rules.BaseName(parsed))
		}
		if err == nil {
			canonical[i] = parsed
		} else if rule, ok := errors.AsType[*rules.Error](err); ok {
			wrong[i] = rule
		}
	}
	maps.Copy(wrong, rules.CheckAdditionalNames(name, o.Wildcard, canonical))
	if len(wrong) == 0 {
		slices.Sort(canonical)
		o.AdditionalNames = canonical
		return true
	}
	for _, i := range slices.Sorted(maps.Keys(wrong)) {
		e.Fields = append(e.Fields, controlplane.FieldError{Code: wrong[i].Code,
			Pointer: "/additional_names/" + strconv.Itoa(i), Detail: wrong[i].Error()})
		if e.Fix == "" {
			e.Fix = wrong[i].Fix
		}
	}
	return false
}

// targetsOf returns the targets of additional names by base name, without that of the domain's
// name.
func (s *Service) targetsOf(orgID, name string, additional []string) map[string]string {
	targets := make(map[string]string)
	for _, one := range additional {
		base := rules.BaseName(one)
		if base != name && targets[base] == "" {
			targets[base] = controlplane.Target(s.TargetKey, orgID, base)
		}
	}
	return targets
}

// showUnchecked shows that added names were not checked yet.
func showUnchecked(d, old *controlplane.Domain, now time.Time) {
	c := d.Condition(controlplane.DNSReady)
	var added []controlplane.NameStatus
	for _, name := range slices.Sorted(maps.Keys(d.Targets)) {
		if old.Targets[name] == "" {
			added = append(added, controlplane.NameStatus{Name: name,
				Reason: controlplane.ReasonCNAMEUnchecked, Message: "The CNAME of " +
					rules.ChallengeName(name) + " has not been checked yet."})
		}
	}
	switch {
	case len(added) == 0:
		return
	case c.Status == controlplane.ConditionTrue:
		c = controlplane.Condition{Type: controlplane.DNSReady,
			Status: controlplane.ConditionUnknown, Reason: controlplane.ReasonCNAMEUnchecked,
			Message: added[0].Message + alsoNotReady(len(added)-1), LastCheckedAt: c.LastCheckedAt,
			NextCheckAt: &now}
	case len(c.Names) == 0:
		return // none is ready
	}
	c.Names = append(c.Names, added...)
	d.SetCondition(c)
}

// recheckNames starts a DNS check if the domain needs other delegations than before, or if it can
// be issued for a part of its names now. The domain must be saved afterwards.
func (s *Service) recheckNames(
	ctx context.Context, t *postgres.Tx, d, old *controlplane.Domain, requestID string,
	now time.Time,
) error {
	waits := d.Condition(controlplane.DNSReady).Status != controlplane.ConditionTrue
	nowPartial := d.IssuePartial && !old.IssuePartial
	if maps.Equal(d.Targets, old.Targets) && (!waits || !nowPartial) {
		return nil
	}
	at := now
	if d.ConnectionID != "" && !nowPartial {
		at = now.Add(applyTime) // the records are created first
	}
	check := newJob(controlplane.JobDNSCheck, controlplane.QueueCritical, d, requestID, now)
	check.RunAt = at
	j, started, err := t.AddJob(ctx, check)
	if err == nil && !started {
		_, _, err = t.AdvanceJob(ctx, d.OrgID, j.ID, at, now)
	}
	if err != nil {
		return err
	}
	if d.Status == controlplane.DomainError && d.StatusReason ==
		controlplane.ReasonDelegationTimeout {
		d.Status, d.StatusReason = controlplane.DomainPendingCNAME,
			controlplane.ReasonCNAMEUnchecked
	}
	d.CheckSince, d.CheckAttempts = now, 0
	showUnchecked(d, old, now)
	showDue(d, controlplane.JobDNSCheck, at, now)
	return nil
}
