package devstack

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
)

// pebble is a Pebble instance: its ungated handlers, and its root certificates, the default one
// first.
type pebble struct {
	handler    http.Handler
	management http.Handler
	fresh      *freshAuthorizations // nil if authorizations are reused
	roots      [][]byte
}

// alternateRoots is the number of alternate chains of each certificate (RFC 8555 §7.4.2).
const alternateRoots = 1

func newPebble(cfg CAConfig, logger *log.Logger) (*pebble, error) {
	profiles := make(map[string]ca.Profile, len(cfg.Profiles))
	for name, validity := range cfg.Profiles {
		profiles[name] = ca.Profile{
			Description:       fmt.Sprintf("valid for %s", validity),
			PromoteCommonName: name == "classic", // like Let's Encrypt
			ValidityPeriod:    uint64(validity / time.Second),
		}
	}
	store := db.NewMemoryStore()
	for kid, key := range cfg.EAB {
		if err := store.AddExternalAccountKeyByID(kid, key); err != nil {
			return nil, fmt.Errorf("external account key %q: %w", kid, err)
		}
	}
	// ECDSA issuers, because generating four RSA keys would take a second.
	authority := ca.New(logger, store, "", "ecdsa", alternateRoots, 1, profiles)

	retryAfter := 0 // Retry-After in seconds; 0 omits the header
	if cfg.Strict {
		retryAfter = 1
	}
	var front wfe.WebFrontEndImpl
	withPebbleEnv(cfg.Strict, cfg.Reuse, func() {
		validator := va.New(logger, 5002, 5001, cfg.Strict, cfg.Resolver, store)
		front = wfe.New(logger, store, validator, authority, cfg.CAAIdentities, cfg.Strict,
			len(cfg.EAB) > 0, retryAfter, retryAfter)
	})
	p := &pebble{handler: front.Handler(), management: front.ManagementHandler()}
	if !cfg.Strict && !cfg.Reuse {
		p.fresh = &freshAuthorizations{store: store}
	}
	for i := range authority.GetNumberOfRootCerts() {
		p.roots = append(p.roots, authority.GetRootCert(i).PEM())
	}
	return p, nil
}

// pebbleEnv is held while Pebble is created. Pebble reads these settings only from the process
// environment, so CAs that are created concurrently must not see each other's settings.
var pebbleEnv sync.Mutex

// withPebbleEnv calls build with the environment variables that va.New and wfe.New read, and
// restores the environment.
func withPebbleEnv(strict, reuse bool, build func()) {
	settings := map[string]string{
		"PEBBLE_VA_NOSLEEP":          "1",
		"PEBBLE_VA_SLEEPTIME":        "",
		"PEBBLE_VA_ALWAYS_VALID":     "",
		"PEBBLE_WFE_NONCEREJECT":     "0",
		"PEBBLE_AUTHZREUSE":          "0", // freshAuthorizations prevents the remaining reuses
		"PEBBLE_WFE_ORDERS_PER_PAGE": "",
	}
	if strict {
		settings["PEBBLE_VA_NOSLEEP"] = ""
		settings["PEBBLE_VA_SLEEPTIME"] = "2" // 0 or 1 second
		settings["PEBBLE_WFE_NONCEREJECT"] = "15"
		settings["PEBBLE_AUTHZREUSE"] = "50"
	}
	if reuse {
		settings["PEBBLE_AUTHZREUSE"] = "100"
	}
	pebbleEnv.Lock()
	defer pebbleEnv.Unlock()
	for name, value := range settings {
		before, had := os.LookupEnv(name) //nolint:forbidigo // only to restore the environment
		os.Setenv(name, value)
		defer func() {
			if had {
				os.Setenv(name, before)
			} else {
				os.Unsetenv(name)
			}
		}()
	}
	build()
}
