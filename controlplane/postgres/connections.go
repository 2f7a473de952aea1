package postgres

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// listening is the number of connections of a store that listen for notifications: of the watcher
// and of FollowZone.
const listening = 2

// ConnsWithin returns the Config.MaxConns of a store that opens at most total connections, which
// must be at least 6.
func ConnsWithin(total int) int32 { return int32((total - listening) * 2 / 3) } //nolint:gosec // small

// applicationName is the name of a process's sessions. For other processes, it contains how many
// connections the process may open, see Connections, and Config.Label, see Labels.
func applicationName(total int, label string) string {
	return fmt.Sprintf("dcvaas/%d/%s/%s", total, rand.Text()[:6], label)
}

// Labels returns the Config.Label of each other process that is connected to the database. Some are
// empty. Processes of versions without labels have the label Unlabeled.
func (s *Store) Labels(ctx context.Context) ([]string, error) {
	return all(ctx, s.queries, pgx.RowTo[string], `
		SELECT coalesce(substring(name FROM '^dcvaas/[0-9]{1,6}/[^/]*/(.*)$'), $2) FROM (
			SELECT DISTINCT application_name AS name FROM pg_stat_activity WHERE datname = current_database()
		) processes WHERE name ~ '^dcvaas/[0-9]{1,6}/' AND name <> $1
		ORDER BY 1`, s.pool.Config().ConnConfig.RuntimeParams["application_name"], Unlabeled)
}

// Unlabeled is the label of processes of versions without labels.
const Unlabeled = "?"

// Connections are the connections of a server.
type Connections struct {
	Own     int // that this store may open
	Planned int // that all processes may open, or have open if they are not dcvaas
	Allowed int // by the server
}

// Connections returns how many connections the processes may open that are connected now. A role
// does not see the type of other roles' sessions.
func (s *Store) Connections(ctx context.Context) (Connections, error) {
	c := Connections{Own: s.total}
	err := s.pool.QueryRow(ctx, `
		WITH sessions AS (SELECT coalesce(application_name, '') AS name FROM pg_stat_activity
			WHERE backend_type = 'client backend' OR backend_type IS NULL AND usesysid IS NOT NULL),
		own AS (SELECT DISTINCT name FROM sessions WHERE name ~ '^dcvaas/[0-9]{1,6}/')
		SELECT (SELECT count(*) FROM sessions WHERE name NOT IN (SELECT name FROM own))
				+ (SELECT coalesce(sum(split_part(name, '/', 2)::int), 0) FROM own),
			current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int`).
		Scan(&c.Planned, &c.Allowed)
	return c, translate(err, "", "")
}
