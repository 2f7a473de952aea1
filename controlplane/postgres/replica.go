package postgres

import (
	"context"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
)

// Replica is a name server of the validation zone.
type Replica struct {
	ID       string
	Address  string // host:port at which workers query it
	Beat     int64  // number of its last heartbeat
	Received int64  // number of the last heartbeat that came back through the feed
}

// marks is the channel of the heartbeats. It differs from that of changes, because name servers of
// earlier versions lose their feed at an unknown notification.
const marks = "dcvaas_zone_marks"

// ExtendReplica stores a heartbeat of a replica, with a lease of the given time from then on, and
// removes the rows of lost replicas. FollowZone passes the heartbeat to ZoneFeed.Mark after every
// change that was committed before it.
func (s *Store) ExtendReplica(ctx context.Context, r Replica, lease time.Duration) error {
	_, err := s.pool.Exec(ctx, `
		WITH beat AS (
			INSERT INTO dns_replicas AS r (id, address, beat, received, expires_at)
			VALUES (@id, @address, @beat, @received, clock_timestamp() + @lease::interval)
			ON CONFLICT (id) DO UPDATE SET address = excluded.address, beat = excluded.beat,
				received = excluded.received, expires_at = excluded.expires_at
			RETURNING id, beat),
		lost AS (DELETE FROM dns_replicas WHERE expires_at < clock_timestamp() AND id <> @id)
		SELECT pg_notify(@channel, id || ' ' || beat) FROM beat`,
		named{"id": r.ID, "address": r.Address, "beat": r.Beat, "received": r.Received, "lease": lease,
			"channel": marks})
	return translate(err, "", "")
}

// EndReplica ends the lease of a replica.
func (s *Store) EndReplica(ctx context.Context, id string) error {
	_, err := s.pool.Exec(ctx, `DELETE FROM dns_replicas WHERE id = $1`, id)
	return translate(err, "", "")
}

// Replicas returns the replicas with a lease, ordered by address.
func (s *Store) Replicas(ctx context.Context) ([]Replica, error) {
	return all(ctx, s.queries, pgx.RowToStructByPos[Replica], `
		SELECT id, address, beat, received FROM dns_replicas
		WHERE expires_at > clock_timestamp() ORDER BY address, id`)
}

// LocalAddr returns the address from which this process connects to the server, "" if it does not
// use a network.
func (s *Store) LocalAddr(ctx context.Context) (string, error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return "", translate(err, "", "")
	}
	defer conn.Release()
	host, _, err := net.SplitHostPort(conn.Conn().PgConn().Conn().LocalAddr().String())
	if err != nil {
		return "", nil //nolint:nilerr // a Unix socket
	}
	return host, nil
}
