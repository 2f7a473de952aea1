package program

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

// Redis is emptied, twice, while thirty certificates are under way: nothing is lost.
func TestRedisEmptied(t *testing.T) {
	t.Parallel()
	for name, embedded := range map[string]bool{"redis-server": false, "in-process": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGate(false, pathHas("/finalize-order/"))
			s := startStack(t, DevConfig{EmbeddedRedis: embedded, WrapCA: func(string) func(http.Handler) http.Handler { return g.wrap }})
			if s.Redis.Embedded() != embedded {
				t.Fatalf("redis-server was not found; it is needed for this test")
			}
			var ids []string
			for i := range 30 {
				ids = append(ids, s.add(fmt.Sprintf("emptied%d.example.com", i)).Id)
				if i == 15 {
					<-g.reached
					s.emptyRedis()
				}
			}
			s.emptyRedis()
			close(g.opened)
			for _, id := range ids {
				s.waitActive(id)
			}
			if n := query[int](s, `SELECT count(*) FROM certificates`); n != 30 {
				t.Errorf("there are %d certificates for 30 domains", n)
			}
			if n := s.Primary.Orders() + s.Backup.Orders(); n != 30 {
				t.Errorf("the CAs saw %d orders for 30 domains", n)
			}
		})
	}
}

func (s *stack) emptyRedis() {
	s.t.Helper()
	if err := s.Redis.Flush(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// Postgres is restarted while certificates are under way: they come, and calls are served
// again, without a restart of ours.
func TestPostgresRestarted(t *testing.T) {
	t.Parallel()
	g := newGate(false, pathHas("/chalZ/"))
	s := startStack(t, DevConfig{EmbeddedRedis: true, Database: "own", WrapCA: func(string) func(http.Handler) http.Handler { return g.wrap }})
	var ids []string
	for i := range 10 {
		ids = append(ids, s.add(fmt.Sprintf("restarted%d.example.com", i)).Id)
	}
	<-g.reached
	if err := s.Postgres.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	close(g.opened)
	for _, id := range ids {
		s.waitActive(id)
	}
	s.eventually("readiness", func() error {
		resp, err := http.Get(s.Env()["DCVAAS_ENDPOINT"] + "/readyz")
		if err != nil {
			return err
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("readyz: %s", resp.Status)
		}
		return nil
	})
	// The zone follows again: a domain that is added now is known to the name server.
	s.waitActive(s.add("afterwards.example.com").Id)
	if n := query[int](s, `SELECT count(*) FROM certificates`); n != 11 {
		t.Errorf("there are %d certificates for 11 domains", n)
	}
}

// Two workers and their sweeps find the same renewals due: each domain gets one new
// certificate.
func TestTwoWorkersTwoSweeps(t *testing.T) {
	t.Parallel()
	s := startStack(t, DevConfig{EmbeddedRedis: true})
	const n = 20
	var ids []string
	for i := range n {
		ids = append(ids, s.add(fmt.Sprintf("twice%d.example.com", i)).Id)
	}
	for _, id := range ids {
		s.waitActive(id)
	}
	// Two more processes work beside the one in the test, each sweeping every second.
	s.startWorker()
	s.startWorker()
	s.exec(`UPDATE domains SET renew_at = now() - interval '1 minute'`)
	s.eventually("every renewal", func() error {
		if got := query[int](s, `SELECT count(*) FROM certificates`); got < 2*n {
			return fmt.Errorf("%d certificates", got)
		}
		return nil
	})
	time.Sleep(2500 * time.Millisecond) // two sweeps more
	if got := query[int](s, `SELECT count(*) FROM certificates`); got != 2*n {
		t.Errorf("there are %d certificates, not two for each of %d domains", got, n)
	}
	if got := s.Primary.Orders(); got != 2*n {
		t.Errorf("the CA saw %d orders, not %d", got, 2*n)
	}
	if got := query[int](s, `SELECT count(*) FROM domains d JOIN certificates c ON c.id = d.certificate_id
		WHERE c.replaced_by = '' AND d.renew_at > now() AND NOT d.renewal_queued AND d.status = 'active'`); got != n {
		t.Errorf("%d of %d domains have their newest certificate as the current one", got, n)
	}
	if got := query[int](s, `SELECT count(*) FROM certificates WHERE replaced_by <> ''`); got != n {
		t.Errorf("%d of %d old certificates name their successor", got, n)
	}
}

// The first CA does not answer: the second one issues, and says so.
func TestFirstCADown(t *testing.T) {
	t.Parallel()
	s := startStack(t, DevConfig{EmbeddedRedis: true})
	s.Primary.SetDown(true)
	d := s.waitActive(s.add("failover.example.com").Id)
	id, err := d.CertificateId.Get()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := s.api.Certificate(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if cert.Ca != "backup" {
		t.Errorf("the certificate is from %q", cert.Ca)
	}
}
