package program

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

// TestRedisEmptied deletes all data in Redis, twice, while thirty certificates are being issued. No
// work is lost.
func TestRedisEmptied(t *testing.T) {
	t.Parallel()
	for name, embedded := range map[string]bool{"redis-server": false, "in-process": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGate(false, pathHas("/finalize-order/"))
			s := startStack(t, DevConfig{EmbeddedRedis: embedded,
				WrapCA: func(string) func(http.Handler) http.Handler { return g.wrap }})
			if s.Redis.Embedded() != embedded {
				t.Fatal("redis-server not found; this test requires it")
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
				t.Errorf("certificates = %d, want 30", n)
			}
			if n := s.Primary.Orders() + s.Backup.Orders(); n != 30 {
				t.Errorf("orders at the CAs = %d, want 30", n)
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

// TestPostgresRestarted restarts Postgres while certificates are being issued. They are issued, and
// the API works again, without a restart of the program.
func TestPostgresRestarted(t *testing.T) {
	t.Parallel()
	g := newGate(false, pathHas("/chalZ/"))
	s := startStack(t, DevConfig{EmbeddedRedis: true,
		Database: "own", WrapCA: func(string) func(http.Handler) http.Handler { return g.wrap }})
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
			return fmt.Errorf("GET /readyz: %s", resp.Status)
		}
		return nil
	})
	// The name server follows changes again: it serves a domain that is added now.
	s.waitActive(s.add("afterwards.example.com").Id)
	if n := query[int](s, `SELECT count(*) FROM certificates`); n != 11 {
		t.Errorf("certificates = %d, want 11", n)
	}
}

// TestTwoWorkersTwoSweeps tests several workers whose sweeps find the same due renewals. Each
// domain gets one new certificate.
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
	// Two worker processes run in addition to the one in the test. Each sweeps every second.
	s.startWorker()
	s.startWorker()
	s.exec(`UPDATE domains SET renew_at = now() - interval '1 minute'`)
	s.eventually("every renewal", func() error {
		if got := query[int](s, `SELECT count(*) FROM certificates`); got < 2*n {
			return fmt.Errorf("%d certificates", got)
		}
		return nil
	})
	time.Sleep(2500 * time.Millisecond) // two more sweeps
	if got := query[int](s, `SELECT count(*) FROM certificates`); got != 2*n {
		t.Errorf("certificates = %d, want %d", got, 2*n)
	}
	if got := s.Primary.Orders(); got != 2*n {
		t.Errorf("orders at the CA = %d, want %d", got, 2*n)
	}
	if got := query[int](s,
		`SELECT count(*) FROM domains d JOIN certificates c ON c.id = d.certificate_id
		WHERE c.replaced_by = '' AND d.renew_at > now() AND NOT d.renewal_queued AND d.status = 'active'`); got != n {
		t.Errorf("domains with the newest certificate as the current one = %d, want %d", got, n)
	}
	if got := query[int](s, `SELECT count(*) FROM certificates WHERE replaced_by <> ''`); got != n {
		t.Errorf("replaced certificates that name their successor = %d, want %d", got, n)
	}
}

// TestFirstCADown tests that the second CA issues if the first is unavailable, and that the
// certificate names it.
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
		t.Errorf("CA of the certificate = %q, want backup", cert.Ca)
	}
}
