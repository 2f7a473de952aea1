package program

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

// A job that fails more than three times is dead in Postgres and in Asynq's archive, is seen
// in the queue monitor, and comes back by retry once the cause is mended; however often the
// retry is asked for, it starts once.
func TestDeadLetterAndRetry(t *testing.T) {
	t.Parallel()
	s := startStack(t, DevConfig{EmbeddedRedis: true})
	s.Primary.SetDown(true)
	s.Backup.SetDown(true)
	d := s.add("dead.example.com")
	s.waitDomain(d.Id, "in error", func(d *client.Domain) bool { return d.Status == client.DomainStatusError })
	job := s.latestJob(d.Id, "start_issuance")
	if job.Status != client.JobStatusFailed || job.Attempts != 4 || job.DeadLetteredAt.IsNull() {
		t.Errorf("the job is %s", toJSON(job))
	}
	if e, err := job.LastError.Get(); err != nil || e.Code != "ca-unreachable" {
		t.Errorf("the last error is %s", toJSON(job.LastError))
	}
	if n := query[int](s, `SELECT count(*) FROM audit_logs WHERE action = 'job.dead_lettered' AND entity_id = $1`, job.Id); n != 1 {
		t.Errorf("%d events of the dead letter", n)
	}
	if archive := s.archived(); !strings.Contains(archive, job.Id) {
		t.Errorf("the queue monitor does not show the job: %s", archive)
	}

	s.Primary.SetDown(false)
	s.Backup.SetDown(false)
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
		t.Errorf("three clicks started the job %d times", started)
	}
	s.waitActive(d.Id)
	again, err := s.api.Job(t.Context(), job.Id)
	if err != nil {
		t.Fatal(err)
	}
	if again.Status != client.JobStatusSucceeded || again.Attempts != 0 || !again.DeadLetteredAt.IsNull() {
		t.Errorf("after the retry the job is %s", toJSON(again))
	}
	if _, err := s.api.RetryJob(t.Context(), job.Id); !conflict(err) {
		t.Errorf("a job that succeeded was retried: %v", err)
	}
}

var errNotYet = errors.New("not yet")

// archived returns what the queue monitor shows of the archive.
func (s *stack) archived() string {
	return string(s.get(s.Env()["DCVAAS_OPS_URL"]+"/queues/api/queues/critical/archived_tasks", nil))
}

// retry asks for a job's retry and returns the status.
func (s *stack) retry(id string) (int, error) {
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.Env()["DCVAAS_ENDPOINT"]+"/api/jobs/"+id+"/retry", nil)
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
		return 0, fmt.Errorf("retry: %s", resp.Status)
	}
	return resp.StatusCode, nil
}

func conflict(err error) bool {
	e, ok := errors.AsType[*client.Error](err)
	return ok && e.Status == http.StatusConflict
}
