package postgres

// republish is for values that are already published: by the same order, or by others that share a
// pending authorization with it. No order shortens the life of a value.
const republish = `ON CONFLICT (target, value) DO UPDATE SET
			expires_at = greatest(challenges.expires_at, excluded.expires_at), order_id = excluded.order_id,
			shared_with = CASE challenges.order_id WHEN excluded.order_id THEN challenges.shared_with
				ELSE array_remove(challenges.shared_with, excluded.order_id) || challenges.order_id END`

// releaseValues are the CTEs that remove the values of the released orders of the organization
// @org_id, except for those that other orders still need, which these keep. released is an
// expression for the IDs of the orders. Nothing is changed unless the condition holds. Orders are
// locked before their values, as everywhere.
func releaseValues(released, condition string) string {
	remaining := `ARRAY(SELECT r.id FROM acme_orders r WHERE r.id = ANY(c.order_id || c.shared_with)
			AND r.id <> ALL(` + released + `) AND r.step NOT IN ('stored', 'failed') FOR KEY SHARE)`
	return `passed_on AS (
		UPDATE challenges c SET order_id = (` + remaining + `)[1], shared_with = (` + remaining + `)[2:]
		WHERE c.org_id = @org_id AND c.shared_with <> '{}' AND (c.order_id || c.shared_with) && ` + released + `
			AND cardinality(` + remaining + `) > 0 AND ` + condition + `
	), removed AS (
		DELETE FROM challenges c WHERE c.org_id = @org_id AND c.order_id = ANY(` + released + `)
			AND (c.shared_with = '{}' OR cardinality(` + remaining + `) = 0) AND ` + condition + `
	)`
}

// releasedOrder is the order @order_id, for releaseValues.
const releasedOrder = `ARRAY[@order_id::text]`
