package program

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// TestReadyWithoutUsableRedis makes Redis unusable for jobs in each way. The worker is not ready
// meanwhile. The server is, and reports it.
func TestReadyWithoutUsableRedis(t *testing.T) {
	t.Parallel()
	s := startStack(t, DevConfig{NoWork: true})
	app, _, _ := s.startParts(Parts{Work: true}, func(*Config) {})
	work, serve := "http://"+app.opsAddr, s.Env()["DCVAAS_ENDPOINT"]
	opt, err := redis.ParseURL(s.Config.Redis)
	must(t, err)
	client := redis.NewClient(opt)
	t.Cleanup(func() { _ = client.Close() })
	expect := func(what string, status int, state, cause string) {
		t.Helper()
		s.eventually(what, func() error {
			got := s.fetch("GET", work+"/readyz", http.NoBody)
			if err := got.want(status); err != nil {
				return fmt.Errorf("GET /readyz of work: %w", err)
			}
			if !strings.Contains(got.body, cause) {
				return fmt.Errorf("GET /readyz of work = %s, want %s", got.body, cause)
			}
			got = s.fetch("GET", serve+"/readyz?verbose", http.NoBody)
			if err := got.want(http.StatusOK); err != nil {
				return fmt.Errorf("GET /readyz of serve: %w", err)
			}
			if want := `"redis":"` + state + `"`; !strings.Contains(got.body, want) {
				return fmt.Errorf("GET /readyz of serve = %s, want %s", got.body, want)
			}
			return nil
		})
	}
	for _, c := range []struct{ what, breaks, repairs, state, cause string }{
		{"no Lua", "ACL SETUSER default -@scripting", "ACL SETUSER default +@scripting",
			"misconfigured", "redis is not ready: misconfigured: denies the user a command"},
		{"read-only", "REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE", "unavailable",
			"redis is not ready: unavailable: cannot write: it is read-only"},
		{"evicting", "CONFIG SET maxmemory 100mb maxmemory-policy allkeys-lru",
			"CONFIG SET maxmemory 0 maxmemory-policy noeviction", "unavailable",
			"redis is not ready: it evicts jobs (maxmemory-policy allkeys-lru): set noeviction"},
	} {
		for _, step := range []struct {
			command, state, cause string
			status                int
		}{{c.breaks, c.state, c.cause, http.StatusServiceUnavailable},
			{c.repairs, "ok", "ok", http.StatusOK}} {
			var args []any
			for word := range strings.FieldsSeq(step.command) {
				args = append(args, word)
			}
			must(t, client.Do(t.Context(), args...).Err())
			expect(c.what+": "+step.command, step.status, step.state, step.cause)
		}
	}
	metrics := func(lines ...string) {
		t.Helper()
		s.eventually("the metrics", func() error {
			got := s.fetch("GET", work+"/metrics", http.NoBody)
			if err := got.want(http.StatusOK); err != nil {
				return err
			}
			for _, line := range lines {
				if !strings.Contains(got.body, "\n"+line+"\n") {
					return fmt.Errorf("no line %q", line)
				}
			}
			return nil
		})
	}
	metrics("dcvaas_redis_up 1", "dcvaas_database_up 1")
	must(t, s.Redis.Stop(context.WithoutCancel(t.Context())))
	expect("stopped", http.StatusServiceUnavailable, "unavailable",
		"redis is not ready: unavailable: refuses connections")
	metrics("dcvaas_redis_up 0", "dcvaas_database_up 1")
}
