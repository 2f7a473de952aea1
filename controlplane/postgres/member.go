package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// people are the members of every state, as one table m.
const people = `(
	SELECT org_id, user_id, role, created_at, '' AS created_by, NULL::timestamptz AS expires_at, NULL::timestamptz AS declined_at FROM organization_members
	UNION ALL
	SELECT org_id, user_id, role, created_at, created_by, expires_at, declined_at FROM member_invitations) m JOIN users u ON u.id = m.user_id`

const memberColumns = `m.org_id, m.role, m.created_at, m.created_by, m.expires_at, m.declined_at, ` + userColumns

func scanMember(row pgx.CollectableRow) (controlplane.Member, error) {
	var m controlplane.Member
	err := row.Scan(append([]any{&m.OrgID, &m.Role, &m.Since, &m.InvitedBy, &m.ExpiresAt,
		&m.DeclinedAt}, userFields(&m.User)...)...)
	return m, err
}

// Member returns a member of any state by the ID of their user, or by their login in any case.
func (q queries) Member(ctx context.Context, orgID, ref string) (*controlplane.Member, error) {
	by := "u.login <> '' AND lower(u.login) = lower($2)"
	if controlplane.IsID(controlplane.PrefixUser, ref) {
		by = "u.id = $2"
	}
	return one(ctx, q, scanMember, "member", ref, `SELECT `+memberColumns+` FROM `+people+
		` WHERE m.org_id = $1 AND `+by, orgID, ref)
}

// ListMembers returns one page of members of every state, oldest first, and the cursor of the next
// one, nil on the last.
func (q queries) ListMembers(
	ctx context.Context, orgID string, after *Cursor, limit int,
) ([]controlplane.Member, *Cursor, error) {
	l := newList(`SELECT `+memberColumns+` FROM `+people, "m.org_id = @org_id",
		named{"org_id": orgID})
	l.sorted(sortKey{"m.created_at", "m.user_id", "timestamptz"}, false, after, limit)
	return readPage(ctx, q, l, scanMember,
		func(m controlplane.Member) *Cursor { return at(m.Since, m.User.ID) })
}

// Memberships returns the organizations that a user belongs to: the one that they used last, and
// then the others by age. It takes the user instead of an organization: the caller learns the
// organizations from it.
func (q queries) Memberships(
	ctx context.Context, userID string,
) ([]controlplane.Membership, error) {
	rows, err := q.db.Query(ctx,
		`SELECT m.role, o.id, o.name, o.subscription_tier, o.domain_limit, o.domain_count, o.delegation_limit, o.delegation_count, o.created_at
		FROM organization_members m JOIN organizations o ON o.id = m.org_id AND o.deleted_at IS NULL JOIN users u ON u.id = m.user_id
		WHERE m.user_id = $1 ORDER BY o.id = u.last_org_id DESC, m.created_at, o.id`, userID)
	if err != nil {
		return nil, translate(err, "", "")
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (controlplane.Membership,
		error) {
		var m controlplane.Membership
		err := row.Scan(append([]any{&m.Role}, organizationFields(&m.Organization)...)...)
		return m, err
	})
	return all, translate(err, "", "")
}

// AddMember stores an active membership and removes the invitation by login, if any. It returns
// false if the user is a member already.
func (t *Tx) AddMember(ctx context.Context, m *controlplane.Member) (bool, error) {
	added := false
	b := &pgx.Batch{}
	b.Queue(`DELETE FROM member_invitations WHERE org_id = $1 AND user_id = $2`, m.OrgID, m.User.ID)
	b.Queue(`INSERT INTO organization_members (org_id, user_id, role, created_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (org_id, user_id) DO NOTHING`, m.OrgID, m.User.ID, m.Role, m.Since).Exec(func(tag pgconn.CommandTag) error {
		added = tag.RowsAffected() > 0
		return nil
	})
	err := t.db.SendBatch(ctx, b).Close()
	if violates(err) == "organization_members_org_id_fkey" {
		return false, controlplane.NotFound("organization", m.OrgID)
	}
	return added, translate(err, "member", m.User.ID)
}

// SetRole changes the role of an active member, or the role in an invitation by login.
func (t *Tx) SetRole(ctx context.Context, m *controlplane.Member, r controlplane.Role) error {
	tag, err := t.db.Exec(ctx, `UPDATE `+memberTable(m)+
		` SET role = $3 WHERE org_id = $1 AND user_id = $2`, m.OrgID, m.User.ID, r)
	if err == nil && tag.RowsAffected() == 0 {
		return controlplane.NotFound("member", m.User.ID)
	}
	return translate(err, "member", m.User.ID)
}

// RemoveMember ends a membership with the sessions in it, or an invitation by login.
func (t *Tx) RemoveMember(ctx context.Context, m *controlplane.Member) error {
	tag, err := t.db.Exec(ctx, `DELETE FROM `+memberTable(m)+` WHERE org_id = $1 AND user_id = $2`,
		m.OrgID, m.User.ID)
	if err == nil && tag.RowsAffected() == 0 {
		return controlplane.NotFound("member", m.User.ID)
	}
	return translate(err, "member", m.User.ID)
}

func memberTable(m *controlplane.Member) string {
	if m.Active() {
		return "organization_members"
	}
	return "member_invitations"
}

// Owners returns how many owners the organization has. A caller that depends on the number locks
// the organization first (LockOrganization).
func (q queries) Owners(ctx context.Context, orgID string) (int, error) {
	var n int
	err := q.db.QueryRow(ctx,
		`SELECT count(*) FROM organization_members WHERE org_id = $1 AND role = 'owner'`,
		orgID).Scan(&n)
	return n, translate(err, "", "")
}
