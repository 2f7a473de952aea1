package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const invitationColumns = `id, org_id, role, hash, expires_at, created_by, creator_user_id, created_at`

func scanInvitation(row pgx.CollectableRow) (controlplane.Invitation, error) {
	var i controlplane.Invitation
	err := row.Scan(&i.ID, &i.OrgID, &i.Role, &i.Hash, &i.ExpiresAt, &i.CreatedBy, &i.CreatorUserID,
		&i.CreatedAt)
	return i, err
}

// InvitationByHash returns an open invitation by the hash of its secret. It does not take the
// organization: the caller learns it from the invitation.
func (q queries) InvitationByHash(
	ctx context.Context, hash []byte, now time.Time,
) (*controlplane.Invitation, error) {
	return q.invitationByHash(ctx, hash, now, "")
}

// LockInvitation is InvitationByHash, with the row locked until the transaction ends.
func (t *Tx) LockInvitation(
	ctx context.Context, hash []byte, now time.Time,
) (*controlplane.Invitation, error) {
	return t.invitationByHash(ctx, hash, now, " FOR UPDATE")
}

func (q queries) invitationByHash(
	ctx context.Context, hash []byte, now time.Time, lock string,
) (*controlplane.Invitation, error) {
	return one(ctx, q, scanInvitation, "invitation", "", `SELECT `+invitationColumns+
		` FROM invitations WHERE hash = $1 AND expires_at > $2`+lock, hash, now)
}

// ListInvitations returns one page of open invitations, newest first, and the cursor of the next
// one, nil on the last.
func (q queries) ListInvitations(
	ctx context.Context, orgID string, now time.Time, after *Cursor, limit int,
) ([]controlplane.Invitation, *Cursor, error) {
	l := newList(`SELECT `+invitationColumns+` FROM invitations`,
		"org_id = @org_id AND expires_at > @now", named{"org_id": orgID, "now": now})
	l.newest("created_at", "id", after, limit)
	return readPage(ctx, q, l, scanInvitation,
		func(i controlplane.Invitation) *Cursor { return at(i.CreatedAt, i.ID) })
}

// AddInvitation stores a new invitation.
func (t *Tx) AddInvitation(ctx context.Context, i *controlplane.Invitation) error {
	_, err := t.db.Exec(ctx, `
		INSERT INTO invitations (id, org_id, role, hash, expires_at, created_by, created_at)
		VALUES (@id, @org_id, @role, @hash, @expires_at, @created_by, @created_at)`,
		named{"id": i.ID, "org_id": i.OrgID, "role": i.Role, "hash": i.Hash,
			"expires_at": i.ExpiresAt,
			"created_by": i.CreatedBy, "created_at": i.CreatedAt})
	if violates(err) == "invitations_org_id_fkey" {
		return controlplane.NotFound("organization", i.OrgID)
	}
	return translate(err, "invitation", i.ID)
}

// DeleteInvitation removes an invitation, and returns it.
func (t *Tx) DeleteInvitation(
	ctx context.Context, orgID, id string,
) (*controlplane.Invitation, error) {
	return one(ctx, t.queries, scanInvitation, "invitation", id,
		`DELETE FROM invitations WHERE org_id = $1 AND id = $2 RETURNING `+invitationColumns, orgID,
		id)
}

// DeleteInvitationsBy removes the invitations that a user created, in person or with a token, and
// returns them: those by link, and those by login that were not declined.
func (t *Tx) DeleteInvitationsBy(
	ctx context.Context, orgID, userID string,
) ([]controlplane.Invitation, []controlplane.Member, error) {
	links, err := all(ctx, t.queries, scanInvitation,
		`DELETE FROM invitations WHERE org_id = $1 AND creator_user_id = $2 RETURNING `+
			invitationColumns, orgID, userID)
	if err != nil {
		return nil, nil, err
	}
	members, err := all(ctx, t.queries, scanMember, `WITH m AS (
			DELETE FROM member_invitations WHERE org_id = $1 AND creator_user_id = $2 AND declined_at IS NULL RETURNING *)
		SELECT `+memberColumns+` FROM m JOIN users u ON u.id = m.user_id`, orgID, userID)
	return links, members, err
}
