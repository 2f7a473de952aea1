package postgres

import "context"

// PutBack puts back a job that a worker was given and did not take up, if this generation is
// still to be run: it is due as before, and dispatched anew. It waits for a dispatch that has
// handed the job over and has not committed yet.
func (s *Store) PutBack(ctx context.Context, id string, generation int) error {
	_, err := s.lazy.Exec(ctx, `
		UPDATE jobs SET generation = generation + 1, dispatched_at = NULL
		WHERE id = $1 AND generation = $2 AND status = 'queued'`, id, generation)
	return translate(err, "", "")
}
