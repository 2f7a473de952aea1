package postgres

import "context"

// RedispatchDeclined makes a queued job due for dispatch again, if this is its current generation:
// a worker was given its task and declined it. Unlike Redispatch, it waits for a dispatch that has
// enqueued the task and has not committed yet.
func (s *Store) RedispatchDeclined(ctx context.Context, id string, generation int) error {
	_, err := s.lazy.Exec(ctx, `
		UPDATE jobs SET generation = generation + 1, dispatched_at = NULL
		WHERE id = $1 AND generation = $2 AND status = 'queued'`, id, generation)
	return translate(err, "", "")
}
