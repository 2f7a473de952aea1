package program

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// TestZoneUnreachable makes resolvers fail for the validation zone, until a probe notices. While it
// is held, no order starts, and the domain's owner reads that the cause is not theirs. Everything
// continues after a probe that succeeds.
func TestZoneUnreachable(t *testing.T) {
	t.Parallel()
	s := startStack(t, DevConfig{EmbeddedRedis: true})
	probed := func(what, condition string) {
		t.Helper()
		s.eventually(what, func() error {
			if query[int](s, `SELECT count(*) FROM zone_probe WHERE checked_at IS NOT NULL AND `+condition) == 0 {
				return errors.New("it was not probed yet")
			}
			return nil
		})
	}
	probed("the first probe", `failures = 0`)
	s.Playground.SetZoneDNS("127.0.0.1:1")
	query[bool](s, `UPDATE zone_probe SET next_at = now() RETURNING true`)
	probed("a failed probe", `failures > 0 AND problems @> '[{"step": "resolution"}]'`)
	s.Playground.SetZoneDNS(s.Config.DNS.Listen[0])
	probed("the zone to be reachable", `failures = 0 AND problems = '[]'`)

	query[bool](s, `UPDATE zone_probe SET failures = 3, since = now(), checked_at = now(),
		next_at = now() + interval '1 hour' RETURNING true`)
	time.Sleep(2 * time.Second) // longer than workers use a state
	d := s.waitDomain(s.add("held.example.com").Id, "waiting for the zone",
		func(d *client.Domain) bool {
			return slices.ContainsFunc(d.Conditions, func(c client.Condition) bool {
				return c.Reason == controlplane.ReasonZoneUnreachable
			})
		})
	if got := d.StatusSummary.Actor; got != client.StatusSummaryActorOperator {
		t.Errorf("actor = %s, want the operator", got)
	}
	query[bool](s, `UPDATE zone_probe SET next_at = now() RETURNING true`)
	s.waitActive(d.Id)
}
