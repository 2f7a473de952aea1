package program

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/seal"
)

// Settings that must be the same in every process have a canary in Postgres. The first process
// whose settings match the stored data writes the canaries.
const (
	canaryZone, canarySecretKey, canaryKeyset = "zone", "secret-key", postgres.KeysetCanary

	sealedCanary = "dcvaas"
	// removedKey is the start of the names of canaries for keys that were removed from the keyset.
	removedKey = "removed-key-"
	// canaryTime is how long a start waits for the canaries. Later, they are checked when Postgres
	// responds.
	canaryTime = 3 * time.Second
)

var (
	errOtherSecretKey = errors.New(
		"secret-key (DCVAAS_SECRET_KEY): it differs from the one with which the database's CNAME targets were derived; use the same key in every process")
	errOtherKeyset = errors.New(
		"keyset (DCVAAS_KEYSET): it can't open what the database contains; use the same keyset in every process, with all its keys")
	errRemovedKey = errors.New(
		"keyset (DCVAAS_KEYSET): its primary key was removed from the keyset of the other processes; use theirs")
	errNoCanaries = errors.New("the database schema is older than this program; run dcvaas migrate")
)

// isMismatch reports whether a setting differs from that of other processes.
func isMismatch(err error) bool {
	_, zone := errors.AsType[*otherZoneError](err)
	return zone || errors.Is(err, errOtherSecretKey) || errors.Is(err, errOtherKeyset) ||
		errors.Is(err, errRemovedKey)
}

type otherZoneError struct{ own, other string }

// Error implements error.
func (e *otherZoneError) Error() string {
	return fmt.Sprintf("zone (DCVAAS_ZONE): %q differs from %q, the zone of the database's CNAME targets",
		e.own, e.other)
}

// checkCanaries returns an error that names the setting if one differs from that of the other
// processes. It writes missing canaries.
func (a *App) checkCanaries(ctx context.Context) error {
	found, err := a.store.Canaries(ctx)
	if err != nil {
		return err
	}
	if found == nil {
		return errNoCanaries
	}
	if !a.parts.Serve && !a.parts.Work { // has only the zone
		return a.matchCanaries(nil, found)
	}
	sealer, err := seal.Open([]byte(a.config.Keyset))
	if err != nil {
		return err
	}
	if !hasAll(found) {
		if err := a.matchData(ctx, sealer); err != nil {
			return err
		}
		sealed, err := sealer.Seal([]byte(sealedCanary), canaryKeyset)
		if err != nil {
			return err
		}
		if err := a.store.AddCanaries(ctx, map[string][]byte{canaryZone: []byte(a.config.Zone),
			canarySecretKey: a.keys.canary, canaryKeyset: sealed}); err != nil {
			return err
		}
		if found, err = a.store.Canaries(ctx); err != nil {
			return err
		}
	}
	return a.matchCanaries(sealer, found)
}

// matchCanaries compares the settings with the canaries. Without a sealer, it compares the zone.
func (a *App) matchCanaries(sealer *seal.Sealer, found map[string][]byte) error {
	if zone, ok := found[canaryZone]; ok && string(zone) != a.config.Zone {
		return &otherZoneError{a.config.Zone, string(zone)}
	}
	if sealer == nil {
		return nil
	}
	if !hmac.Equal(found[canarySecretKey], a.keys.canary) {
		return errOtherSecretKey
	}
	if plain, err := sealer.Open(found[canaryKeyset], canaryKeyset); err != nil ||
		!bytes.Equal(plain, []byte(sealedCanary)) {
		return errOtherKeyset
	}
	if keys, err := seal.KeysOf([]byte(a.config.Keyset)); err == nil {
		if _, removed := found[removedKey+keys.Primary.String()]; removed {
			return errRemovedKey
		}
	}
	return nil
}

// hasAll reports whether every setting has its canary.
func hasAll(found map[string][]byte) bool {
	for _, name := range []string{canaryZone, canarySecretKey, canaryKeyset} {
		if _, ok := found[name]; !ok {
			return false
		}
	}
	return true
}

// matchData compares the secrets with the data of an installation that has no canaries yet. It is
// enough if one object matches: others can have been damaged or moved.
func (a *App) matchData(ctx context.Context, sealer *seal.Sealer) error {
	targets, err := a.store.SampleTargets(ctx)
	if err != nil {
		return err
	}
	if len(targets) > 0 && !slices.ContainsFunc(targets, func(s postgres.Sample) bool {
		return s.Target == controlplane.Target(a.keys.target, s.OrgID, rules.BaseName(s.Name))
	}) {
		return errOtherSecretKey
	}
	sealed, err := a.store.SampleSealed(ctx)
	if err != nil {
		return err
	}
	if len(sealed) > 0 && !slices.ContainsFunc(sealed, func(s postgres.Sample) bool {
		_, err := sealer.Open(s.Sealed, s.Owner)
		return err == nil
	}) {
		return errOtherKeyset
	}
	return nil
}

// verifySettings compares the settings with those of other processes before the process starts. If
// Postgres is unavailable, it continues in the background. A mismatch stops the process, and so
// does a server that rejects the settings.
func (a *App) verifySettings(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, canaryTime)
	defer cancel()
	inRedis := make(chan error, 1)
	go func() { inRedis <- a.checkRedisOnce(limited) }()
	err := a.checkCanaries(limited)
	redisErr := <-inRedis
	if setup := cmp.Or(setupError(err), setupError(redisErr)); setup != nil {
		return setup
	}
	if redisErr != nil {
		a.running.Go(a.retryRedis)
	}
	if err == nil {
		close(a.verified)
		return nil
	}
	a.running.Go(func() {
		for a.watching.Err() == nil {
			err := a.checkCanaries(a.watching)
			if err == nil {
				close(a.verified)
				return
			}
			if setup := setupError(err); setup != nil {
				a.fail(setup)
				return
			}
			select {
			case <-a.watching.Done():
			case <-time.After(time.Second):
			}
		}
	})
	return nil
}

// isVerified returns an error until the settings were compared with those of other processes.
func (a *App) isVerified() error {
	select {
	case <-a.verified:
		return nil
	default:
		return errors.New("the settings were not compared with those of other processes yet")
	}
}
