package queue

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/hibiken/asynq"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// taskTimeout bounds one run of a job.
const taskTimeout = 10 * time.Minute

// payload is the part of a job that is stored in Redis.
type payload struct {
	Job        string `json:"job"`
	Generation int    `json:"generation"`
	Org        string `json:"org,omitempty"` // empty in a task of an older version
}

// taskID returns an ID that is unique for each dispatch of a job: Asynq rejects a second task with
// the same ID, also if the first is archived.
func taskID(j *controlplane.Job) string { return j.ID + ":" + strconv.Itoa(j.Generation) }

// newTask returns the task of a job. The failures in the row count: a job that failed twice before
// Redis lost its data has two attempts left.
func newTask(j *controlplane.Job) (*asynq.Task, error) {
	body, err := json.Marshal(payload{j.ID, j.Generation, j.OrgID})
	if err != nil {
		return nil, err
	}
	return asynq.NewTask(string(j.Type), body, asynq.TaskID(taskID(j)),
		asynq.Queue(string(j.Queue)),
		asynq.MaxRetry(max(j.Type.MaxAttempts()-1-j.Attempts, 0)), asynq.Timeout(taskTimeout)), nil
}

func readTask(t *asynq.Task) (payload, error) {
	var p payload
	if err := json.Unmarshal(t.Payload(), &p); err != nil || p.Job == "" {
		return p, fmt.Errorf("queue: malformed task payload: %w", asynq.SkipRetry)
	}
	return p, nil
}
