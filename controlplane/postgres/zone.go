package postgres

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// ZoneFeed receives the contents of the validation zone.
type ZoneFeed struct {
	Begin          func()                       // a snapshot starts
	SnapshotTarget func(label string)           // one of its targets
	SnapshotValue  func(controlplane.Challenge) // one of its live challenges
	// the snapshot is complete and replaces the previous contents
	Commit          func()
	AddTarget       func(label string)
	RemoveTarget    func(label string)
	AddChallenge    func(controlplane.Challenge)
	RemoveChallenge func(label, value string)
	// a replica's heartbeat; every change that was committed before it was passed
	Mark func(replica string, beat int64)
}

// FollowZone passes the whole contents of the zone to f, and then every change in the order of
// commits, until ctx is canceled or the connection is lost. It listens before it reads, so that no
// change in between is missed.
func (s *Store) FollowZone(ctx context.Context, now func() time.Time, f ZoneFeed) error {
	conn, err := pgx.ConnectConfig(ctx, s.pool.Config().ConnConfig)
	if err != nil {
		return translate(err, "", "")
	}
	defer func() {
		end, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = conn.Close(end)
	}()
	if _, err := conn.Exec(ctx, "LISTEN dcvaas_zone; LISTEN "+marks); err != nil {
		return translate(err, "", "")
	}
	if err := snapshotZone(WithLimit(ctx, LongLimit), conn, now(), f); err != nil {
		return translate(err, "", "")
	}
	for {
		n, err := waitAlive(ctx, conn)
		if err != nil {
			return translate(err, "", "")
		}
		if n.Channel == marks {
			err = applyMark(n.Payload, f)
		} else {
			err = applyZone(n.Payload, f)
		}
		if err != nil {
			return err
		}
	}
}

// applyMark applies the notification of a heartbeat: "replica number".
func applyMark(payload string, f ZoneFeed) error {
	id, number, _ := strings.Cut(payload, " ")
	beat, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return fmt.Errorf("postgres: malformed mark %q", payload)
	}
	f.Mark(id, beat)
	return nil
}

// heartbeat is how long a listening connection may be idle before it is checked. A connection that
// broke without an error must not look alive.
const heartbeat = 3 * time.Second

// waitAlive waits for a notification and checks meanwhile that the server responds.
func waitAlive(ctx context.Context, conn *pgx.Conn) (*pgconn.Notification, error) {
	for {
		wait, cancel := context.WithTimeout(ctx, heartbeat)
		n, err := conn.WaitForNotification(wait)
		cancel()
		if err == nil || ctx.Err() != nil || conn.IsClosed() {
			return n, err
		}
		ask, cancel := context.WithTimeout(ctx, heartbeat)
		err = conn.Ping(ask)
		cancel()
		if err != nil {
			return nil, err
		}
	}
}

func snapshotZone(ctx context.Context, conn *pgx.Conn, now time.Time, f ZoneFeed) error {
	f.Begin()
	// Targets come first, so that the target of each challenge is known.
	rows, err := conn.Query(ctx, `SELECT t.label FROM targets t JOIN organizations o ON o.id = t.org_id WHERE o.deleted_at IS NULL`)
	if err != nil {
		return err
	}
	var label string
	if _, err := pgx.ForEachRow(rows, []any{&label},
		func() error { f.SnapshotTarget(label); return nil }); err != nil {
		return err
	}
	rows, err = conn.Query(ctx, `SELECT label FROM zone_probe`)
	if err != nil {
		return err
	}
	if _, err := pgx.ForEachRow(rows, []any{&label},
		func() error { f.SnapshotTarget(label); return nil }); err != nil {
		return err
	}
	rows, err = conn.Query(ctx, `
		SELECT target, value, expires_at FROM `+servedValues+` c WHERE expires_at > $1
		UNION ALL SELECT label, value, expires_at FROM zone_probe WHERE expires_at > $1
		ORDER BY expires_at`, now)
	if err != nil {
		return err
	}
	var c controlplane.Challenge
	if _, err := pgx.ForEachRow(rows, []any{&c.Target, &c.Value, &c.ExpiresAt},
		func() error { f.SnapshotValue(c); return nil }); err != nil {
		return err
	}
	f.Commit()
	return nil
}

// servedValues are the values of orders and of acme-dns accounts. A target can have the same value
// several times: the last to expire counts.
const servedValues = `(
	SELECT target, value, expires_at FROM challenges UNION ALL SELECT target, value, expires_at FROM acmedns_values
)`

// applyZone applies one notification of the triggers: "+t label", "-t label",
// "+c label value unix-seconds", or "-c label value".
func applyZone(payload string, f ZoneFeed) error {
	p := strings.Fields(payload)
	switch {
	case len(p) == 2 && p[0] == "+t":
		f.AddTarget(p[1])
	case len(p) == 2 && p[0] == "-t":
		f.RemoveTarget(p[1])
	case len(p) == 4 && p[0] == "+c":
		sec, err := strconv.ParseInt(p[3], 10, 64)
		if err != nil {
			return fmt.Errorf("postgres: invalid time in a zone notification: %w", err)
		}
		f.AddChallenge(controlplane.Challenge{Target: p[1], Value: p[2],
			ExpiresAt: time.Unix(sec, 0)})
	case len(p) == 3 && p[0] == "-c":
		f.RemoveChallenge(p[1], p[2])
	default:
		return fmt.Errorf("postgres: malformed zone notification %q", payload)
	}
	return nil
}

// LookupTarget returns whether a target of the zone exists, and its live challenges. It takes no
// organization: DNS queries are not authenticated.
func (s *Store) LookupTarget(
	ctx context.Context, label string, now time.Time,
) (exists bool, values []controlplane.Challenge, err error) {
	if label == controlplane.ProbeTarget {
		return s.lookupProbe(ctx, now)
	}
	rows, err := s.db.Query(ctx, `
		SELECT coalesce(c.value, ''), coalesce(max(c.expires_at), 'epoch')
		FROM targets t JOIN organizations o ON o.id = t.org_id
		LEFT JOIN `+servedValues+` c ON c.target = t.label AND c.expires_at > $2
		WHERE t.label = $1 AND o.deleted_at IS NULL GROUP BY c.value`, label, now)
	if err != nil {
		return false, nil, translate(err, "", "")
	}
	c := controlplane.Challenge{Target: label}
	_, err = pgx.ForEachRow(rows, []any{&c.Value, &c.ExpiresAt}, func() error {
		exists = true
		if c.Value != "" {
			values = append(values, c)
		}
		return nil
	})
	return exists, values, translate(err, "", "")
}
