package program

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/acme"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/dnscheck"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/dnsprovider"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/seal"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/webhook"
)

// newLifecycle creates the lifecycle service with its connections to external systems.
func (a *App) newLifecycle() (*lifecycle.Service, *acme.Engine, error) {
	c := &a.config
	if c.Keyset == "" {
		return nil, nil, errNoKeyset
	}
	sealer, err := seal.Open([]byte(c.Keyset))
	if err != nil {
		return nil, nil, fmt.Errorf("keyset (DCVAAS_KEYSET): %w", err)
	}
	cas, err := c.ACME.list()
	if err != nil {
		return nil, nil, err
	}
	engine, err := newEngine(cas, a.store, sealer, a.log)
	if err != nil {
		return nil, nil, err
	}
	if a.parts.Work {
		a.showCAs(engine, cas)
	}
	resolvers, err := c.Check.resolvers()
	if err != nil {
		return nil, nil, err
	}
	doctor := dnscheck.New(dnscheck.Config{Resolvers: resolvers, AskAuthority: c.Check.AskAuthority,
		Authority: c.Check.Authority, Logger: a.log})
	a.metrics.MustRegister(checkQueries{doctor})
	spread := c.Work.SweepSpread
	if spread == 0 {
		spread = -1 // none; lifecycle's zero value means a minute
	}
	governor, err := a.newGovernor(cas)
	if err != nil {
		return nil, nil, err
	}
	var mayCreate func(context.Context, string) error
	if l := a.limiter; l != nil {
		mayCreate = func(ctx context.Context,
			userID string) error {
			return l.Check(ctx, l.NewOrganizations, userID)
		}
	}
	service, err := lifecycle.New(lifecycle.Config{Store: a.store, Zone: c.Zone,
		TargetKey: a.keys.target, Issuer: engine, Doctor: doctor, Sealer: sealer,
		Governor:        governor,
		Poster:          webhook.New(webhook.Config{Loopback: c.Hooks.Loopback}),
		DNSHosts:        dnsprovider.New(dnsprovider.Config{Loopback: c.Hosts.Loopback}),
		WebhookLoopback: c.Hooks.Loopback, InvitedOnly: c.HTTP.SignUp == signUpInvited,
		MayCreate: mayCreate, Deliveries: max(c.Work.Concurrency/2, 1),
		Visible: func(ctx context.Context, name string, values []string) error {
			ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
			defer cancel()
			return dnscheck.WaitTXT(ctx, a.nameServers, name, values)
		},
		Prober: doctor, NameServers: a.nameServers,
		Logger: a.log, Backoff: controlplane.Backoff{Base: c.Work.RetryBase}, Lease: c.Work.Lease,
		SweepSpread: spread})
	return service, engine, err
}

var errNoKeyset = errors.New(
	"keyset (DCVAAS_KEYSET) is required; generate it with: dcvaas admin new-keyset")

// newEngine returns the ACME engine for the CAs.
func newEngine(
	cas []acme.CA, store *postgres.Store, sealer *seal.Sealer, log *slog.Logger,
) (*acme.Engine, error) {
	return acme.New(acme.Config{CAs: cas, Accounts: store, Sealer: sealer,
		Registered: func(ctx context.Context, ca, account string) error {
			return store.ForgetPauses(ctx, controlplane.AccountKey(ca, account), time.Now())
		},
		UserAgent: "dcvaas", Logger: log, Proxy: http.ProxyFromEnvironment})
}

// resolvers parses resolvers of the form NAME=URL.
func (c CheckConfig) resolvers() ([]dnscheck.Resolver, error) {
	var out []dnscheck.Resolver
	for _, s := range c.Resolvers {
		name, url, ok := strings.Cut(s, "=")
		if !ok || !strings.HasPrefix(url, "http") {
			return nil, fmt.Errorf(
				"resolvers (DCVAAS_RESOLVERS): invalid resolver %q: expected NAME=URL", s)
		}
		out = append(out, dnscheck.Resolver{Name: name, URL: url})
	}
	return out, nil
}

// newGovernor returns the governor that counts orders against the CAs' limits in Redis, across all
// workers. While Redis is unavailable, only the CAs enforce their limits, and a metric counts the
// bypassed decisions.
func (a *App) newGovernor(cas []acme.CA) (lifecycle.Governor, error) {
	if a.redis == nil {
		return nil, nil // this process places no orders
	}
	decisions := prometheus.NewCounterVec(
		prometheus.CounterOpts{Name: "dcvaas_quota_decisions_total",
			Help: "Orders that were allowed by the CA's limits (ok), delayed by them (wait), or not counted because Redis was unavailable (bypassed)."}, []string{"ca", "account", "decision"})
	a.metrics.MustRegister(decisions)
	governor, err := acme.NewGovernor(acme.GovernorConfig{Redis: a.redis, CAs: cas,
		Observe: func(ca string, d controlplane.QuotaDecision, _ error) {
			decision := "wait"
			if d.Bypassed {
				decision = "bypassed"
			} else if d.OK {
				decision = "ok"
			}
			decisions.WithLabelValues(ca, d.Account, decision).Inc()
		}})
	if err != nil {
		return nil, err
	}
	a.metrics.MustRegister(accountOrders{governor})
	return governor, nil
}

// showCAs registers a metric for each CA that shows whether it is available to this process.
func (a *App) showCAs(engine *acme.Engine, cas []acme.CA) {
	a.metrics.MustRegister(accountStates{a.store, cas},
		forcedAttempts{a.store, engine.CAs()})
	for _, ca := range engine.CAs() {
		a.metrics.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "dcvaas_ca_up",
			ConstLabels: prometheus.Labels{"ca": ca},
			Help:        "1 while the CA is available to this worker. 0 after several orders in a row got no response, until an order or the check of its directory each minute succeeds."},
			func() float64 {
				if engine.Answering(ca) {
					return 1
				}
				return 0
			}))
	}
}
