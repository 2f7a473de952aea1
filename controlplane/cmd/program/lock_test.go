package program

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// neighbor returns the stack as another organization uses it.
func (s *stack) neighbor(name string) *stack {
	s.t.Helper()
	org, err := s.App.lifecycle.CreateOrganization(s.t.Context(), controlplane.System("test"),
		lifecycle.NewOrganization{Name: name, Tier: controlplane.TierPro})
	if err != nil {
		s.t.Fatal(err)
	}
	_, secret, err := s.App.lifecycle.CreateToken(s.t.Context(), controlplane.System("test"), nil,
		org.ID, lifecycle.NewToken{Name: name, Scopes: controlplane.Scopes()})
	if err != nil {
		s.t.Fatal(err)
	}
	api, err := client.New(client.Options{Endpoint: s.Env()["DCVAAS_ENDPOINT"], Token: secret})
	if err != nil {
		s.t.Fatal(err)
	}
	return &stack{Dev: s.Dev, t: s.t, api: api}
}

// TestLockedOrganization tests 40 due jobs of an organization whose domains stay locked: another
// organization gets its first certificate during the lock, and the jobs continue after it.
func TestLockedOrganization(t *testing.T) {
	t.Parallel()
	const n = 40
	s := startStack(t, DevConfig{EmbeddedRedis: true})
	other := s.neighbor("Other")
	for i := range n {
		if _, err := s.api.CreateDomain(t.Context(),
			client.DomainCreate{Name: fmt.Sprintf("locked%d.example.com", i)}); err != nil {
			t.Fatal(err)
		}
	}
	s.eventually("the first checks", func() error {
		if got := query[int](s,
			`SELECT count(*) FROM jobs WHERE status = 'queued' AND reason <> ''`); got != n {
			return fmt.Errorf("deferred jobs = %d, want %d", got, n)
		}
		return nil
	})
	conn, err := pgx.Connect(t.Context(), s.Config.Database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(t.Context(), `BEGIN; SELECT 1 FROM domains FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		s.delegate(fmt.Sprintf("locked%d.example.com", i))
	}
	s.exec(`UPDATE jobs SET run_at = now(), dispatched_at = NULL, generation = generation + 1
		WHERE status = 'queued'`)
	s.eventually("jobs to be put back", func() error {
		if query[int](s, `SELECT count(*) FROM jobs WHERE reason = 'domain-busy'`) == 0 {
			return fmt.Errorf("no job has the reason domain-busy")
		}
		return nil
	})
	other.waitActive(other.add("first.example.com").Id)
	if _, err := conn.Exec(t.Context(), `ROLLBACK`); err != nil {
		t.Fatal(err)
	}
	s.eventually("the jobs to continue", func() error {
		if got := query[int](s,
			`SELECT count(*) FROM domains WHERE status = 'active'`); got != n+1 {
			return fmt.Errorf("active domains = %d, want %d", got, n+1)
		}
		return nil
	})
}
