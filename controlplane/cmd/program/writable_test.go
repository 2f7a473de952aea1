package program

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestDatabaseCannotWrite makes Postgres respond to reads only: read-only, as after a failover, and
// with the error of a full disk, which a trigger raises. Server and worker are not ready meanwhile,
// and say why; the name server, which only reads, is ready.
func TestDatabaseCannotWrite(t *testing.T) {
	t.Parallel()
	s := startStack(t, DevConfig{EmbeddedRedis: true, NoWork: true})
	serve, _, _ := s.startParts(Parts{Serve: true}, func(*Config) {})
	work, _, _ := s.startParts(Parts{Work: true}, func(*Config) {})
	dns, _, _ := s.startParts(Parts{DNS: true}, func(c *Config) {
		c.DNS.Listen = []string{loopback(0)}
	}) // reads only
	u, err := url.Parse(s.Config.Database)
	must(t, err)
	name := strings.TrimPrefix(u.Path, "/")
	for _, c := range []struct {
		what, breaks, repairs, cause string
	}{
		{"read-only", "ALTER DATABASE " + name + " SET default_transaction_read_only = on",
			"ALTER DATABASE " + name + " RESET default_transaction_read_only",
			"cannot write: it is read-only"},
		{"disk full", "CREATE TRIGGER disk_full BEFORE INSERT OR UPDATE ON write_checks FOR EACH ROW EXECUTE FUNCTION disk_full()",
			"DROP TRIGGER disk_full ON write_checks", "cannot write: its disk is full"},
	} {
		change := func(sql string) {
			t.Helper()
			one := s
			if strings.HasPrefix(sql, "ALTER DATABASE") { // not from a session that is read-only
				one = &stack{Dev: &Dev{Config: s.Config}, t: t}
				one.Config.Database = urlWith(t, s.Config.Database, "", "", "", "/postgres")
			}
			one.exec(sql)
			// new sessions have the new setting
			one.exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()`, name)
		}
		if c.what == "disk full" {
			s.exec(`CREATE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS $$
				BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$`)
		}
		change(c.breaks)
		for _, app := range []*App{serve, work} {
			s.waitReady("http://"+app.opsAddr+"/readyz", http.StatusServiceUnavailable,
				"postgres is not ready: unavailable: "+c.cause)
		}
		s.waitReady("http://"+serve.webAddr+"/readyz?verbose", http.StatusServiceUnavailable,
			`"postgres":"The database can't store data."`)
		s.waitReady("http://"+dns.opsAddr+"/readyz", http.StatusOK, "ok")
		if c.what == "disk full" {
			s.waitReady("http://"+work.opsAddr+"/metrics", http.StatusOK, "\ndcvaas_database_up 0\n")
			s.waitReady("http://"+dns.opsAddr+"/metrics", http.StatusOK, "\ndcvaas_database_up 1\n")
		} else {
			got := s.fetch("POST", "http://"+serve.webAddr+"/api/domains",
				strings.NewReader(`{"name":"kept.example.com"}`))
			if err := got.want(http.StatusServiceUnavailable); err != nil {
				t.Errorf("POST /api/domains while Postgres is %s: %v", c.what, err)
			}
		}
		change(c.repairs)
		for _, app := range []*App{serve, work} {
			s.waitReady("http://"+app.opsAddr+"/readyz", http.StatusOK, "ok")
		}
		got := s.fetch("POST", "http://"+serve.webAddr+"/api/domains",
			strings.NewReader(fmt.Sprintf(`{"name":"%s.example.com"}`, strings.ReplaceAll(c.what, " ", "-"))))
		if err := got.want(http.StatusCreated); err != nil {
			t.Errorf("POST /api/domains after Postgres was %s: %v", c.what, err)
		}
	}
}
