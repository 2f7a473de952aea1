package postgres_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres/postgrestest"
)

const schema = `
	SELECT coalesce(string_agg(line, E'\n' ORDER BY line), '') FROM (
		SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || ' ' || coalesce(column_default, '') AS line
			FROM information_schema.columns WHERE table_schema = 'public'
		UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
		UNION ALL SELECT tgname FROM pg_trigger WHERE NOT tgisinternal
		UNION ALL SELECT conrelid::regclass || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace
		UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
	) all_lines WHERE line NOT LIKE '%goose%'`

// Every migration can be reverted, leaves nothing behind, and can be applied again.
// unusedNumbers are the gaps in the numbers of the migrations.
var unusedNumbers = []int64{21, 29, 42, 51, 52}

// TestMigrationNumbersIncrease tests that a new migration has the next number. Goose rejects a
// database that has a later one already, so a number below must never be used.
func TestMigrationNumbersIncrease(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("migrations/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d migrations, %v", len(files), err)
	}
	var unused []int64
	next := int64(1)
	for _, file := range files { // sorted
		number, err := goose.NumericComponent(file)
		if err != nil {
			t.Fatal(err)
		}
		for ; next < number; next++ {
			unused = append(unused, next)
		}
		next++
	}
	if diff := cmp.Diff(unusedNumbers, unused); diff != "" {
		t.Errorf("unused numbers of migrations differ (-want +got):\n%s\nA new migration needs the number after the last one.", diff)
	}
}

func TestMigrationsGoDownAndUpAgain(t *testing.T) {
	t.Parallel()
	d := open(t)
	before := value[string](d, schema)
	cfg, err := pgx.ParseConfig(d.dsn)
	d.must(err)
	sqlDB := stdlib.OpenDB(*cfg)
	defer func() { _ = sqlDB.Close() }()
	p, err := goose.NewProvider(goose.DialectPostgres, sqlDB, os.DirFS("migrations"))
	d.must(err)
	if _, err := p.DownTo(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if left := value[string](d, schema); left != "" {
		t.Errorf("left behind:\n%s", left)
	}
	if current, err := d.Migrated(t.Context()); err != nil || current {
		t.Errorf("after going down: migrated %v, %v", current, err)
	}
	steps, err := d.Migrate(t.Context())
	files, _ := fs.Glob(os.DirFS("migrations"), "*.sql")
	if err != nil || steps != len(files) {
		t.Errorf("%d steps of %d, %v", steps, len(files), err)
	}
	if after := value[string](d, schema); after != before {
		t.Errorf("the schema differs after down and up:\n%s\n\nbefore:\n%s", after, before)
	}
	if current, err := d.Migrated(t.Context()); err != nil || !current {
		t.Errorf("after going up: migrated %v, %v", current, err)
	}
	if steps, err := d.Migrate(t.Context()); err != nil || steps != 0 {
		t.Errorf("a second time: %d steps, %v", steps, err)
	}
	d.org = d.organization(1)
	d.add(d.org, "example.com")
}

// A person who was made a member before they ever signed in becomes invited, and the users behind
// tokens and invitations are recorded.
func TestMigrationToConsent(t *testing.T) {
	t.Parallel()
	d := open(t)
	sqlDB := stdlib.OpenDB(*must(pgx.ParseConfig(d.dsn)))
	defer func() { _ = sqlDB.Close() }()
	p := must(goose.NewProvider(goose.DialectPostgres, sqlDB, os.DirFS("migrations")))
	must(p.DownTo(t.Context(), 18))
	for _, sql := range []string{
		`INSERT INTO users (id, login, joined_at) VALUES ('usr_in', 'in', now()), ('usr_out', 'out', NULL)`,
		`INSERT INTO organization_members (org_id, user_id, role) VALUES ($1, 'usr_in', 'owner'), ($1, 'usr_out', 'admin')`,
		`INSERT INTO api_tokens (id, org_id, name, token_hash, token_prefix, scopes, created_by) VALUES
			('tok_a', $1, 'a', sha256('a'), '', '{}', 'usr_in'), ('tok_b', $1, 'b', sha256('b'), '', '{}', 'tok_a'), ('tok_c', $1, 'c', sha256('c'), '', '{}', 'admin')`,
		`INSERT INTO invitations (id, org_id, role, hash, expires_at, created_by, created_at) VALUES ('inv_a', $1, 'member', sha256('i'), now(), 'tok_b', now())`,
		`INSERT INTO webhooks (id, org_id, url, sealed_secret) VALUES ('whk_a', $1, 'https://example.com', '')`,
		`INSERT INTO audit_logs (id, org_id, actor_type, actor_id, action, entity_type, entity_id) VALUES ('evt_a', $1, 'user', 'usr_in', 'webhook.created', 'webhook', 'whk_a')`,
	} {
		args := []any{d.org}
		if !strings.Contains(sql, "$1") {
			args = nil
		}
		if _, err := sqlDB.ExecContext(t.Context(), sql, args...); err != nil {
			t.Fatalf("Exec(%s) = %v", sql, err)
		}
	}
	must(d.Migrate(t.Context()))
	got := value[string](d, `SELECT concat_ws(' ',
		(SELECT string_agg(user_id, ',') FROM organization_members), (SELECT string_agg(user_id || ':' || role, ',') FROM member_invitations),
		(SELECT string_agg(id || ':' || creator_user_id, ',' ORDER BY id) FROM api_tokens), (SELECT creator_user_id FROM invitations), (SELECT created_by FROM webhooks))`)
	if want := "usr_in usr_out:admin tok_a:usr_in,tok_b:usr_in,tok_c: usr_in usr_in"; got != want {
		t.Errorf("after the migration:\n%s, want\n%s", got, want)
	}
}

// must returns v, and panics on an error.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Four replicas that start concurrently on an empty database migrate it once.
func TestMigrateConcurrently(t *testing.T) {
	t.Parallel()
	dsn := emptyDatabase(t)
	var steps count
	stores := make([]*postgres.Store, 4)
	for i := range stores {
		s, err := postgres.Open(t.Context(), postgres.Config{DSN: dsn})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		stores[i] = s
	}
	if current, err := stores[0].Migrated(t.Context()); err != nil || current {
		t.Errorf("an empty database: migrated %v, %v", current, err)
	}
	atOnce(len(stores), func(i int) {
		n, err := stores[i].Migrate(t.Context())
		if err != nil {
			t.Errorf("replica %d: %v", i, err)
		}
		steps.Add(int64(n))
	})
	files, _ := filepath.Glob("migrations/*.sql")
	if steps.Load() != int64(len(files)) {
		t.Errorf("%d steps were taken for %d files", steps.Load(), len(files))
	}
	for i, s := range stores {
		if current, err := s.Migrated(t.Context()); err != nil || !current {
			t.Errorf("replica %d: migrated %v, %v", i, current, err)
		}
	}
}

// emptyDatabase creates a database without a schema.
func emptyDatabase(t *testing.T) string {
	t.Helper()
	dsn := postgrestest.DSN(t)
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(t.Context(),
		`DROP SCHEMA public CASCADE; CREATE SCHEMA public`); err != nil {
		t.Fatal(err)
	}
	return dsn
}
