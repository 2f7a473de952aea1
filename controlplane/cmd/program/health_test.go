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
	expect := func(what string, status int, state string) {
		t.Helper()
		s.eventually(what, func() error {
			if err := s.fetch("GET", work+"/readyz", http.NoBody).want(status); err != nil {
				return fmt.Errorf("GET /readyz of work: %w", err)
			}
			got := s.fetch("GET", serve+"/readyz?verbose", http.NoBody)
			if err := got.want(http.StatusOK); err != nil {
				return fmt.Errorf("GET /readyz of serve: %w", err)
			}
			if want := `"redis":"` + state + `"`; !strings.Contains(got.body, want) {
				return fmt.Errorf("GET /readyz of serve = %s, want %s", got.body, want)
			}
			return nil
		})
	}
	for _, c := range []struct{ what, breaks, repairs string }{
		{"no Lua", "ACL SETUSER default -@scripting", "ACL SETUSER default +@scripting"},
		{"read-only", "REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"},
		{"evicting", "CONFIG SET maxmemory 100mb maxmemory-policy allkeys-lru",
			"CONFIG SET maxmemory 0 maxmemory-policy noeviction"},
	} {
		for _, step := range []struct {
			command, state string
			status         int
		}{{c.breaks, "unavailable", http.StatusServiceUnavailable}, {c.repairs, "ok", http.StatusOK}} {
			var args []any
			for word := range strings.FieldsSeq(step.command) {
				args = append(args, word)
			}
			must(t, client.Do(t.Context(), args...).Err())
			expect(c.what+": "+step.command, step.status, step.state)
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
	expect("stopped", http.StatusServiceUnavailable, "unavailable")
	metrics("dcvaas_redis_up 0", "dcvaas_database_up 1")
}
