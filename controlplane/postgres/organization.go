package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const organizationColumns = `id, name, subscription_tier, domain_limit, domain_count, delegation_limit, delegation_count, created_at`

func scanOrganization(row pgx.CollectableRow) (controlplane.Organization, error) {
	var o controlplane.Organization
	err := row.Scan(organizationFields(&o)...)
	return o, err
}

// organizationFields are the destinations for organizationColumns.
func organizationFields(o *controlplane.Organization) []any {
	return []any{&o.ID, &o.Name, &o.Tier, &o.DomainLimit, &o.Domains, &o.DelegationLimit,
		&o.Delegations, &o.CreatedAt}
}

// Organization returns one organization. One that was deleted is not found.
func (q queries) Organization(
	ctx context.Context, orgID string,
) (*controlplane.Organization, error) {
	return q.organization(ctx, orgID, "")
}

// LockOrganization is Organization, with the row locked until the transaction ends. Changes of its
// members lock it, so that they run one at a time.
func (t *Tx) LockOrganization(
	ctx context.Context, orgID string,
) (*controlplane.Organization, error) {
	return t.organization(ctx, orgID, " FOR NO KEY UPDATE")
}

func (q queries) organization(
	ctx context.Context, orgID, lock string,
) (*controlplane.Organization, error) {
	return one(ctx, q, scanOrganization, "organization", orgID, `SELECT `+organizationColumns+
		` FROM organizations WHERE id = $1 AND deleted_at IS NULL`+lock, orgID)
}

// Organizations returns every organization, oldest first, for the operator's commands.
func (q queries) Organizations(ctx context.Context) ([]controlplane.Organization, error) {
	return all(ctx, q, scanOrganization, `SELECT `+organizationColumns+
		` FROM organizations WHERE deleted_at IS NULL ORDER BY created_at, id`)
}

// AddOrganization stores a new organization.
func (q queries) AddOrganization(ctx context.Context, o *controlplane.Organization) error {
	_, err := q.db.Exec(ctx,
		`INSERT INTO organizations (id, name, subscription_tier, domain_limit, delegation_limit, created_at) VALUES ($1, $2, $3, $4, $5, $6)`,
		o.ID, o.Name, o.Tier, o.DomainLimit, o.DelegationLimit, o.CreatedAt)
	return translate(err, "organization", o.ID)
}

// RenameOrganization changes an organization's name.
func (t *Tx) RenameOrganization(ctx context.Context, orgID, name string) error {
	_, err := t.db.Exec(ctx, `UPDATE organizations SET name = $2 WHERE id = $1`, orgID, name)
	return translate(err, "organization", orgID)
}

// DomainCount returns how many domains the organization has.
func (q queries) DomainCount(ctx context.Context, orgID string) (int, error) {
	var n int
	err := q.db.QueryRow(ctx, `SELECT domain_count FROM organizations WHERE id = $1`,
		orgID).Scan(&n)
	return n, translate(err, "organization", orgID)
}
