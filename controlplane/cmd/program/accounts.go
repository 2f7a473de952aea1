package program

import (
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/acme"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/api"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// accounts returns an api.Degraded that names the accounts that their CAs reject. Orders go to
// other accounts or CAs meanwhile, so the process is ready.
func (a *App) accounts(ctx context.Context) error {
	cas, err := a.config.ACME.list()
	if err != nil {
		return err
	}
	unusable, err := unusableAccounts(ctx, a.store)
	unusable = slices.DeleteFunc(unusable, func(key string) bool { return !isConfigured(cas, key) })
	if err != nil || len(unusable) == 0 {
		return err
	}
	return api.Degraded("unusable at " + strings.Join(unusable, ", "))
}

// unusableAccounts returns the accounts that their CAs reject, by their AccountKeys.
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

// isConfigured reports whether an AccountKey is that of an account which new orders use.
func isConfigured(cas []acme.CA, key string) bool {
	return slices.ContainsFunc(cas, func(ca acme.CA) bool {
		return slices.ContainsFunc(ca.AccountNames(), func(account string) bool {
			return controlplane.AccountKey(ca.Name, account) == key
		})
	})
}

// accountStates is a metric of each account: whether its CA accepts it. It is read from the
// database when it is scraped, and missing if the database is unavailable.
type accountStates struct {
	store *postgres.Store
	cas   []acme.CA
}

var accountUsable = prometheus.NewDesc("dcvaas_ca_account_usable",
	"1 while the CA accepts the ACME account. 0 after it rejected the account, until it accepts an order. Each worker reports the state that all share.",
	[]string{"ca", "account"}, nil)

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
		for _, account := range ca.AccountNames() {
			usable := 1.0
			if slices.Contains(unusable, controlplane.AccountKey(ca.Name, account)) {
				usable = 0
			}
			out <- prometheus.MustNewConstMetric(accountUsable, prometheus.GaugeValue, usable,
				ca.Name, account)
		}
	}
}

// accountOrders is a metric of each account with a limit: how many orders it has left. It is read
// from Redis when it is scraped, and missing if Redis is unavailable.
type accountOrders struct{ governor *acme.Governor }

var ordersLeft = prometheus.NewDesc("dcvaas_ca_account_orders_left",
	"New orders that the CA's limit allows the ACME account now, including those reserved for due renewals. Each worker reports the number that all share.",
	[]string{"ca", "account"}, nil)

// Describe implements prometheus.Collector.
func (accountOrders) Describe(out chan<- *prometheus.Desc) { out <- ordersLeft }

// Collect implements prometheus.Collector.
func (o accountOrders) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	left, err := o.governor.Left(ctx)
	if err != nil {
		return
	}
	for _, one := range left {
		out <- prometheus.MustNewConstMetric(ordersLeft, prometheus.GaugeValue,
			math.Floor(one.Left), one.CA, one.Account)
	}
}
