package program

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres/postgrestest"
)

// TestHalfOpen drops all data between the processes and Postgres, and then Redis, without closing a
// connection. Requests get 503, no process is ready, and everything continues when new connections
// work. While nothing responds, the processes stop.
func TestHalfOpen(t *testing.T) {
	t.Parallel()
	s := startStack(t, DevConfig{NoWork: true})
	dsn, database := postgrestest.SilentDSN(t, s.Config.Database)
	redis, err := url.Parse(s.Config.Redis)
	must(t, err)
	queue := postgrestest.NewSilent(t, "tcp", redis.Host)
	redis.Host = queue.Addr
	configure := func(c *Config) { c.Database, c.Redis = dsn, redis.String() }
	serve, stopServe, serveEnded := s.startParts(Parts{Serve: true}, configure)
	work, stopWork, workEnded := s.startParts(Parts{Work: true}, configure)
	s.waitActive(s.add("before.example.com").Id)
	web := "http://" + serve.webAddr

	database.Drop()
	for _, path := range []string{"/api/domains", "/api/events?limit=1"} {
		start := time.Now()
		got := s.fetch("GET", web+path, http.NoBody)
		if err := got.want(http.StatusServiceUnavailable); err != nil {
			t.Errorf("GET %s without Postgres: %v", path, err)
		} else if got.Header.Get("Retry-After") == "" {
			t.Errorf("GET %s without Postgres has no Retry-After", path)
		}
		t.Logf("GET %s without Postgres took %s", path, time.Since(start))
	}
	for _, url := range []string{web, "http://" + serve.opsAddr, "http://" + work.opsAddr} {
		start := time.Now()
		if err := s.fetch("GET", url+"/readyz", http.NoBody).
			want(http.StatusServiceUnavailable); err != nil {
			t.Errorf("GET %s/readyz without Postgres: %v", url, err)
		}
		t.Logf("GET /readyz without Postgres took %s", time.Since(start))
	}
	waiting := s.add("during.example.com")
	database.Restore()
	start := time.Now()
	s.eventually("requests to work again", func() error {
		return s.fetch("GET", web+"/api/domains", http.NoBody).want(http.StatusOK)
	})
	t.Logf("requests work %s after Postgres is back", time.Since(start))
	s.waitActive(waiting.Id)
	t.Logf("jobs work %s after Postgres is back", time.Since(start))

	queue.Drop()
	if err := s.fetch("GET", web+"/api/domains", http.NoBody).want(http.StatusOK); err != nil {
		t.Errorf("GET /api/domains without Redis: %v", err)
	}
	waiting = s.add("later.example.com")
	queue.Restore()
	start = time.Now()
	s.waitActive(waiting.Id)
	t.Logf("jobs work %s after Redis is back", time.Since(start))

	database.Drop()
	queue.Drop()
	start = time.Now()
	stopServe()
	stopWork()
	for what, ended := range map[string]<-chan error{"serve": serveEnded, "work": workEnded} {
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run() of %s = %v, want nil", what, err)
			}
			t.Logf("%s stopped in %s without Postgres and Redis", what, time.Since(start))
		case <-time.After(serve.config.stopTime() + time.Minute):
			t.Fatalf("%s did not stop", what)
		}
	}
}
