package postgres

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// AnswerKey identifies a request that may be sent several times and is executed once. Hash covers
// everything else that two identical requests have in common.
type AnswerKey struct {
	OrgID, Key   string
	Method, Path string
	Hash         []byte
}

// Answer is the response to a request. Its body is sealed by the caller.
type Answer struct {
	Status int
	Header map[string][]string
	Body   []byte
}

// inProgressRetry is when to retry a request that is still in progress.
const inProgressRetry = time.Second

// Once executes a request, with fn, that has not been answered since the given time, and returns
// (nil, nil). Otherwise it returns the stored answer. It returns KindConflict while the request is
// in progress, and KindInvalid if the key belongs to another request.
//
// The request and its answer are one transaction:
//
//  1. Once tries to get an advisory lock on the key. The lock ends with the transaction, and so
//     with the process or the connection that holds it. A caller that does not get it retries
//     later.
//  2. fn runs with a context that carries the transaction: everything that it does through the
//     Store with that context is part of it. An error of fn rolls everything back.
//  3. The answer is inserted and the transaction is committed. So after a crash either nothing was
//     done and no answer is stored, or everything was done and the answer is stored. If fn returns
//     a nil answer, such as after the deletion of the organization, none is stored.
func (s *Store) Once(
	ctx context.Context, k AnswerKey, since, now time.Time,
	fn func(context.Context) (*Answer, error),
) (*Answer, error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, translate(err, "", "")
	}
	defer undo(ctx, conn)
	var locked bool
	var kept *keptAnswer
	b := &pgx.Batch{}
	b.Queue("BEGIN")
	// an unreachable process must not hold its key forever
	b.Queue("SET LOCAL idle_in_transaction_session_timeout = '2min'")
	b.Queue(`SELECT pg_try_advisory_xact_lock(hashtextextended($1, 1))`, k.OrgID+" "+k.Key).
		QueryRow(func(row pgx.Row) error { return row.Scan(&locked) })
	// A separate statement: its snapshot is taken after the lock, so it sees what the last holder
	// has committed.
	b.Queue(`SELECT method, path, body_hash, status, headers, body FROM idempotency_keys
		WHERE org_id = $1 AND key = $2 AND created_at > $3`, k.OrgID, k.Key, since).Query(func(rows pgx.Rows) error {
		all, err := pgx.CollectRows(rows, scanKept)
		if len(all) == 1 {
			kept = &all[0]
		}
		return err
	})
	if err := conn.SendBatch(ctx, b).Close(); err != nil {
		return nil, translate(err, "", "")
	}
	switch {
	case kept != nil && !kept.of(k):
		return nil, controlplane.Invalid("/Idempotency-Key", "idempotency-key-reused",
			"The Idempotency-Key was sent before with a different request.",
			"Use a new key for each request, and the same key only to retry the same request.")
	case kept != nil:
		return &kept.Answer, nil
	case !locked:
		return nil, &controlplane.Error{Kind: controlplane.KindConflict,
			Code: "idempotency-in-progress", RetryAt: now.Add(inProgressRetry),
			Message: "The first request with this Idempotency-Key is still in progress.",
			Fix:     "Retry in a second to get its response."}
	}
	a, err := fn(join(ctx, conn))
	if err != nil {
		return nil, err
	}
	return nil, translate(keepAnswer(ctx, conn, k, a, now), "", "")
}

// keepSQL stores an answer. It replaces one that is too old to be returned.
const keepSQL = `
	INSERT INTO idempotency_keys (org_id, key, method, path, body_hash, status, headers, body, created_at)
	VALUES (@org_id, @key, @method, @path, @hash, @status, @headers, @body, @now)
	ON CONFLICT (org_id, key) DO UPDATE SET method = @method, path = @path, body_hash = @hash, status = @status,
		headers = @headers, body = @body, created_at = @now`

func keepArgs(k AnswerKey, a *Answer, now time.Time) named {
	header, body := a.Header, a.Body
	if header == nil {
		header = map[string][]string{}
	}
	if body == nil {
		body = []byte{}
	}
	return named{"org_id": k.OrgID, "key": k.Key, "method": k.Method, "path": k.Path,
		"hash": k.Hash, "status": a.Status, "headers": header, "body": body, "now": now}
}

func keepAnswer(ctx context.Context, conn interface {
	SendBatch(context.Context, *pgx.Batch) pgx.BatchResults
}, k AnswerKey, a *Answer, now time.Time,
) error {
	var kept, end pgconn.CommandTag
	b := &pgx.Batch{}
	if a != nil {
		b.Queue(keepSQL, keepArgs(k, a, now)).
			Exec(func(t pgconn.CommandTag) error { kept = t; return nil })
	}
	b.Queue("COMMIT").Exec(func(t pgconn.CommandTag) error { end = t; return nil })
	if err := conn.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	if a != nil && kept.RowsAffected() != 1 || end.String() != "COMMIT" {
		return errors.New("postgres: the answer was not stored")
	}
	return nil
}

type keptAnswer struct {
	AnswerKey
	Answer
}

func scanKept(row pgx.CollectableRow) (keptAnswer, error) {
	var a keptAnswer
	err := row.Scan(&a.Method, &a.Path, &a.Hash, &a.Status, &a.Header, &a.Body)
	return a, err
}

func (a *keptAnswer) of(k AnswerKey) bool {
	return a.Method == k.Method && a.Path == k.Path && slices.Equal(a.Hash, k.Hash)
}

// SweepAnswers removes answers that were stored before the given time.
func (q queries) SweepAnswers(ctx context.Context, before time.Time) error {
	return q.sweep(ctx, "idempotency_keys", "created_at", before)
}
