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

// transport carries tasks as Asynq does, by the test's clock: each once, a failed one again
// when its row says so. What it holds is lost when Redis is emptied.
type transport struct {
	tasks map[task]bool
	away  bool
}

func newTransport() *transport { return &transport{tasks: map[task]bool{}} }

// enqueue takes jobs that are due.
func (t *transport) enqueue(now time.Time, jobs []controlplane.Job) error {
	if t.away {
		return errors.New("Redis is away")
	}
	for _, j := range jobs {
		t.tasks[task{j.ID, j.Generation, now}] = true
	}
	return nil
}

// take returns the tasks whose time has come, and forgets them.
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

// next returns when the next task is due, the zero time if there is none.
func (t *transport) next() time.Time {
	var first time.Time
	for k := range t.tasks {
		first = earlier(first, k.at)
	}
	return first
}
