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

// payload is all that Redis is told of a job.
type payload struct {
	Job        string `json:"job"`
	Generation int    `json:"generation"`
	Org        string `json:"org,omitempty"` // empty in a task of an older version
}

// taskID is unique for every dispatch of a job: Asynq refuses a second task of the same id,
// and archived ones keep theirs.
func taskID(j *controlplane.Job) string { return j.ID + ":" + strconv.Itoa(j.Generation) }

// newTask returns the task for a job. The row's failures count: a job that has failed twice
// before Redis was lost has two attempts left after it.
func newTask(j *controlplane.Job) (*asynq.Task, error) {
	body, err := json.Marshal(payload{j.ID, j.Generation, j.OrgID})
	if err != nil {
		return nil, err
	}
	return asynq.NewTask(string(j.Type), body, asynq.TaskID(taskID(j)), asynq.Queue(string(j.Queue)),
		asynq.MaxRetry(max(j.Type.MaxAttempts()-1-j.Attempts, 0)), asynq.Timeout(taskTimeout)), nil
}

func readTask(t *asynq.Task) (payload, error) {
	var p payload
	if err := json.Unmarshal(t.Payload(), &p); err != nil || p.Job == "" {
		return p, fmt.Errorf("queue: a task that is none of ours: %w", asynq.SkipRetry)
	}
	return p, nil
}
