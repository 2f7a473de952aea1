package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// HoldCA puts a CA on hold. It replaces an existing hold.
func (q queries) HoldCA(ctx context.Context, h controlplane.CAHold) error {
	_, err := q.db.Exec(ctx, `
		INSERT INTO ca_holds (ca, until, reason, held_by, created_at) VALUES (@ca, @until, @reason, @held_by, @created_at)
		ON CONFLICT (ca) DO UPDATE SET until = @until, reason = @reason, held_by = @held_by, created_at = @created_at`,
		named{"ca": h.CA, "until": h.Until, "reason": h.Reason, "held_by": h.By,
			"created_at": h.Since})
	return translate(err, "", "")
}

// ReleaseCA ends a hold. It returns false if the CA was not on hold at now.
func (q queries) ReleaseCA(ctx context.Context, ca string, now time.Time) (bool, error) {
	var held bool
	err := q.db.QueryRow(ctx,
		`DELETE FROM ca_holds WHERE ca = $1 RETURNING until IS NULL OR until > $2`, ca, now).Scan(
		&held)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	return held, translate(err, "", "")
}

// ExpediteHeld makes the jobs due that wait for a CA on hold, of all organizations.
func (t *Tx) ExpediteHeld(ctx context.Context, now time.Time) error {
	_, err := t.db.Exec(ctx, `
		UPDATE jobs SET run_at = @now, generation = generation + 1, dispatched_at = NULL, updated_at = @now
		WHERE status = 'queued' AND reason = @reason AND run_at > @now`,
		named{"now": now, "reason": controlplane.ReasonCAHeld})
	return translate(err, "", "")
}

// CAHolds returns the holds that are in force at now.
func (q queries) CAHolds(ctx context.Context, now time.Time) ([]controlplane.CAHold, error) {
	return all(ctx, q, func(row pgx.CollectableRow) (h controlplane.CAHold, err error) {
		err = row.Scan(&h.CA, &h.Until, &h.Reason, &h.By, &h.Since)
		return h, err
	}, `SELECT ca, until, reason, held_by, created_at FROM ca_holds WHERE until IS NULL OR until > $1 ORDER BY ca`, now)
}

// CAStandings returns why no order of an organization for the names (without "*.") is placed with
// the accounts at a CA at now: a hold of the CA or of the account, a paused name, or an unusable
// account whose next probe is not due. It omits accounts of which nothing is recorded.
func (q queries) CAStandings(
	ctx context.Context, orgID, ca string, accounts, names []string, now time.Time,
) ([]controlplane.CAStanding, error) {
	keys, refs := make([]string, len(accounts)), make([]string, len(accounts))
	for i, account := range accounts {
		keys[i] = controlplane.AccountKey(ca, account)
		refs[i] = controlplane.AccountRef(ca, account)
	}
	found, err := all(ctx, q, func(row pgx.CollectableRow) (s controlplane.CAStanding, err error) {
		o := &controlplane.CAObstacle{}
		err = row.Scan(&s.Account, &o.Code, &o.Message, &o.Fix, &o.Until)
		s.Obstacle = o
		return s, err
	}, `
		SELECT a.account, x.code, x.message, x.fix, x.until
		FROM unnest(@accounts::text[], @keys::text[], @refs::text[]) AS a (account, key, ref), LATERAL (
			SELECT 1 AS rank, '`+controlplane.ReasonCAHeld+`' AS code, reason AS message, '' AS fix, until
			FROM ca_holds WHERE ca IN (@ca, a.ref) AND (until IS NULL OR until > @now)
			UNION ALL
			SELECT 2, '`+controlplane.ReasonCAPaused+`', message, fix, NULL
			FROM ca_pauses WHERE org_id = @org_id AND ca = a.key AND name = ANY(@names)
			UNION ALL
			SELECT 3, code, message, fix, CASE WHEN unusable THEN probe_at ELSE since END FROM ca_accounts WHERE ca = a.key
			ORDER BY rank, until DESC NULLS FIRST LIMIT 1
		) x`,
		named{"org_id": orgID, "ca": ca, "accounts": accounts, "keys": keys, "refs": refs,
			"names": names, "now": now})
	for i := range found {
		s := &found[i]
		s.Suspected = s.Obstacle.Code != controlplane.ReasonCAHeld &&
			s.Obstacle.Code != controlplane.ReasonCAPaused
		if at := s.Obstacle.Until; at != nil && !at.After(now) {
			s.Obstacle = nil
		}
	}
	return found, err
}

// PauseNames records that a CA has paused orders of an account, given by its AccountKey, for an
// organization's names (without "*.").
func (q queries) PauseNames(
	ctx context.Context, orgID, ca string, names []string, message, fix string, now time.Time,
) error {
	_, err := q.db.Exec(ctx, `
		INSERT INTO ca_pauses (org_id, ca, name, message, fix, created_at)
		SELECT @org_id, @ca, name, @message, @fix, @now FROM unnest(@names::text[]) AS name
		ON CONFLICT (org_id, ca, name) DO UPDATE SET message = @message, fix = @fix, created_at = @now`,
		named{"org_id": orgID, "ca": ca, "names": names, "message": message, "fix": fix,
			"now": now})
	return translate(err, "organization", orgID)
}

// UnpauseNames removes the pauses of an organization's names at every CA.
func (q queries) UnpauseNames(ctx context.Context, orgID string, names []string) error {
	_, err := q.db.Exec(ctx, `DELETE FROM ca_pauses WHERE org_id = $1 AND name = ANY($2)`, orgID,
		names)
	return translate(err, "", "")
}

// ForgetPauses removes the pauses of all names for an account, given by its AccountKey, because
// another one replaces it. The jobs that wait for pauses become due.
func (q queries) ForgetPauses(ctx context.Context, ca string, now time.Time) error {
	_, err := q.db.Exec(ctx, `
		WITH forgotten AS (DELETE FROM ca_pauses WHERE ca = @ca RETURNING name)
		UPDATE jobs SET run_at = @now, generation = generation + 1, dispatched_at = NULL, updated_at = @now
		WHERE status = 'queued' AND reason = @reason AND run_at > @now AND EXISTS (SELECT FROM forgotten)`,
		named{"ca": ca, "now": now, "reason": controlplane.ReasonCAPaused})
	return translate(err, "", "")
}

// PausedNames returns how many names are paused for each account, by its AccountKey, over all
// organizations.
func (q queries) PausedNames(ctx context.Context) (map[string]int, error) {
	rows, err := q.db.Query(ctx, `SELECT ca, count(*) FROM ca_pauses GROUP BY ca`)
	if err != nil {
		return nil, translate(err, "", "")
	}
	count := map[string]int{}
	var ca string
	var n int
	_, err = pgx.ForEachRow(rows, []any{&ca, &n}, func() error {
		count[ca] = n
		return nil
	})
	return count, translate(err, "", "")
}

// RejectAccount records that a CA rejected an account, given by its AccountKey, with an order for a
// registered domain. The account counts as unusable if certain is set, or if the CA has rejected
// orders of several unrelated domains within a short time. It returns true if the account was
// usable before.
func (q queries) RejectAccount(
	ctx context.Context, ca, domain string, certain bool, v controlplane.Verdict, now time.Time,
) (bool, error) {
	var unusable, news bool
	err := q.db.QueryRow(ctx, `
		WITH before AS (
			SELECT since, domains FROM ca_accounts WHERE ca = @ca AND (unusable OR since > @outdated)
		), usable AS (
			SELECT NOT EXISTS (SELECT FROM ca_accounts WHERE ca = @ca AND unusable) AS yes
		), evidence AS (
			SELECT coalesce((SELECT since FROM before), @now) AS since, (SELECT array_agg(DISTINCT d) FROM (
				SELECT @domain::text AS d UNION SELECT unnest(domains) FROM before LIMIT @most) x) AS domains
		)
		INSERT INTO ca_accounts AS a (ca, since, unusable, domains, probes, probe_at, code, message, fix)
		SELECT @ca, since, @certain OR cardinality(domains) >= @most, domains, 0, @probe_at, @code, @message, @fix FROM evidence
		ON CONFLICT (ca) DO UPDATE SET since = EXCLUDED.since, domains = EXCLUDED.domains,
			unusable = a.unusable OR EXCLUDED.unusable, code = @code, message = @message, fix = @fix,
			probes = CASE WHEN a.unusable THEN a.probes ELSE 0 END,
			probe_at = CASE WHEN a.unusable THEN greatest(a.probe_at, @now) ELSE EXCLUDED.probe_at END
		RETURNING unusable, (SELECT yes FROM usable)`,
		named{"ca": ca, "domain": domain, "certain": certain, "now": now, "code": v.Code,
			"outdated": now.Add(-controlplane.AccountEvidenceFor),
			"most":     controlplane.AccountEvidence,
			"probe_at": now.Add(controlplane.FirstAccountProbe), "message": v.Message, "fix": v.Fix},
	).Scan(&unusable, &news)
	return unusable && news, translate(err, "", "")
}

// ProbeAccount records that an order is placed at now to see whether an unusable account is usable
// again. The next one is placed after a longer pause.
func (q queries) ProbeAccount(ctx context.Context, ca string, now time.Time) error {
	_, err := q.db.Exec(ctx, `
		UPDATE ca_accounts SET probes = probes + 1,
			probe_at = @now::timestamptz + interval '1 second' * least(@first * power(2::float8, probes + 1), @last)
		WHERE ca = @ca AND unusable AND probe_at <= @now`, // otherwise another worker was faster
		named{"ca": ca, "now": now, "first": controlplane.FirstAccountProbe.Seconds(),
			"last": controlplane.LastAccountProbe.Seconds()})
	return translate(err, "", "")
}

// AcceptAccount records that a CA accepted an order: the account is usable. It returns true if it
// was unusable.
func (q queries) AcceptAccount(ctx context.Context, ca string) (bool, error) {
	var unusable bool
	err := q.db.QueryRow(ctx, `DELETE FROM ca_accounts WHERE ca = $1 RETURNING unusable`, ca).Scan(
		&unusable)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	return unusable, translate(err, "", "")
}

// CAAccounts returns the accounts that CAs have rejected, by their AccountKeys.
func (q queries) CAAccounts(ctx context.Context) ([]controlplane.CAAccount, error) {
	return all(ctx, q, func(row pgx.CollectableRow) (a controlplane.CAAccount, err error) {
		err = row.Scan(&a.CA, &a.Unusable, &a.Since, &a.ProbeAt, &a.Code, &a.Message, &a.Fix)
		return a, err
	}, `SELECT ca, unusable, since, probe_at, code, message, fix FROM ca_accounts ORDER BY ca`)
}
