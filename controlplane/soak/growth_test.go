package soak

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// growthEvery is the number of days between two measurements of the database.
const growthEvery = 50

// size is the size of the database on a day: by table, with its indexes, in bytes.
type size struct {
	day    int
	issued int // certificates so far
	tables map[string]int64
}

// measureGrowth measures the database, without dead rows, every growthEvery days.
func (w *world) measureGrowth() {
	today := int(w.clock.Now().Sub(start) / day)
	if today/growthEvery < len(w.seen.sizes)+1 {
		return
	}
	rows, err := w.own.Query(w.t.Context(), `SELECT relname FROM pg_stat_user_tables ORDER BY 1`)
	must(w.t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(w.t, err)
	s := size{day: today, tables: map[string]int64{}}
	for _, a := range w.cas {
		a.mu.Lock()
		s.issued += a.tally.issued
		a.mu.Unlock()
	}
	for _, table := range tables {
		_, err := w.own.Exec(w.t.Context(), "VACUUM FULL "+pgx.Identifier{table}.Sanitize())
		must(w.t, err)
		var bytes int64
		must(w.t, w.own.QueryRow(w.t.Context(), `SELECT pg_total_relation_size($1::regclass)`,
			table).Scan(&bytes))
		s.tables[table] = bytes
	}
	w.seen.sizes = append(w.seen.sizes, s)
}

// calm removes all faults, and has all domains use the profile of the usual lifetime.
func (w *world) calm() {
	w.scenario.faults = nil
	for i := range w.scenario.subjects {
		w.scenario.subjects[i].broken, w.scenario.subjects[i].profile = nil, "tlsserver"
	}
	for _, a := range w.cas {
		a.calm = true
	}
}

// reportGrowth logs the measurements, and by how much each table has grown since the previous one,
// in bytes per certificate that was issued meanwhile.
func (w *world) reportGrowth() {
	for i, s := range w.seen.sizes {
		if i == 0 {
			continue
		}
		before, sum := w.seen.sizes[i-1], int64(0)
		issued := max(s.issued-before.issued, 1)
		var grown []string
		var all int64
		for table, bytes := range s.tables {
			sum += bytes
			more := bytes - before.tables[table]
			if all += more; more != 0 {
				grown = append(grown, fmt.Sprintf("%s %d", table, more/int64(issued)))
			}
		}
		slices.Sort(grown)
		w.t.Logf("day %d: %d KB per domain; since day %d: %d certificates, and %d bytes for each (%s)",
			s.day, sum/1024/int64(w.added), before.day, issued, all/int64(issued),
			strings.Join(grown, ", "))
	}
}
