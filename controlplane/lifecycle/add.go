package lifecycle

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// NewDomain is the input of AddDomain. An empty key type means ec256, or that of the CSR.
type NewDomain struct {
	Name    string
	Options controlplane.Options
}

// AddDomain adds a domain and the job that checks its delegation. It returns KindInvalid with every
// invalid field, KindConflict with the ID of an existing domain, and KindForbidden if the plan's
// limit is reached.
func (s *Service) AddDomain(
	ctx context.Context, actor controlplane.Actor, orgID string, in NewDomain,
) (*controlplane.Domain, error) {
	if in.Options.ConnectionID != "" {
		return s.addThrough(ctx, actor, orgID, in)
	}
	a, err := s.addition(ctx, actor, orgID, in, s.now())
	if err != nil {
		return nil, err
	}
	stored, err := s.Store.AddDomain(ctx, a.Domain, a.Job, a.Entry)
	if err != nil {
		return nil, err
	}
	if !stored {
		reasons, err := s.planLimits(ctx, orgID, []*controlplane.Domain{a.Domain})
		if err != nil {
			return nil, err
		}
		return nil, reasons[0]
	}
	return a.Domain, nil
}

// addition returns a domain with its first job and its audit entry. Its error lists every invalid
// field.
func (s *Service) addition(
	ctx context.Context, actor controlplane.Actor, orgID string, in NewDomain, now time.Time,
) (*postgres.Addition, error) {
	problem := &controlplane.Error{}
	name, err := s.parseName(in.Name)
	if err != nil {
		e := controlplane.AsError(err)
		problem.Fields, problem.Fix = e.Fields, e.Fix
	}
	valid := s.checkNames(name, &in.Options, problem)
	s.checkOptions(name, &in.Options, in.Options.KeyType != "", valid, problem)
	if err := checkKey(ctx, s.Store, orgID, in.Options.CSRPEM, problem); err != nil {
		return nil, err
	}
	if err := knownConnection(ctx, s.Store, orgID, in.Options.ConnectionID, problem); err != nil {
		return nil, err
	}
	if err := invalid(problem); err != nil {
		return nil, err
	}
	d := &controlplane.Domain{ID: controlplane.NewID(controlplane.PrefixDomain), OrgID: orgID,
		Name:    name,
		Target:  controlplane.Target(s.TargetKey, orgID, name),
		Targets: s.targetsOf(orgID, name, in.Options.AdditionalNames),
		Status:  controlplane.DomainPendingCNAME, StatusReason: controlplane.ReasonCNAMEUnchecked,
		Options: in.Options, OptionsRevision: 1, CertificateRevision: 1, CheckSince: now,
		Version: 1, CreatedAt: now, UpdatedAt: now}
	record := s.DelegationOf(d)
	d.SetCondition(controlplane.Condition{Type: controlplane.DNSReady,
		Status: controlplane.ConditionUnknown, Reason: controlplane.ReasonCNAMEUnchecked,
		Message:  "The CNAME has not been checked yet.",
		Expected: record.Name + " CNAME " + record.Target,
		Fix: "Create this record at your DNS host: " + record.Name + " CNAME " +
			record.Target + ofOthers(d),
		NextCheckAt: &now})
	d.SetCondition(controlplane.Condition{Type: controlplane.CertificateReady,
		Status: controlplane.ConditionFalse, Reason: controlplane.ReasonNotIssued,
		Message: "No certificate yet. It is ordered after the CNAME is verified."})
	entry := s.audit(orgID, actor, controlplane.ActionDomainCreated, "domain", d.ID, now)
	entry.After = describe(d)
	return &postgres.Addition{Domain: d,
		Job: newJob(controlplane.JobDNSCheck, controlplane.QueueCritical, d, actor.RequestID,
			now),
		Entry: entry}, nil
}

// ofOthers completes the fix of a domain that needs further records.
func ofOthers(d *controlplane.Domain) string {
	if len(d.Targets) == 0 {
		return ""
	}
	return fmt.Sprintf(". Create the records of the additional names, too: %d in total.",
		len(d.Targets)+1)
}

// planLimits returns the error of each domain that was not added because its organization has as
// many domains or delegations as the plan includes.
func (s *Service) planLimits(
	ctx context.Context, orgID string, domains []*controlplane.Domain,
) ([]error, error) {
	org, err := s.Store.Organization(ctx, orgID)
	if err != nil {
		return nil, err
	}
	var known []string
	if org.Domains < org.MaxDomains() {
		var names []string
		for _, d := range domains {
			names = append(names, d.Bases()...)
		}
		if known, err = s.Store.DelegatedNames(ctx, orgID, names, nil); err != nil {
			return nil, err
		}
	}
	slices.Sort(known)
	reasons := make([]error, len(domains))
	for i, d := range domains {
		reasons[i] = planLimit(org, d, known)
	}
	return reasons, nil
}

// planLimit returns the error of one domain. known are the names that have a delegation, sorted.
func planLimit(org *controlplane.Organization, d *controlplane.Domain, known []string) error {
	if org.Domains < org.MaxDomains() {
		fresh := slices.DeleteFunc(d.Bases(), func(name string) bool {
			_, found := slices.BinarySearch(known, name)
			return found
		})
		return delegationLimit(org, org.Delegations, len(fresh))
	}
	return &controlplane.Error{Kind: controlplane.KindForbidden, Code: "plan-limit",
		Message: fmt.Sprintf("The %s plan includes %d domains, and %d are in use.", org.Tier,
			org.MaxDomains(), org.Domains),
		Fix: "Delete a domain that is no longer needed, or move the organization to a larger plan."}
}

// describe returns the fields of a domain for the audit log.
func describe(d *controlplane.Domain) map[string]any {
	m := map[string]any{"name": d.Name, "status": string(d.Status), "wildcard": d.Wildcard,
		"key_type":   string(d.KeyType),
		"auto_issue": d.AutoIssue, "auto_renew": d.AutoRenew,
		"options_revision": d.OptionsRevision}
	for k, v := range map[string]string{"profile": d.Profile, "ca": d.CA,
		"preferred_chain": d.PreferredChain, "connection_id": d.ConnectionID} {
		if v != "" {
			m[k] = v
		}
	}
	if d.CSRPEM != "" {
		m["csr"] = true
	}
	if len(d.AdditionalNames) > 0 {
		m["additional_names"] = d.AdditionalNames
	}
	if d.IssuePartial {
		m["issue_partial"] = true
	}
	if len(d.Labels) > 0 {
		m["labels"] = d.Labels
	}
	return m
}
