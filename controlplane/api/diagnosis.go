package api

import (
	"context"
	"errors"
	"time"

	"github.com/oapi-codegen/nullable"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const (
	// diagnosisTimeout bounds one look at a domain's DNS.
	diagnosisTimeout = 10 * time.Second
	// diagnosesAtOnce is how many diagnoses this process runs at a time: each sends dozens of queries.
	diagnosesAtOnce = 64
	// diagnosesOfOne is how many of them one organization has.
	diagnosesOfOne = 4
	// diagnosisRetry is when to retry while all are taken.
	diagnosisRetry = 2 * time.Second
)

// DiagnoseDomain implements GET /api/domains/{domain}/diagnosis.
func (a *API) DiagnoseDomain(ctx context.Context, r DiagnoseDomainRequestObject) (DiagnoseDomainResponseObject, error) {
	d, err := a.domain(ctx, r.Domain)
	if err != nil {
		return nil, err
	}
	leave, ok := a.diagnoses.Enter(d.OrgID)
	if !ok {
		return nil, &controlplane.Error{Kind: controlplane.KindRateLimited, Code: "diagnosis-busy", RetryAt: a.now().Add(diagnosisRetry),
			Message: "As many diagnoses as are possible at a time are in progress."}
	}
	defer leave()
	callOf(ctx).waited = true // for others' DNS
	callOf(ctx).leave()
	bounded, cancel := context.WithTimeout(ctx, a.diagnosisTimeout)
	defer cancel()
	seen, err := a.lifecycle.Examine(bounded, d)
	if err != nil && ctx.Err() == nil && errors.Is(bounded.Err(), context.DeadlineExceeded) {
		return nil, &controlplane.Error{Kind: controlplane.KindUnavailable, Code: "diagnosis-timeout",
			Message: "DNS did not answer all questions about " + d.Name + " in time."}
	}
	if err != nil {
		return nil, err
	}
	return DiagnoseDomain200JSONResponse(examinationBody(seen)), nil
}

// examinationBody returns an examination as the contract describes it.
func examinationBody(e controlplane.Examination) Examination {
	body := Examination{Delegation: diagnosisBody(e.Delegation), Caa: make([]CAAFinding, len(e.CAA)), Dnssec: ExaminationDnssec(e.DNSSEC),
		Causes: diagnosisBodies(e.Causes), Warnings: diagnosisBodies(e.Warnings)}
	for i, f := range e.CAA {
		body.Caa[i] = CAAFinding{Ca: f.CA, Allowed: f.Allowed, Code: f.Code, Identities: listOf(f.Identities), FoundAt: orNull(f.FoundAt), Alias: orNull(f.Alias),
			Records: listOf(f.Records), Add: listOf(f.Add), Summary: f.Summary, Observed: f.Observed, ObservedCount: f.Count, Expected: f.Expected, Fix: f.Fix}
	}
	return body
}

func diagnosisBodies(list []controlplane.Diagnosis) []Diagnosis {
	bodies := make([]Diagnosis, len(list))
	for i, d := range list {
		bodies[i] = diagnosisBody(d)
	}
	return bodies
}

func diagnosisBody(d controlplane.Diagnosis) Diagnosis {
	body := Diagnosis{Code: d.Code, Summary: d.Summary, Observed: d.Observed, ObservedCount: d.Count, Expected: d.Expected, Fix: d.Fix, Zone: orNull(d.Zone), DnsHost: orNull(d.DNSHost),
		Until: nullable.NewNullNullable[time.Time](), CheckedAt: d.CheckedAt.UTC(), Evidence: make([]Observation, len(d.Evidence))}
	if !d.Until.IsZero() {
		body.Until.Set(d.Until.UTC())
	}
	for i, o := range d.Evidence {
		body.Evidence[i] = Observation{Source: o.Source, Name: o.Name, Type: o.Type, Rcode: o.RCode, Answer: listOf(o.Answer), AnswerCount: o.Count, Error: orNull(o.Error)}
	}
	return body
}
