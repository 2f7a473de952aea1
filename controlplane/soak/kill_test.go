package soak

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/acme"
)

// fate determines when a run of a job dies: its worker dies when left reaches zero.
type fate struct {
	left   atomic.Int32
	cancel context.CancelFunc
}

type fateKey struct{}

// doomed returns a context in which the worker dies at the nth step.
func doomed(ctx context.Context, n int) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	f := &fate{cancel: cancel}
	f.left.Store(int32(n))
	return context.WithValue(ctx, fateKey{}, f)
}

// step is called in the worker's goroutine at each point where it may die. A dead worker does
// nothing more: it does not release its job, and its lease gets no heartbeat.
func step(ctx context.Context) {
	f, ok := ctx.Value(fateKey{}).(*fate)
	if ok && f.left.Add(-1) == 0 {
		f.cancel()
		runtime.Goexit()
	}
}

// mortalIssuer lets workers die at each step of an order.
type mortalIssuer struct{ *acme.Engine }

// Run implements lifecycle.Issuer.
func (i mortalIssuer) Run(
	ctx context.Context, o *controlplane.Order, j controlplane.Journal,
) (*controlplane.Certificate, error) {
	cert, err := i.Engine.Run(ctx, o, mortalJournal{j})
	step(ctx)
	return cert, err
}

type mortalJournal struct{ controlplane.Journal }

// Save implements controlplane.Journal.
func (j mortalJournal) Save(ctx context.Context, o *controlplane.Order) error {
	step(ctx)
	err := j.Journal.Save(ctx, o)
	step(ctx)
	return err
}

// Publish implements controlplane.Journal.
func (j mortalJournal) Publish(ctx context.Context, o *controlplane.Order) error {
	err := j.Journal.Publish(ctx, o)
	step(ctx)
	return err
}

// Ready implements controlplane.Journal.
func (j mortalJournal) Ready(ctx context.Context, o *controlplane.Order) error {
	err := j.Journal.Ready(ctx, o)
	step(ctx)
	return err
}

// mortalGovernor lets workers die after an order was counted and before it is stored.
type mortalGovernor struct{ *acme.Governor }

// Reserve implements lifecycle.Governor.
func (g mortalGovernor) Reserve(
	ctx context.Context, q controlplane.QuotaRequest,
) (controlplane.QuotaDecision, error) {
	d, err := g.Governor.Reserve(ctx, q)
	step(ctx)
	return d, err
}

// work runs fn as a worker does, and reports whether the worker died.
func work(fn func() error) (died bool, err error) {
	done := make(chan struct{})
	died = true
	go func() {
		defer close(done)
		err = fn()
		died = false
	}()
	<-done
	return died, err
}

// lease is longer than a pause of the machine, and shorter than any step of the clock.
const lease = 10 * time.Second
