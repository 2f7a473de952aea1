package postgres

import (
	"context"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// KeepAnswer stores an answer that is read later, with Answer or TakeAnswer. It replaces an earlier
// one with the same key. It returns KindNotFound if the organization does not exist.
func (q queries) KeepAnswer(ctx context.Context, k AnswerKey, a *Answer, now time.Time) error {
	_, err := q.db.Exec(ctx, keepSQL, keepArgs(k, a, now))
	if violates(err) == "idempotency_keys_org_id_fkey" {
		return controlplane.NotFound("organization", k.OrgID)
	}
	return translate(err, "", "")
}

// Answer returns the answer that was stored for the key, path, and hash after the given time, or
// KindNotFound.
func (q queries) Answer(ctx context.Context, k AnswerKey, since time.Time) (*Answer, error) {
	var a Answer
	err := q.db.QueryRow(ctx, `SELECT status, headers, body FROM idempotency_keys
		WHERE org_id = @org_id AND key = @key AND method = @method AND path = @path AND body_hash = @hash AND created_at > @since`,
		keptBy(k, since)).Scan(&a.Status, &a.Header, &a.Body)
	if err != nil {
		return nil, translate(err, "answer", k.Key)
	}
	return &a, nil
}

// TakeAnswer is Answer and erases the answer's body: only one caller gets it. It returns
// KindNotFound if the body was taken before.
func (q queries) TakeAnswer(ctx context.Context, k AnswerKey, since time.Time) (*Answer, error) {
	var a Answer
	err := q.db.QueryRow(ctx, `
		UPDATE idempotency_keys k SET body = '' FROM (
			SELECT org_id, key, body FROM idempotency_keys
			WHERE org_id = @org_id AND key = @key AND method = @method AND path = @path AND body_hash = @hash AND created_at > @since
			FOR UPDATE) old
		WHERE k.org_id = old.org_id AND k.key = old.key AND old.body <> ''
		RETURNING k.status, k.headers, old.body`,
		keptBy(k, since)).Scan(&a.Status, &a.Header, &a.Body)
	if err != nil {
		return nil, translate(err, "answer", k.Key)
	}
	return &a, nil
}

func keptBy(k AnswerKey, since time.Time) named {
	return named{"org_id": k.OrgID, "key": k.Key, "method": k.Method, "path": k.Path,
		"hash": k.Hash, "since": since}
}
