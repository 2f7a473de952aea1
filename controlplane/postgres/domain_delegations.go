package postgres

import (
	"context"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// delegationResults are the results of delegations by name, null without any.
const delegationResults = `jsonb_object_agg(g.name, jsonb_build_object('state', g.state, 'diagnosis', g.diagnosis))`

// delegationsOf are the results of the delegations that a domain uses.
const delegationsOf = `(SELECT ` + delegationResults + ` FROM delegations g
	WHERE g.org_id = d.org_id AND g.name = ANY(ARRAY(SELECT jsonb_object_keys(d.targets)) || d.name))`

// selectDelegated selects domains with the results of their delegations, for scanDelegated.
var selectDelegated = `SELECT ` + domainColumns + `, ` + delegationsOf + ` AS delegations FROM domains d`

func scanDelegated(row pgx.CollectableRow) (controlplane.Domain, error) {
	var d controlplane.Domain
	err := row.Scan(append(domainFields(&d), &d.Delegations)...)
	return d, err
}

// ReadDelegations fills the results of the delegations of an organization's domains, which other
// statements have read or written.
func (q queries) ReadDelegations(
	ctx context.Context, orgID string, domains ...*controlplane.Domain,
) error {
	byID := make(map[string][]*controlplane.Domain, len(domains))
	for _, d := range domains {
		byID[d.ID] = append(byID[d.ID], d)
	}
	rows, err := q.db.Query(ctx, `SELECT d.id, `+delegationsOf+` FROM domains d
		WHERE d.org_id = $1 AND d.id = ANY($2)`, orgID, slices.Collect(maps.Keys(byID)))
	if err != nil {
		return translate(err, "domain", "")
	}
	var id string
	var results map[string]controlplane.DelegationResult
	_, err = pgx.ForEachRow(rows, []any{&id, &results}, func() error {
		for _, d := range byID[id] {
			d.Delegations = results
		}
		results = nil // the next scan fills another map
		return nil
	})
	return translate(err, "domain", "")
}

// DelegatedNames returns those of the names that have a delegation in the organization. Unless only
// is nil, it is one that one of these domains uses.
func (q queries) DelegatedNames(
	ctx context.Context, orgID string, names, only []string,
) ([]string, error) {
	return all(ctx, q, pgx.RowTo[string], `
		SELECT g.name FROM delegations g WHERE g.org_id = @org_id AND g.name = ANY(@names)
			AND (@only::text[] IS NULL OR EXISTS (SELECT FROM domain_delegations u WHERE u.delegation_id = g.id AND `+usedBy+`))`,
		named{"org_id": orgID, "names": names, "only": only})
}
