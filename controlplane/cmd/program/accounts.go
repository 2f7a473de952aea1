package program

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/api"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// accounts returns an api.Degraded that names the CAs that reject the service's account. Orders go
// to other CAs meanwhile, so the process is ready.
func (a *App) accounts(ctx context.Context) error {
	unusable, err := unusableAccounts(ctx, a.store)
	if err != nil || len(unusable) == 0 {
		return err
	}
	return api.Degraded("unusable at " + strings.Join(unusable, ", "))
}

// unusableAccounts returns the CAs that reject the service's account.
func unusableAccounts(ctx context.Context, store *postgres.Store) ([]string, error) {
	accounts, err := store.CAAccounts(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, one := range slices.DeleteFunc(accounts,
		func(a controlplane.CAAccount) bool { return !a.Unusable }) {
		names = append(names, one.CA)
	}
	return names, nil
}

// accountStates is a metric of each CA: whether it accepts the service's account. It is read from
// the database when it is scraped, and missing if the database is unavailable.
type accountStates struct {
	store *postgres.Store
	cas   []string
}

var accountUsable = prometheus.NewDesc("dcvaas_ca_account_usable",
	"1 while the CA accepts the ACME account. 0 after it rejected the account, until it accepts an order. Each worker reports the state that all share.",
	[]string{"ca"}, nil)

// Describe implements prometheus.Collector.
func (accountStates) Describe(out chan<- *prometheus.Desc) { out <- accountUsable }

// Collect implements prometheus.Collector.
func (s accountStates) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	unusable, err := unusableAccounts(ctx, s.store)
	if err != nil {
		return
	}
	for _, ca := range s.cas {
		usable := 1.0
		if slices.Contains(unusable, ca) {
			usable = 0
		}
		out <- prometheus.MustNewConstMetric(accountUsable, prometheus.GaugeValue, usable, ca)
	}
}
