package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Reseal configures Store.Reseal.
type Reseal struct {
	Prefix []byte // of data that the new key has sealed
	// Seal returns data sealed with the new key, with the first of the owners as associated data
	// with which it can be opened. Its errors never contain the data.
	Seal func(sealed []byte, owners []string) ([]byte, error)
	// Progress is called after every batch with the table, how many of its rows were read, and
	// how many values were resealed, both in this pass.
	Progress func(table string, rows, resealed int)
}

// Resealed is the result of Store.Reseal.
type Resealed struct {
	Values int // that were resealed
	// Failed are values that can't be opened, as table.column key, without their causes.
	Failed []string
}

// pagedRows is how many rows one statement of Reseal reads without locks. lockedRows is how many it
// locks at a time, for some milliseconds.
const pagedRows, lockedRows = 1000, 100

// resealPasses is how many passes in a row may leave values although none could be resealed;
// resealPause is the time between them.
const resealPasses, resealPause = 100, 100 * time.Millisecond

// errReseal says that values remain that another key has sealed.
var errReseal = errors.New("postgres: other transactions keep rows locked that are to be resealed; try again")

// Reseal seals all sealed data, of any organizations, with a new key. It changes only values that
// another key has sealed. So it can be interrupted at any time and repeated, and several can run at
// once. It takes no lock for longer than a batch, skips rows that are locked, and returns to them
// in another pass. Processes can read and write meanwhile, if they can open data of both keys.
//
// A process that seals with another key than the new one can add values after they were counted.
func (s *Store) Reseal(ctx context.Context, r Reseal) (Resealed, error) {
	var sum Resealed
	for idle := 0; ; {
		pass := resealing{store: s, Reseal: r}
		for _, t := range sealedTables() {
			if t.isCopy() {
				continue // with the table whose copies it contains
			}
			if err := pass.table(ctx, t); err != nil {
				return sum, translate(err, "", "")
			}
		}
		sum.Values += pass.resealed
		sum.Failed = pass.failed
		if pass.skipped == 0 {
			return sum, nil
		}
		if idle++; pass.resealed > 0 {
			idle = 0
		}
		if idle >= resealPasses {
			return sum, errReseal
		}
		if err := wait(ctx, resealPause); err != nil {
			return sum, err
		}
	}
}

// resealing is one pass over all tables.
type resealing struct {
	Reseal
	store *Store

	resealed, skipped int
	failed            []string
}

// table reads the table page by page, and reseals what another key has sealed.
func (p *resealing) table(ctx context.Context, t sealedTable) error {
	var after []string
	for rows, before := 0, p.resealed; ; {
		keys, pending, err := p.page(ctx, t, after)
		if err != nil || len(keys) == 0 {
			return err
		}
		for len(pending) > 0 {
			n := min(len(pending), lockedRows)
			if err := p.batch(ctx, t, pending[:n]); err != nil {
				return err
			}
			pending = pending[n:]
		}
		rows += len(keys)
		if p.Progress != nil {
			p.Progress(t.name, rows, p.resealed-before)
		}
		after = keys[len(keys)-1]
	}
}

// page returns the keys of the next rows, and of those among them that are to be resealed.
func (p *resealing) page(
	ctx context.Context, t sealedTable, after []string,
) (keys, pending [][]string, err error) {
	sql, args := t.page(t.pending(), after, pagedRows, p.Prefix)
	rows, _ := p.store.pool.Query(ctx, sql, args...)
	var one []string
	var is bool
	_, err = pgx.ForEachRow(rows, []any{&one, &is}, func() error {
		keys = append(keys, one)
		if is {
			pending = append(pending, one)
		}
		one = nil
		return nil
	})
	return keys, pending, err
}

// pending returns the condition of rows that another key than that of $1 has sealed.
func (t sealedTable) pending() string {
	var parts []string
	for _, column := range t.columns {
		parts = append(parts, otherKey(column))
	}
	if t.copies != "" {
		parts = append(parts, `EXISTS (SELECT FROM `+t.copies+` c WHERE c.webhook_id = `+t.name+
			`.id AND `+otherKey("c.sealed")+`)`)
	}
	return `coalesce(` + strings.Join(parts, `, false) OR coalesce(`) + `, false)`
}

func otherKey(column string) string {
	return column + ` <> '' AND substr(` + column + `, 1, ` + prefixLength + `) <> $1`
}

// batch reseals rows in one transaction. A row that is locked by others stays for the next pass.
func (p *resealing) batch(ctx context.Context, t sealedTable, keys [][]string) error {
	failed := len(p.failed)
	resealed, locked := 0, 0
	err := p.store.InTx(ctx, func(tx *Tx) error {
		resealed, locked, p.failed = 0, 0, p.failed[:failed] // InTx may run it again
		rows, err := lockSealed(ctx, tx, t, keys)
		if err != nil {
			return err
		}
		locked = len(rows)
		for _, row := range rows {
			if t.copies != "" {
				n, ok, err := p.copies(ctx, tx, t, row)
				if err != nil {
					return err
				}
				if !ok {
					locked--
					continue
				}
				resealed += n
			}
			n, err := p.row(ctx, tx, t, row)
			if err != nil {
				return err
			}
			resealed += n
		}
		return nil
	})
	if err != nil {
		return err
	}
	p.resealed += resealed
	p.skipped += len(keys) - locked
	return nil
}

// sealedRow is a locked row.
type sealedRow struct {
	key    []string
	owners []string
	values [][]byte // of the columns
	known  map[string][]byte
}

// lockSealed locks rows of a table, except those that are locked by others or were deleted.
func lockSealed(
	ctx context.Context, tx *Tx, t sealedTable, keys [][]string,
) ([]sealedRow, error) {
	args := make([]any, len(t.key))
	var places []string
	for i := range t.key {
		column := make([]string, len(keys))
		for j, key := range keys {
			column[j] = key[i]
		}
		args[i] = column
		places = append(places, fmt.Sprintf("$%d::text[]", i+1))
	}
	key, owner := strings.Join(t.key, ", "), "''"
	if t.owner != "" {
		owner = t.owner
	}
	return all(ctx, tx.queries, func(row pgx.CollectableRow) (sealedRow, error) {
		var r sealedRow
		var owner string
		r.values = make([][]byte, len(t.columns))
		into := []any{&r.key, &owner}
		for i := range r.values {
			into = append(into, &r.values[i])
		}
		err := row.Scan(into...)
		if r.owners = []string{owner}; t.owners != nil {
			r.owners = t.owners(r.key)
		}
		r.known = map[string][]byte{}
		return r, err
	}, fmt.Sprintf(`SELECT ARRAY[%s], %s, %s FROM %s WHERE (%s) IN (SELECT * FROM unnest(%s)) ORDER BY %s FOR NO KEY UPDATE SKIP LOCKED`,
		key, owner, strings.Join(t.columns, ", "), t.name, key, strings.Join(places, ", "), key),
		args...)
}

// row reseals the columns of a locked row. It returns how many values it resealed.
func (p *resealing) row(
	ctx context.Context, tx *Tx, t sealedTable, row sealedRow,
) (int, error) {
	var set []string
	args := []any{}
	for i, old := range row.values {
		next, err := p.reseal(row, old)
		if err != nil {
			p.failed = append(p.failed, t.name+"."+t.columns[i]+" "+strings.Join(row.key, " "))
			continue
		}
		if next != nil {
			args = append(args, next)
			set = append(set, fmt.Sprintf("%s = $%d", t.columns[i], len(args)))
		}
	}
	if len(set) == 0 {
		return 0, nil
	}
	var where []string
	for i, column := range t.key {
		args = append(args, row.key[i])
		where = append(where, fmt.Sprintf("%s = $%d", column, len(args)))
	}
	_, err := tx.db.Exec(ctx, `UPDATE `+t.name+` SET `+strings.Join(set, ", ")+` WHERE `+
		strings.Join(where, " AND "), args...)
	return len(set), err
}

// copies reseals the rows of a webhook's secrets. The webhook's own columns then get the same
// values: its trigger would add other ones as further secrets. It returns false if others have
// locked one of the rows: waiting for it could be a deadlock.
func (p *resealing) copies(
	ctx context.Context, tx *Tx, t sealedTable, row sealedRow,
) (n int, ok bool, err error) {
	secrets, err := all(ctx, tx.queries, pgx.RowTo[[]byte],
		`SELECT sealed FROM webhook_secrets WHERE webhook_id = $1 FOR UPDATE SKIP LOCKED`,
		row.key[0])
	if err != nil {
		return 0, false, err
	}
	var exist int
	if err := tx.db.QueryRow(ctx, `SELECT count(*) FROM webhook_secrets WHERE webhook_id = $1`,
		row.key[0]).Scan(&exist); err != nil || exist > len(secrets) {
		return 0, false, err
	}
	for _, old := range secrets {
		next, err := p.reseal(row, old)
		if err != nil {
			p.failed = append(p.failed, t.copies+".sealed "+row.key[0])
			continue
		}
		if next == nil {
			continue
		}
		if _, err := tx.db.Exec(ctx,
			`UPDATE webhook_secrets SET sealed = $3 WHERE webhook_id = $1 AND sealed = $2`,
			row.key[0], old, next); err != nil {
			return n, false, err
		}
		n++
	}
	return n, true, nil
}

// reseal returns a value sealed with the new key, the same for the same value of a row. It returns
// nil if there is nothing to reseal.
func (p *resealing) reseal(row sealedRow, old []byte) ([]byte, error) {
	if len(old) == 0 || bytes.HasPrefix(old, p.Prefix) {
		return nil, nil
	}
	if next, ok := row.known[string(old)]; ok {
		return next, nil
	}
	next, err := p.Seal(old, row.owners)
	if err == nil {
		row.known[string(old)] = next
	}
	return next, err
}
