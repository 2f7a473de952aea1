package soak

import (
	"errors"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// task is a dispatched job.
type task struct {
	job        string
	generation int
	at         time.Time
}

// transport carries tasks as Asynq does, with the test's clock: each once, and a failed one again
// at the time in its row. Its tasks are lost when Redis is emptied.
type transport struct {
	tasks map[task]bool
	away  bool
}

func newTransport() *transport { return &transport{tasks: map[task]bool{}} }

// enqueue accepts jobs that are due.
func (t *transport) enqueue(now time.Time, jobs []controlplane.Job) error {
	if t.away {
		return errors.New("Redis unavailable")
	}
	for _, j := range jobs {
		t.tasks[task{j.ID, j.Generation, now}] = true
	}
	return nil
}

// take returns and removes the tasks that are due.
func (t *transport) take(now time.Time) []task {
	if t.away {
		return nil
	}
	var due []task
	for k := range t.tasks {
		if !k.at.After(now) {
			due = append(due, k)
			delete(t.tasks, k)
		}
	}
	return due
}

// next returns when the next task is due, or the zero time.
func (t *transport) next() time.Time {
	var first time.Time
	for k := range t.tasks {
		first = earlier(first, k.at)
	}
	return first
}
