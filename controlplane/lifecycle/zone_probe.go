package lifecycle

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

const (
	probeEvery  = time.Minute
	probeAgain  = 10 * time.Second // after a failure
	probeServed = 20 * time.Second // for all name servers; a lost one counts for 10 s
	probeTTL    = 10 * time.Minute // of the record
	// probeTrusted is how old a state may be to hold orders: without probes, nothing is known.
	probeTrusted = 5 * time.Minute
	stateAge     = time.Second // how old the state that orders use may be
)

// Prober queries the validation zone as CAs do (package dnscheck).
type Prober interface {
	ProbeZone(ctx context.Context, q controlplane.ZoneQuestion) controlplane.ZoneProbe
}

// ProbeZone tests whether resolvers reach the validation zone, if a test is due and no other worker
// runs one. The state that it stores holds orders back, see zoneProblem.
func (s *Service) ProbeZone(ctx context.Context) error {
	if s.Prober == nil {
		return nil
	}
	state, err := s.Store.ZoneState(ctx)
	if err != nil || s.now().Before(state.NextAt) {
		return err
	}
	_, err = s.Store.TryLocked(ctx, "dcvaas-zone-probe", func(ctx context.Context) error {
		state, err := s.Store.ZoneState(ctx)
		if err != nil || s.now().Before(state.NextAt) {
			return err
		}
		return s.probeZone(ctx, state)
	})
	return err
}

func (s *Service) probeZone(ctx context.Context, old controlplane.ZoneState) error {
	earlier, err := s.servedByEarlier(ctx)
	if err != nil || earlier {
		return err
	}
	value := rand.Text()
	if err := s.Store.PublishProbe(ctx, value, s.now().Add(probeTTL)); err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, probeServed)
	defer cancel()
	served := s.Visible(limited, controlplane.ProbeName+"."+s.Zone, []string{value})
	servers, err := s.NameServers(ctx)
	if err != nil {
		return err
	}
	found := s.Prober.ProbeZone(ctx, controlplane.ZoneQuestion{Zone: s.Zone, Value: value,
		Servers: servers})
	if err := ctx.Err(); err != nil {
		return err
	}
	now := s.now()
	state := controlplane.ZoneState{Problems: found.Problems, CheckedAt: now,
		NextAt: now.Add(probeEvery)}
	if served != nil || !found.Reachable {
		state.Failures, state.Since = old.Failures+1, old.Since
		if state.Since.IsZero() {
			state.Since = now
		}
		state.NextAt = now.Add(probeAgain)
	}
	if served != nil && len(state.Problems) == 0 {
		state.Problems = []controlplane.ZoneProblem{{Step: controlplane.ZoneReplica,
			Detail: served.Error()}}
	}
	s.logZone(ctx, old, state)
	return s.Store.InTx(ctx, func(t *postgres.Tx) error {
		err := t.SaveZoneState(ctx, state)
		if err == nil && old.Failures > 0 && state.Failures == 0 {
			err = t.ExpediteUnserved(ctx, now)
		}
		return err
	})
}

// servedByEarlier reports whether no name server has a lease although some are configured: they are
// of a version that does not serve the probe's record.
func (s *Service) servedByEarlier(ctx context.Context) (bool, error) {
	servers, err := s.NameServers(ctx)
	if err != nil || len(servers) == 0 {
		return false, err
	}
	replicas, err := s.Store.Replicas(ctx)
	return err == nil && len(replicas) == 0, err
}

// logZone logs a change of the state for the operator.
func (s *Service) logZone(ctx context.Context, old, state controlplane.ZoneState) {
	switch {
	case state.Failures > 0:
		s.Logger.ErrorContext(ctx, "lifecycle: the validation zone is not reachable",
			"failures", state.Failures, "orders_held", state.Held(), "problems", state.Problems)
	case old.Failures > 0:
		s.Logger.InfoContext(ctx, "lifecycle: the validation zone is reachable again",
			"since", old.Since)
	case len(state.Problems) > 0:
		s.Logger.WarnContext(ctx, "lifecycle: a part of the validation zone is broken",
			"problems", state.Problems)
	}
}

// zoneSeen is the state of the validation zone when it was last read.
type zoneSeen struct {
	mu    sync.Mutex
	at    time.Time
	state controlplane.ZoneState
}

// zoneState returns the state of the validation zone, at most a second old.
func (s *Service) zoneState(ctx context.Context) (controlplane.ZoneState, error) {
	s.zone.mu.Lock()
	defer s.zone.mu.Unlock()
	if now := s.now(); now.Sub(s.zone.at) >= stateAge || now.Before(s.zone.at) {
		state, err := s.Store.ZoneState(ctx)
		if err != nil {
			return state, err
		}
		s.zone.at, s.zone.state = now, state
	}
	return s.zone.state, nil
}

// zoneProblem returns an error of KindUnavailable while no order may start or continue to its
// validation: from the first failed probe on. After some more, it says that the zone is
// unreachable.
func (s *Service) zoneProblem(ctx context.Context) error {
	if s.Prober == nil {
		return nil
	}
	state, err := s.zoneState(ctx)
	if err != nil {
		return err
	}
	if state.Failures == 0 || s.now().Sub(state.CheckedAt) > probeTrusted {
		return nil
	}
	code, message := controlplane.ReasonZoneNotAnswering,
		"A test of the validation zone failed. It is being repeated."
	if state.Held() {
		code, message = controlplane.ReasonZoneUnreachable,
			"The validation zone of this service is not reachable from the Internet since "+
				state.Since.UTC().Format("15:04 UTC")+". The domain's DNS is not the cause."
	}
	return &controlplane.Error{Kind: controlplane.KindUnavailable, Code: code, Message: message,
		Fix: controlplane.FixOf(code), RetryAt: state.NextAt.Add(time.Second)}
}
