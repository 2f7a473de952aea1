package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const userColumns = `u.id, coalesce(u.github_id, 0), u.login, u.name, u.joined_at, u.created_at`

// userFields are the destinations for userColumns.
func userFields(u *controlplane.User) []any {
	return []any{&u.ID, &u.GitHubID, &u.Login, &u.Name, &u.JoinedAt, &u.CreatedAt}
}

// UserOf stores or updates the user of a GitHub account and returns it. If another user had the
// login, that user loses it: the login belongs to this account now.
func (t *Tx) UserOf(
	ctx context.Context, a controlplane.GitHubAccount, now time.Time,
) (*controlplane.User, error) {
	var u controlplane.User
	b := &pgx.Batch{}
	// One at a time until the transaction ends: two accounts may have exchanged their logins.
	b.Queue(`SELECT pg_advisory_xact_lock(hashtextextended('dcvaas-users', 0))`)
	b.Queue(`UPDATE users SET login = '' WHERE lower(login) = lower($2) AND github_id IS DISTINCT FROM $1`, a.ID, a.Login)
	b.Queue(`INSERT INTO users AS u (id, github_id, login, name, created_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (github_id) DO UPDATE SET login = $3, name = $4 RETURNING `+userColumns,
		controlplane.NewID(controlplane.PrefixUser), a.ID, a.Login, a.Name,
		now).QueryRow(func(row pgx.Row) error {
		return row.Scan(userFields(&u)...)
	})
	return &u, translate(t.db.SendBatch(ctx, b).Close(), "user", a.Login)
}

// LockUser locks a user until the transaction ends. It returns KindNotFound without one.
func (t *Tx) LockUser(ctx context.Context, userID string) error {
	var id string
	err := t.db.QueryRow(ctx, `SELECT id FROM users WHERE id = $1 FOR NO KEY UPDATE`,
		userID).Scan(&id)
	return translate(err, "user", userID)
}

// Join records that a user signed in. It returns whether it was for the first time.
func (t *Tx) Join(ctx context.Context, userID string, now time.Time) (bool, error) {
	tag, err := t.db.Exec(ctx,
		`UPDATE users SET joined_at = $2 WHERE id = $1 AND joined_at IS NULL`, userID, now)
	return tag.RowsAffected() > 0, translate(err, "user", userID)
}

// UserTitles returns the display names of users, by their IDs. The IDs are from a log that the
// caller may read, and include users who have left the organization.
func (q queries) UserTitles(ctx context.Context, ids []string) (map[string]string, error) {
	rows, err := q.db.Query(ctx, `SELECT `+userColumns+` FROM users u WHERE u.id = ANY($1)`, ids)
	if err != nil {
		return nil, translate(err, "", "")
	}
	titles := make(map[string]string, len(ids))
	users, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (controlplane.User, error) {
		var u controlplane.User
		return u, row.Scan(userFields(&u)...)
	})
	for i := range users {
		titles[users[i].ID] = users[i].Title()
	}
	return titles, translate(err, "", "")
}
