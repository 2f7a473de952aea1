package lifecycle_test

import (
	"context"
	"sync"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/seal"
)

// verdict is an error of a CA.
type verdict controlplane.Verdict

func (v verdict) Error() string                 { return v.Code + ": " + v.Message }
func (v verdict) Verdict() controlplane.Verdict { return controlplane.Verdict(v) }

func verdictOf(class controlplane.VerdictClass) verdict {
	return verdict{Class: class, Code: "ca-" + string(class), Message: "The CA says " +
		string(class) + ".", Fix: "Wait."}
}

// refuses returns a verdict that ended its order.
func refuses(class controlplane.VerdictClass) verdict {
	v := verdictOf(class)
	v.Over = true
	return v
}

// issuer is an Issuer with several CAs. It issues unless answers returns an error.
type issuer struct {
	clock  *clock
	sealer *seal.Sealer
	names  []string

	mu         sync.Mutex
	identities []controlplane.CAIdentity
	accounts   map[string][]string  // by CA; without an entry, it has the default one
	orders     []controlplane.Order // copies from the start of their runs
	life       time.Duration
	chain      func() string // of a certificate; nil: a constant
	// nil: issue
	answers func(ctx context.Context, o *controlplane.Order, j controlplane.Journal) error
	missing *controlplane.ChainNotOffered // of the next certificates

	collected []controlplane.Order // copies from Collect
	collects  func(o *controlplane.Order) (*controlplane.Certificate, error)
}

func (i *issuer) answer(
	fn func(ctx context.Context, o *controlplane.Order, j controlplane.Journal) error,
) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answers = fn
}

// reject makes the CAs return the given verdicts.
func (i *issuer) reject(by map[string]verdict) {
	i.answer(func(_ context.Context, o *controlplane.Order, _ controlplane.Journal) error {
		if v, ok := by[o.CA]; ok {
			v.CA = o.CA
			return v
		}
		return nil
	})
}

// rejectAll makes every CA return the verdict.
func (i *issuer) rejectAll(v verdict) {
	by := map[string]verdict{}
	for _, ca := range i.names {
		by[ca] = v
	}
	i.reject(by)
}

// lacks makes the CAs not offer the preferred chain.
func (i *issuer) lacks(missing *controlplane.ChainNotOffered) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.missing = missing
}

func (i *issuer) lives(life time.Duration) { i.mu.Lock(); defer i.mu.Unlock(); i.life = life }

// runs returns the CAs at which orders were run.
func (i *issuer) runs() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	var out []string
	for _, o := range i.orders {
		out = append(out, o.CA)
	}
	return out
}

func (i *issuer) order(n int) controlplane.Order {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.orders[n]
}

// CAs implements lifecycle.Issuer.
func (i *issuer) CAs() []string { return i.names }

// Accounts implements lifecycle.Issuer.
func (i *issuer) Accounts(ca string) []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	if names := i.accounts[ca]; names != nil {
		return names
	}
	return []string{controlplane.DefaultAccount}
}

// Prepare implements lifecycle.Issuer.
func (i *issuer) Prepare(_ context.Context, o *controlplane.Order, csrDER []byte) error {
	if o.ID == "" {
		o.ID = controlplane.NewID(controlplane.PrefixOrder)
	}
	o.Step, o.CSR, o.CreatedAt = controlplane.StepCreated, csrDER, i.clock.Now()
	if csrDER != nil {
		return nil
	}
	o.CSR = []byte("request")
	var err error
	o.SealedKey, err = i.sealer.Seal([]byte("key of "+o.ID), o.ID)
	return err
}

// Run implements lifecycle.Issuer.
func (i *issuer) Run(
	ctx context.Context, o *controlplane.Order, j controlplane.Journal,
) (*controlplane.Certificate, error) {
	i.mu.Lock()
	i.orders = append(i.orders, *o)
	answers, life, missing := i.answers, i.life, i.missing
	i.mu.Unlock()
	if answers != nil {
		if err := answers(ctx, o, j); err != nil {
			return nil, err
		}
	}
	o.Step, o.OrderURL, o.Values = controlplane.StepAuthorized, "https://ca.example/order/"+o.ID,
		txtAt(o, "value-of-"+o.ID)
	if err := j.Save(ctx, o); err != nil {
		return nil, err
	}
	if err := j.Publish(ctx, o); err != nil {
		return nil, err
	}
	if err := j.Ready(ctx, o); err != nil {
		return nil, err
	}
	o.Step = controlplane.StepIssued
	if err := j.Save(ctx, o); err != nil {
		return nil, err
	}
	if life == 0 {
		life = 90 * day
	}
	cert := i.issue(o, life)
	cert.NotOffered = missing
	return cert, nil
}

// issue returns the certificate of an order.
func (i *issuer) issue(o *controlplane.Order, life time.Duration) *controlplane.Certificate {
	now, chain := i.clock.Now(), "chain"
	if i.chain != nil {
		chain = i.chain()
	}
	return &controlplane.Certificate{Names: o.Names, Serial: "0a1b",
		Issuer: "Test CA", CA: o.CA, Account: o.Account,
		Profile: o.Profile, KeyType: o.KeyType, NotBefore: now, NotAfter: now.Add(life),
		FingerprintSHA256: "ab", ChainPEM: chain, SealedKey: o.SealedKey, ARIID: "ari-of-" +
			o.ID}
}

// collect sets what the CA answers about orders that were set aside; nil: they are in progress.
func (i *issuer) collect(
	fn func(o *controlplane.Order) (*controlplane.Certificate, error),
) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.collects = fn
}

// Collect implements lifecycle.Issuer.
func (i *issuer) Collect(
	_ context.Context, o *controlplane.Order,
) (*controlplane.Certificate, error) {
	i.mu.Lock()
	i.collected = append(i.collected, *o)
	collects := i.collects
	i.mu.Unlock()
	if collects == nil {
		return nil, verdictOf(controlplane.VerdictSlow)
	}
	return collects(o)
}

// polls returns the number of polls of orders that were set aside.
func (i *issuer) polls() int { i.mu.Lock(); defer i.mu.Unlock(); return len(i.collected) }

// Revoke implements lifecycle.Issuer.
func (i *issuer) Revoke(context.Context, []byte, string, string, int) error { return nil }

// Healthy implements lifecycle.Issuer.
func (i *issuer) Healthy(string) (bool, time.Time) { return true, time.Time{} }

// Identities implements lifecycle.Issuer.
func (i *issuer) Identities(context.Context) []controlplane.CAIdentity {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.identities
}

// RenewalInfo implements lifecycle.Issuer.
func (i *issuer) RenewalInfo(context.Context, string, string) (controlplane.RenewalInfo, error) {
	return controlplane.RenewalInfo{}, controlplane.ErrRenewalInfoNotOffered
}

// txtAt returns values at the order's target.
func txtAt(o *controlplane.Order, values ...string) []controlplane.TXT {
	txt := make([]controlplane.TXT, len(values))
	for i, value := range values {
		txt[i] = controlplane.TXT{Target: o.Target, Value: value}
	}
	return txt
}
