package api

import (
	"context"
	"slices"
	"time"

	"github.com/oapi-codegen/nullable"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
)

// DiagnoseDomain implements GET /api/domains/{domain}/diagnosis.
func (a *API) DiagnoseDomain(
	ctx context.Context, r DiagnoseDomainRequestObject,
) (DiagnoseDomainResponseObject, error) {
	d, err := a.domain(ctx, r.Domain)
	if err != nil {
		return nil, err
	}
	seen, err := diagnose(ctx, a, d.OrgID, d.Name,
		func(ctx context.Context) (controlplane.DomainExamination, error) {
			return a.lifecycle.Examine(ctx, d)
		})
	if err != nil {
		return nil, err
	}
	return DiagnoseDomain200JSONResponse(domainExaminationBody(seen)), nil
}

// DiagnoseDelegation implements GET /api/delegations/{delegation}/diagnosis.
func (a *API) DiagnoseDelegation(
	ctx context.Context, r DiagnoseDelegationRequestObject,
) (DiagnoseDelegationResponseObject, error) {
	g, err := a.delegation(ctx, r.Delegation)
	if err != nil {
		return nil, err
	}
	seen, err := diagnose(ctx, a, g.OrgID, g.Name,
		func(ctx context.Context) (controlplane.Examination, error) {
			return a.lifecycle.ExamineDelegation(ctx, g)
		})
	if err != nil {
		return nil, err
	}
	return DiagnoseDelegation200JSONResponse(examinationBody(seen)), nil
}

// diagnose runs a diagnosis within the limits of time and number.
func diagnose[T any](
	ctx context.Context, a *API, orgID, name string, examine func(ctx context.Context) (T, error),
) (T, error) {
	return edge.Diagnose(ctx, a.diagnoses, a.now(), orgID, name,
		func(ctx context.Context) (T, error) {
			callOf(ctx).waited = true // for external DNS
			callOf(ctx).leave()
			return examine(ctx)
		})
}

// examinationBody converts an examination to its API representation.
func examinationBody(e controlplane.Examination) Examination {
	body := Examination{Delegation: diagnosisBody(e.Delegation),
		Caa: make([]CAAFinding, len(e.CAA)), Dnssec: ExaminationDnssec(e.DNSSEC),
		Causes: diagnosisBodies(e.Causes), Warnings: diagnosisBodies(e.Warnings)}
	for i, f := range e.CAA {
		body.Caa[i] = CAAFinding{Ca: f.CA, Allowed: f.Allowed, Code: f.Code,
			Identities: listOf(f.Identities), FoundAt: orNull(f.FoundAt), Alias: orNull(f.Alias),
			Records: listOf(f.Records), Add: listOf(f.Add), Summary: f.Summary,
			Observed: f.Observed, ObservedCount: f.Count, Expected: f.Expected, Fix: f.Fix}
	}
	return body
}

// domainExaminationBody converts an examination of several names to its API representation.
func domainExaminationBody(e controlplane.DomainExamination) DomainExamination {
	all := examinationBody(e.Examination)
	body := DomainExamination{Delegation: all.Delegation, Caa: all.Caa,
		Dnssec: DomainExaminationDnssec(all.Dnssec), Causes: all.Causes, Warnings: all.Warnings,
		Names: make([]NameExamination, len(e.Names))}
	for i, n := range e.Names {
		causes := e.CausesOf(n)
		one := examinationBody(controlplane.Examination{Delegation: n.Delegation, CAA: n.CAA,
			DNSSEC: n.DNSSEC, Causes: withoutEvidence(causes),
			Warnings: withoutEvidence(n.Warnings)})
		if len(causes) == 0 {
			one.Delegation.Evidence = []Observation{}
		}
		body.Names[i] = NameExamination{Name: n.Name, Ready: len(causes) == 0,
			Delegation: one.Delegation, Caa: one.Caa, Dnssec: NameExaminationDnssec(one.Dnssec),
			Causes: one.Causes, Warnings: one.Warnings}
	}
	return body
}

func withoutEvidence(list []controlplane.Diagnosis) []controlplane.Diagnosis {
	list = slices.Clone(list)
	for i := range list {
		list[i].Evidence = nil
	}
	return list
}

func diagnosisBodies(list []controlplane.Diagnosis) []Diagnosis {
	bodies := make([]Diagnosis, len(list))
	for i, d := range list {
		bodies[i] = diagnosisBody(d)
	}
	return bodies
}

func diagnosisBody(d controlplane.Diagnosis) Diagnosis {
	body := Diagnosis{Code: d.Code, Summary: d.Summary, Observed: d.Observed,
		ObservedCount: d.Count, Expected: d.Expected, Fix: d.Fix, Zone: orNull(d.Zone),
		DnsHost: orNull(d.DNSHost),
		Until:   nullable.NewNullNullable[time.Time](), CheckedAt: d.CheckedAt.UTC(),
		Evidence: make([]Observation, len(d.Evidence))}
	if !d.Until.IsZero() {
		body.Until.Set(d.Until.UTC())
	}
	for i, o := range d.Evidence {
		body.Evidence[i] = Observation{Source: o.Source, Name: o.Name, Type: o.Type, Rcode: o.RCode,
			Answer: listOf(o.Answer), AnswerCount: o.Count, Error: orNull(o.Error)}
	}
	return body
}
