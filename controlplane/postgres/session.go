package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// Session returns a session by the hash of its cookie, with the user's current role and the number
// of invitations that they can accept. It does not take the organization: the caller learns it from
// the session. It returns KindNotFound if the session does not exist or has expired.
func (q queries) Session(
	ctx context.Context, hash []byte, now time.Time,
) (*controlplane.Session, error) {
	s := controlplane.Session{Hash: hash}
	err := q.db.QueryRow(ctx, `
		SELECT s.id, s.org_id, s.ip, s.user_agent, s.created_at, s.last_seen_at, s.expires_at, m.role, o.subscription_tier,
			(SELECT count(*) FROM member_invitations i WHERE i.user_id = s.user_id AND i.expires_at > $2 AND i.declined_at IS NULL), `+userColumns+`
		FROM sessions s JOIN organization_members m ON m.org_id = s.org_id AND m.user_id = s.user_id
			JOIN organizations o ON o.id = s.org_id AND o.deleted_at IS NULL JOIN users u ON u.id = s.user_id
		WHERE s.hash = $1 AND s.expires_at > $2`, hash, now).
		Scan(append([]any{&s.ID, &s.OrgID, &s.IP, &s.UserAgent, &s.CreatedAt, &s.LastSeenAt,
			&s.ExpiresAt, &s.Role, &s.Tier, &s.Invitations}, userFields(&s.User)...)...)
	if err != nil {
		return nil, translate(err, "session", "")
	}
	return &s, nil
}

// AddSession stores a new session, and records its organization as the one that its user used last.
func (t *Tx) AddSession(ctx context.Context, s *controlplane.Session) error {
	_, err := t.db.Exec(ctx, `
		INSERT INTO sessions (id, hash, user_id, org_id, ip, user_agent, created_at, last_seen_at, expires_at)
		VALUES (@id, @hash, @user_id, @org_id, @ip, @user_agent, @created_at, @last_seen_at, @expires_at)`,
		named{"id": s.ID, "hash": s.Hash, "user_id": s.User.ID, "org_id": s.OrgID, "ip": s.IP,
			"user_agent": s.UserAgent,
			"created_at": s.CreatedAt, "last_seen_at": s.LastSeenAt, "expires_at": s.ExpiresAt})
	if err != nil {
		return translate(err, "session", s.ID)
	}
	return t.lastSeenIn(ctx, s.User.ID, s.OrgID)
}

func (t *Tx) lastSeenIn(ctx context.Context, userID, orgID string) error {
	_, err := t.db.Exec(ctx,
		`UPDATE users SET last_org_id = $2 WHERE id = $1 AND last_org_id <> $2`, userID, orgID)
	return translate(err, "user", userID)
}

// TouchSession records a session's use, at most once in SessionTouch, and extends it until
// SessionIdle from now, and at most until SessionLife from its start.
func (q queries) TouchSession(ctx context.Context, s *controlplane.Session, now time.Time) error {
	if now.Sub(s.LastSeenAt) < controlplane.SessionTouch {
		return nil
	}
	end := s.CreatedAt.Add(controlplane.SessionLife)
	if idle := now.Add(controlplane.SessionIdle); idle.Before(end) {
		end = idle
	}
	_, err := q.db.Exec(ctx,
		`UPDATE sessions SET last_seen_at = $3, expires_at = $4 WHERE org_id = $1 AND id = $2 AND last_seen_at < $3`,
		s.OrgID, s.ID, now, end)
	return translate(err, "session", s.ID)
}

// LastSeen returns when members were last seen in the organization, by their user IDs. A member
// without a session there is missing from the map.
func (q queries) LastSeen(
	ctx context.Context, orgID string, userIDs []string,
) (map[string]time.Time, error) {
	rows, err := q.db.Query(ctx,
		`SELECT user_id, max(last_seen_at) FROM sessions WHERE org_id = $1 AND user_id = ANY($2) GROUP BY user_id`, orgID, userIDs)
	if err != nil {
		return nil, translate(err, "", "")
	}
	seen := make(map[string]time.Time, len(userIDs))
	var id string
	var at time.Time
	_, err = pgx.ForEachRow(rows, []any{&id, &at}, func() error {
		seen[id] = at
		return nil
	})
	return seen, translate(err, "", "")
}

// SwitchSession switches a session to another organization that its user belongs to. It returns
// KindNotFound if the user does not belong to it.
func (t *Tx) SwitchSession(ctx context.Context, s *controlplane.Session, orgID string) error {
	tag, err := t.db.Exec(ctx, `UPDATE sessions SET org_id = $3 WHERE org_id = $1 AND id = $2`,
		s.OrgID, s.ID, orgID)
	switch {
	case violates(err) == "sessions_org_id_user_id_fkey":
		return controlplane.NotFound("organization", orgID)
	case err != nil:
		return translate(err, "session", s.ID)
	case tag.RowsAffected() == 0:
		return controlplane.NotFound("session", s.ID)
	}
	return t.lastSeenIn(ctx, s.User.ID, orgID)
}

// DeleteSession ends a session. It returns false if the session had ended before.
func (t *Tx) DeleteSession(ctx context.Context, s *controlplane.Session) (bool, error) {
	tag, err := t.db.Exec(ctx, `DELETE FROM sessions WHERE org_id = $1 AND id = $2`, s.OrgID, s.ID)
	return tag.RowsAffected() > 0, translate(err, "session", s.ID)
}

// ListSessions returns one page of the sessions of a user that have not ended, newest first, and
// the cursor of the next one, nil on the last. It starts with the user, whose sessions are in
// several organizations.
func (q queries) ListSessions(
	ctx context.Context, userID string, now time.Time, after *Cursor, limit int,
) ([]controlplane.Session, *Cursor, error) {
	l := newList(
		`SELECT s.id, s.org_id, o.name, s.ip, s.user_agent, s.created_at, s.last_seen_at, s.expires_at
		FROM sessions s JOIN organizations o ON o.id = s.org_id AND o.deleted_at IS NULL`,
		"s.user_id = @user_id AND s.expires_at > @now", named{"user_id": userID, "now": now})
	l.newest("s.created_at", "s.id", after, limit)
	return readPage(ctx, q, l, func(row pgx.CollectableRow) (controlplane.Session, error) {
		s := controlplane.Session{User: controlplane.User{ID: userID}}
		err := row.Scan(&s.ID, &s.OrgID, &s.OrgName, &s.IP, &s.UserAgent, &s.CreatedAt,
			&s.LastSeenAt, &s.ExpiresAt)
		return s, err
	}, func(s controlplane.Session) *Cursor { return at(s.CreatedAt, s.ID) })
}

// EndSession ends a session of a user, in any organization, and returns it. It returns KindNotFound
// if the session does not exist or has ended.
func (t *Tx) EndSession(
	ctx context.Context, userID, id string, now time.Time,
) (*controlplane.Session, error) {
	ended, err := t.endSessions(ctx, `id = @id`, named{"user": userID, "now": now, "id": id})
	switch {
	case err != nil:
		return nil, err
	case len(ended) == 0:
		return nil, controlplane.NoSession(id)
	}
	return &ended[0], nil
}

// EndSessions ends the sessions of a user, in every organization, and returns them. It keeps the
// session with the ID keep and, of the others, the number left that were used last.
func (t *Tx) EndSessions(
	ctx context.Context, userID, keep string, left int, now time.Time,
) ([]controlplane.Session, error) {
	return t.endSessions(ctx,
		`id IN (SELECT id FROM sessions WHERE user_id = @user AND expires_at > @now AND id <> @keep
		ORDER BY last_seen_at DESC, id DESC OFFSET @left)`, named{"user": userID, "now": now, "keep": keep, "left": left})
}

func (t *Tx) endSessions(
	ctx context.Context, which string, args named,
) ([]controlplane.Session, error) {
	rows, err := t.db.Query(ctx,
		`DELETE FROM sessions WHERE user_id = @user AND expires_at > @now AND `+which+
			` RETURNING id, org_id, user_agent`, args)
	if err != nil {
		return nil, translate(err, "", "")
	}
	ended, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (controlplane.Session, error) {
		var s controlplane.Session
		return s, row.Scan(&s.ID, &s.OrgID, &s.UserAgent)
	})
	return ended, translate(err, "", "")
}

// UseState marks the state of a sign-in as used until it expires. It returns false if the state was
// used before.
func (q queries) UseState(ctx context.Context, hash []byte, expires time.Time) (bool, error) {
	tag, err := q.db.Exec(ctx,
		`INSERT INTO used_states (hash, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING`, hash,
		expires)
	return tag.RowsAffected() > 0, translate(err, "", "")
}

// SweepSignIns removes sessions, states, and invitations that have expired at now.
func (q queries) SweepSignIns(ctx context.Context, now time.Time) error {
	for _, table := range []string{"sessions", "used_states", "invitations"} {
		if err := q.sweep(ctx, table, "expires_at", now); err != nil {
			return err
		}
	}
	return nil
}
