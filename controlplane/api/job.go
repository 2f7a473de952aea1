package api

import (
	"context"
	"encoding/json"

	"github.com/oapi-codegen/nullable"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// ListJobs implements GET /api/jobs.
func (a *API) ListJobs(
	ctx context.Context, r ListJobsRequestObject,
) (ListJobsResponseObject, error) {
	p, q := principalOf(ctx), r.Params
	filter := postgres.JobFilter{Status: controlplane.JobStatus(deref(q.Status)),
		Type:      controlplane.JobType(deref(q.Type)),
		DomainIDs: p.onlyDomains(), Limit: limitOf(q.Limit)}
	if deref(q.Domain) != "" {
		d, err := a.domain(ctx, *q.Domain)
		if err != nil {
			return nil, err
		}
		filter.DomainID = d.ID
	}
	if deref(q.Delegation) != "" {
		g, err := a.delegation(ctx, *q.Delegation)
		if err != nil {
			return nil, err
		}
		filter.Delegation = g.ID
		filter.DomainIDs = nil // the token can access what uses it
	}
	l := listing{Operation: "listJobs", Org: p.org(),
		Filters: []any{filter.DomainID, filter.Delegation, filter.Status, filter.Type}}
	var err error
	if filter.After, err = a.position(l, q.Cursor); err != nil {
		return nil, err
	}
	jobs, next, err := a.store.ListJobs(ctx, p.org(), filter)
	if err != nil {
		return nil, err
	}
	data := make([]Job, len(jobs))
	for i := range jobs {
		data[i] = jobBody(&jobs[i])
	}
	return ListJobs200JSONResponse{Data: data, HasMore: next != nil, NextCursor: a.next(l, next)},
		nil
}

// GetJob implements GET /api/jobs/{job}. It does not wait for a finished job unless the caller sent
// its ETag: a finished job changes only if it is retried.
func (a *API) GetJob(ctx context.Context, r GetJobRequestObject) (GetJobResponseObject, error) {
	known := r.Params.IfNoneMatch
	j, err := a.job(ctx, r.Job)
	if err == nil && r.Params.Wait != nil &&
		(known == nil && !j.Status.Over() || known != nil && noneMatch(known, jobETag(j))) {
		first := jobETag(j)
		j, err = held(ctx, a, r.Params.Wait, j.ID, func(j *controlplane.Job) bool {
			return jobETag(j) != first
		}, func(ctx context.Context) (*controlplane.Job, error) { return a.job(ctx, r.Job) })
	}
	if err != nil {
		return nil, err
	}
	if noneMatch(known, jobETag(j)) {
		return GetJob304Response{Headers: GetJob304ResponseHeaders{ETag: jobETag(j)}}, nil
	}
	return GetJob200JSONResponse{Body: jobBody(j),
		Headers: GetJob200ResponseHeaders{ETag: jobETag(j)}}, nil
}

// RetryJob implements POST /api/jobs/{job}/retry.
func (a *API) RetryJob(
	ctx context.Context, r RetryJobRequestObject,
) (RetryJobResponseObject, error) {
	p := principalOf(ctx)
	if _, err := a.job(ctx, r.Job); err != nil {
		return nil, err
	}
	job, started, err := a.lifecycle.RestartJob(ctx, p.actor, p.org(), r.Job)
	if err != nil {
		return nil, err
	}
	job = p.withoutResult(job)
	if !started {
		return RetryJob200JSONResponse{Body: jobBody(job),
			Headers: RetryJob200ResponseHeaders{Location: jobLocation(job)}}, nil
	}
	return RetryJob202JSONResponse{Body: jobBody(job),
		Headers: RetryJob202ResponseHeaders{Location: jobLocation(job)}}, nil
}

// job returns a job of a domain that the token can access.
func (a *API) job(ctx context.Context, id string) (*controlplane.Job, error) {
	p := principalOf(ctx)
	if !controlplane.IsID(controlplane.PrefixJob, id) {
		return nil, controlplane.NotFound("job", id)
	}
	j, err := a.store.Job(ctx, p.org(), id)
	if err != nil {
		return nil, err
	}
	if j.DelegationID != "" && p.restricted() {
		if _, err := a.delegation(ctx, j.DelegationID); err != nil {
			return nil, err
		}
		return j, nil
	}
	if j.ConnectionID != "" { // a token can create the records of its domains
		return p.withoutResult(j), nil
	}
	if err := p.grant.CheckDomain("job", id, j.DomainID); err != nil {
		return nil, err
	}
	return j, nil
}

// withoutResult removes the result of a job about a connection, which can name domains that the
// token cannot access.
func (p principal) withoutResult(j *controlplane.Job) *controlplane.Job {
	if p.restricted() && j.ConnectionID != "" {
		j.Result = nil
	}
	return j
}

func jobLocation(j *controlplane.Job) string { return "/api/jobs/" + j.ID }

// jobError is the generated type of a job's last_error.
type jobError = struct {
	Acme   nullable.Nullable[map[string]any] `json:"acme"`
	Code   string                            `json:"code"`
	Detail string                            `json:"detail"`
}

// jobBody converts a job to its API representation.
func jobBody(j *controlplane.Job) Job {
	body := Job{
		Id: j.ID, Type: JobType(j.Type), DomainId: j.DomainID,
		CertificateId: orNull(j.CertificateID), DelegationId: orNull(j.DelegationID),
		ConnectionId: orNull(j.ConnectionID),
		Status:       JobStatus(j.Status), Reason: string(j.Reason), Attempts: j.Attempts,
		RunAt: j.RunAt.UTC(), LastError: nullable.NewNullNullable[jobError](),
		DeadLetteredAt: timeOrNull(j.DeadLetteredAt),
		Result:         nullable.NewNullNullable[map[string]any](), CreatedAt: j.CreatedAt.UTC(),
		UpdatedAt: j.UpdatedAt.UTC(),
	}
	if j.LastErrorCode != "" {
		last := jobError{Code: j.LastErrorCode, Detail: j.LastError,
			Acme: nullable.NewNullNullable[map[string]any]()}
		var problem map[string]any
		if json.Unmarshal(j.LastErrorACME, &problem) == nil {
			last.Acme.Set(problem)
		}
		body.LastError.Set(last)
	}
	if j.Result != nil && j.Status == controlplane.JobSucceeded {
		body.Result.Set(j.Result)
	}
	return body
}
