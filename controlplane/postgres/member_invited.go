package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// InviteMember stores an invitation by login. It replaces an earlier one that the person did not
// accept.
func (t *Tx) InviteMember(ctx context.Context, m *controlplane.Member) error {
	_, err := t.db.Exec(ctx, `
		INSERT INTO member_invitations (org_id, user_id, role, created_by, created_at, expires_at)
		VALUES (@org_id, @user_id, @role, @created_by, @created_at, @expires_at)
		ON CONFLICT (org_id, user_id) DO UPDATE SET role = @role, created_by = @created_by, created_at = @created_at,
			expires_at = @expires_at, declined_at = NULL`,
		named{"org_id": m.OrgID, "user_id": m.User.ID, "role": m.Role, "created_by": m.InvitedBy,
			"created_at": m.Since,
			"expires_at": m.ExpiresAt})
	return translate(err, "member", m.User.ID)
}

// DeclineMember records that the person declined an invitation by login.
func (t *Tx) DeclineMember(ctx context.Context, m *controlplane.Member, now time.Time) error {
	_, err := t.db.Exec(ctx,
		`UPDATE member_invitations SET declined_at = $3 WHERE org_id = $1 AND user_id = $2`,
		m.OrgID, m.User.ID, now)
	return translate(err, "member", m.User.ID)
}

// OpenInvitations returns how many people are invited and can still accept, by login and by
// link.
func (t *Tx) OpenInvitations(ctx context.Context, orgID string, now time.Time) (int, error) {
	var n int
	err := t.db.QueryRow(ctx,
		`SELECT (SELECT count(*) FROM invitations WHERE org_id = $1 AND expires_at > $2) +
		(SELECT count(*) FROM member_invitations WHERE org_id = $1 AND expires_at > $2 AND declined_at IS NULL)`, orgID, now).Scan(&n)
	return n, translate(err, "", "")
}

// InvitedTo is an organization that a user is invited to by login.
type InvitedTo struct {
	Organization string            // its name
	Inviter      controlplane.User // the user behind the invitation; zero if unknown
	Member       controlplane.Member
}

// InvitedTo returns the invitations by login that a user can accept, oldest first. It starts
// with the user, like Memberships.
func (q queries) InvitedTo(ctx context.Context, userID string, now time.Time) ([]InvitedTo, error) {
	rows, err := q.db.Query(ctx,
		`SELECT o.name, coalesce(u.login, ''), coalesce(u.name, ''), m.org_id, m.role, m.created_at, m.created_by, m.expires_at
		FROM member_invitations m JOIN organizations o ON o.id = m.org_id AND o.deleted_at IS NULL LEFT JOIN users u ON u.id = m.creator_user_id
		WHERE m.user_id = $1 AND m.expires_at > $2 AND m.declined_at IS NULL ORDER BY m.created_at, m.org_id`, userID, now)
	if err != nil {
		return nil, translate(err, "", "")
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (InvitedTo, error) {
		var i InvitedTo
		m := &i.Member
		m.User.ID = userID
		err := row.Scan(&i.Organization, &i.Inviter.Login, &i.Inviter.Name, &m.OrgID, &m.Role,
			&m.Since, &m.InvitedBy, &m.ExpiresAt)
		return i, err
	})
	return all, translate(err, "", "")
}

// InvitedUser returns the user of an account at GitHub who can accept an invitation by login.
// It returns KindNotFound if the user has no such invitation.
func (q queries) InvitedUser(
	ctx context.Context, githubID int64, now time.Time,
) (*controlplane.User, error) {
	var u controlplane.User
	err := q.db.QueryRow(ctx, `SELECT `+userColumns+
		` FROM users u WHERE u.github_id = $1 AND EXISTS (
		SELECT FROM member_invitations m WHERE m.user_id = u.id AND m.expires_at > $2 AND m.declined_at IS NULL)`, githubID, now).Scan(userFields(&u)...)
	if err != nil {
		return nil, translate(err, "user", "")
	}
	return &u, nil
}
