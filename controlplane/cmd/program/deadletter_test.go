package program

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/oapi-codegen/nullable"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

// TestDeadLetterAndRetry tests that a job that has failed four times is dead-lettered in Postgres
// and in Asynq's archive, is visible in the queue monitor, and succeeds after a retry once the
// cause is fixed. Repeated retry requests start it once.
func TestDeadLetterAndRetry(t *testing.T) {
	t.Parallel()
	s := startStack(t, DevConfig{EmbeddedRedis: true})
	s.delegate("dead.example.com")
	d, err := s.api.CreateDomain(t.Context(), client.DomainCreate{Name: "dead.example.com",
		Profile: nullable.NewNullableWithValue("unknown")})
	if err != nil {
		t.Fatal(err)
	}
	s.waitDomain(d.Id, "in error",
		func(d *client.Domain) bool { return d.Status == client.DomainStatusError })
	job := s.latestJob(d.Id, "start_issuance")
	if job.Status != client.JobStatusFailed || job.Attempts != 4 || job.DeadLetteredAt.IsNull() {
		t.Errorf("job = %s, want dead-lettered after 4 attempts", toJSON(job))
	}
	if e, err := job.LastError.Get(); err != nil || e.Code != "ca-profile" {
		t.Errorf("last_error = %s, want ca-profile", toJSON(job.LastError))
	}
	if n := query[int](s,
		`SELECT count(*) FROM audit_logs WHERE action = 'job.dead_lettered' AND entity_id = $1`,
		job.Id); n != 1 {
		t.Errorf("job.dead_lettered events = %d, want 1", n)
	}
	s.eventually("the job in the archive of the queue monitor", func() error {
		if !strings.Contains(s.archived(), job.Id) {
			return errNotYet
		}
		return nil
	})

	if _, err := s.api.UpdateDomain(t.Context(), d.Id,
		client.DomainUpdate{Profile: nullable.NewNullNullable[string]()}); err != nil {
		t.Fatal(err)
	}
	started := 0
	for range 3 {
		resp, err := s.retry(job.Id)
		if err != nil {
			t.Fatal(err)
		}
		if resp == http.StatusAccepted {
			started++
		}
	}
	if started != 1 {
		t.Errorf("three retries started the job %d times, want 1", started)
	}
	s.waitActive(d.Id)
	again, err := s.api.Job(t.Context(), job.Id)
	if err != nil {
		t.Fatal(err)
	}
	if again.Status != client.JobStatusSucceeded || again.Attempts != 0 ||
		!again.DeadLetteredAt.IsNull() {
		t.Errorf("job after the retry = %s, want succeeded without failed attempts", toJSON(again))
	}
	if _, err := s.api.RetryJob(t.Context(), job.Id); !conflict(err) {
		t.Errorf("RetryJob() of a succeeded job = %v, want a conflict", err)
	}
}

var errNotYet = errors.New("not yet")

// archived returns the archived tasks of the queue monitor, as JSON.
func (s *stack) archived() string {
	return string(s.get(s.Env()["DCVAAS_OPS_URL"]+"/queues/api/queues/critical/archived_tasks",
		nil))
}

// retry requests a retry of the job and returns the response status.
func (s *stack) retry(id string) (int, error) {
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost,
		s.Env()["DCVAAS_ENDPOINT"]+"/api/jobs/"+id+"/retry", nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+s.Token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= 300 {
		return 0, fmt.Errorf("POST /api/jobs/%s/retry: %s", id, resp.Status)
	}
	return resp.StatusCode, nil
}

func conflict(err error) bool {
	e, ok := errors.AsType[*client.Error](err)
	return ok && e.Status == http.StatusConflict
}
