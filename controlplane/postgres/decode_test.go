package postgres_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres/postgrestest"
)

func TestDecodeLikeTheDriver(t *testing.T) {
	t.Parallel()
	connect := func() *pgx.Conn {
		conn, err := pgx.Connect(t.Context(), postgrestest.DSN(t))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close(t.Context()) })
		return conn
	}
	driver, ours := connect(), connect()
	if err := postgres.DecodeDirectly(t.Context(), ours); err != nil {
		t.Fatal(err)
	}
	times := []string{"'2026-02-28T23:59:59.999999Z'", "'1999-12-31T23:59:59.999999Z'",
		"'2000-01-01T00:00:00Z'", "'0001-01-01T00:00:00Z'",
		"'9999-12-31T23:59:59Z'", "'infinity'", "'-infinity'", "NULL"}
	texts := []string{"'{}'", "'{domains:read}'", `'{"",ä,"a b","{}"}'`, "'{a,NULL}'", "NULL"}
	for _, set := range []struct {
		cast   string
		values []string
		into   []any // destinations of the columns
	}{
		{"::timestamptz", times, []any{new(time.Time), new(*time.Time), new(pgtype.Timestamptz)}},
		{"::text[]", texts, []any{new([]string), new([]controlplane.Scope),
			new(pgtype.FlatArray[pgtype.Text])}},
	} {
		for _, value := range set.values {
			for _, target := range set.into {
				read := func(conn *pgx.Conn) (any, error) {
					into := reflect.New(reflect.TypeOf(target).Elem())
					err := conn.QueryRow(t.Context(), `SELECT `+value+
						set.cast).Scan(into.Interface())
					return into.Elem().Interface(), err
				}
				want, wantErr := read(driver)
				got, err := read(ours)
				if (err != nil) != (wantErr != nil) || err == nil && !reflect.DeepEqual(got, want) {
					t.Errorf("%s%s into %T: %v, %v; the driver: %v, %v", value, set.cast, target,
						got, err, want, wantErr)
				}
			}
		}
	}
}

func TestMalformedListsAreRejected(t *testing.T) {
	t.Parallel()
	conn, err := pgx.Connect(t.Context(), postgrestest.DSN(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if err := postgres.DecodeDirectly(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	var list []string
	plan := conn.TypeMap().PlanScan(pgtype.TextArrayOID, pgtype.BinaryFormatCode, &list)
	whole := []byte("\x00\x00\x00\x01" + "\x00\x00\x00\x00" + "\x00\x00\x00\x19" +
		"\x00\x00\x00\x02" + "\x00\x00\x00\x01" + "\x00\x00\x00\x02ab" + "\x00\x00\x00\x01c")
	if err := plan.Scan(whole, &list); err != nil || !reflect.DeepEqual(list, []string{"ab", "c"}) {
		t.Fatalf("Scan(%q) = %q, %v, want ab and c", whole, list, err)
	}
	for n := range len(whole) {
		if err := plan.Scan(whole[:n], &list); err == nil {
			t.Errorf("the first %d bytes are read as %q", n, list)
		}
	}
	for _, place := range []int{0, 12, 20, 26} { // dimensions, length, the elements' lengths
		damaged := append([]byte(nil), whole...)
		damaged[place] = 0xff
		if err := plan.Scan(damaged, &list); err == nil {
			t.Errorf("with a damaged byte %d it is read as %q", place, list)
		}
	}
}
