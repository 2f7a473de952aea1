package lifecycle_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// adviser is an issuer with renewal information.
type adviser struct {
	*issuer
	mu       sync.Mutex
	requests []string
	says     func(ctx context.Context, ariID string) (controlplane.RenewalInfo, error)
}

// RenewalInfo implements lifecycle.Issuer.
func (a *adviser) RenewalInfo(
	ctx context.Context, ca, ariID string,
) (controlplane.RenewalInfo, error) {
	a.mu.Lock()
	a.requests = append(a.requests, ca+" "+ariID)
	says := a.says
	a.mu.Unlock()
	return says(ctx, ariID)
}

// newAdvised returns a world with an adviser, whose random numbers are all 0.5.
func newAdvised(t *testing.T) (*world, *adviser) {
	t.Helper()
	a := &adviser{}
	w := newWorld(t, func(c *lifecycle.Config) {
		a.issuer = c.Issuer.(*issuer)
		c.Issuer, c.Rand = a, func() float64 { return 0.5 }
	})
	return w, a
}

// window sets the CA's renewal window, relative to the request.
func (a *adviser) window(from, end time.Time, again time.Duration) {
	a.answers(func(context.Context, string) (controlplane.RenewalInfo, error) {
		now := a.clock.Now()
		return controlplane.RenewalInfo{WindowStart: from, WindowEnd: end, CheckedAt: now,
			CheckAgainAt: now.Add(again), ExplanationURL: "https://ca.example/incident"}, nil
	})
}

func (a *adviser) answers(fn func(context.Context, string) (controlplane.RenewalInfo, error)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.says = fn
}

// ask moves the clock to the domain's next request for renewal information and sends it.
func (w *world) ask(d *controlplane.Domain, want int) *controlplane.Domain {
	w.t.Helper()
	w.clock.set(value[time.Time](w, `SELECT ari_check_at FROM domains WHERE id = $1`, d.ID))
	n, err := w.CheckRenewals(w.t.Context())
	if n != want || err != nil {
		w.t.Errorf("CheckRenewals = %d, %v, want %d", n, err, want)
	}
	return w.domain(d)
}

func (w *world) nextRequest(d *controlplane.Domain) time.Duration {
	return value[time.Time](w, `SELECT ari_check_at FROM domains WHERE id = $1`,
		d.ID).Sub(w.clock.Now())
}

// The renewal follows the CA's window, at a point that is drawn once, and never later than the
// lifetime allows.
func TestCheckRenewalsFollowsTheWindow(t *testing.T) {
	t.Parallel()
	w, ca := newAdvised(t)
	d := w.active("example.com")
	byLife := start.Add(60*day - 18*time.Hour) // with half of the spread
	if !d.RenewAt.Equal(byLife) {
		t.Errorf("renewal by lifetime at %s, want %s", d.RenewAt, byLife)
	}
	if n, err := w.CheckRenewals(t.Context()); n != 0 || err != nil {
		t.Errorf("CheckRenewals after issuance = %d, %v, want 0", n, err)
	}
	if wait := w.nextRequest(d); wait != 30*time.Minute {
		t.Errorf("first request is due after %s", wait)
	}
	for _, tt := range []struct {
		start, end, again time.Duration
		want              time.Time
		wantAgain         time.Duration
	}{
		{50 * day, 52 * day, 6 * time.Hour, start.Add(51 * day), 9 * time.Hour},
		// no later than twice a day
		{40 * day, 42 * day, 24 * time.Hour, start.Add(41 * day), 10*time.Hour + 30*time.Minute},
		{40 * day, 42 * day, 0, start.Add(41 * day), 90 * time.Second},
		{70 * day, 80 * day, 6 * time.Hour, byLife, 9 * time.Hour},
	} {
		again := max(tt.again, time.Minute)
		ca.window(start.Add(tt.start), start.Add(tt.end), again)
		version := w.domain(d).Version
		was := *w.domain(d).RenewAt
		now := w.ask(d, 1)
		if !now.RenewAt.Equal(tt.want) || w.nextRequest(d) != tt.wantAgain {
			t.Errorf("window from %s to %s: renewal at %s, next request after %s", tt.start, tt.end,
				now.RenewAt, w.nextRequest(d))
		}
		if moved := !was.Equal(tt.want); moved != (now.Version != version) {
			t.Errorf("renewal moved = %v, version from %d to %d", moved, version, now.Version)
		}
		if c := wantCondition(t, now, controlplane.RenewalOnTrack, "true",
			"scheduled"); !c.NextCheckAt.Equal(tt.want) ||
			!strings.Contains(c.Message, tt.want.Format("2 January 2006 15:04")) {
			t.Errorf("RenewalOnTrack = %+v, want the renewal at %s", c, tt.want)
		}
	}
	if ca.requests[0] != "primary ari-of-"+ca.order(0).ID {
		t.Errorf("request for %s", ca.requests[0])
	}
}

// A window in the past means now: the renewal is due, shows the reason, and is queued once.
func TestCheckRenewalsWithAWindowInThePast(t *testing.T) {
	t.Parallel()
	w, ca := newAdvised(t)
	d := w.active("example.com")
	quiet := w.active("quiet.example.com")
	w.clock.add(10 * day)
	over := w.clock.Now().Add(-time.Hour)
	ca.answers(func(_ context.Context, ariID string) (controlplane.RenewalInfo, error) {
		if ariID != "ari-of-"+ca.order(0).ID {
			return controlplane.RenewalInfo{}, controlplane.ErrNoRenewalInfo
		}
		return controlplane.RenewalInfo{WindowStart: over.Add(-time.Hour), WindowEnd: over,
			CheckedAt: w.clock.Now(), ExplanationURL: "https://ca.example/incident"}, nil
	})
	if n, err := w.CheckRenewals(t.Context()); n != 2 || err != nil {
		t.Fatalf("CheckRenewals = %d, %v, want 2", n, err)
	}
	if c := wantCondition(t, w.domain(d), controlplane.RenewalOnTrack, "true",
		"ca-asks-now"); !strings.Contains(c.Message, "https://ca.example/incident") {
		t.Errorf("RenewalOnTrack = %+v, want the CA's explanation", c)
	}
	for _, want := range []int{1, 0} {
		if n, err := w.Sweep(t.Context()); n != want || err != nil {
			t.Errorf("Sweep = %d, %v, want %d", n, err, want)
		}
	}
	w.run(d, controlplane.JobRenewal)
	now := w.domain(d)
	wantCondition(t, now, controlplane.RenewalOnTrack, "true", "scheduled")
	if now.CertificateID == d.CertificateID || ca.order(2).Replaces != "ari-of-"+ca.order(0).ID ||
		w.domain(quiet).CertificateID != quiet.CertificateID {
		t.Errorf("order = %+v, want one that replaces the first certificate, and none for the other domain", ca.order(2))
	}
}

// Missing or invalid renewal information changes nothing. The request is repeated later.
func TestCheckRenewalsWithoutAWindow(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		info func(now time.Time) controlplane.RenewalInfo
		err  error
		wait time.Duration
	}{
		"none": {func(time.Time) controlplane.RenewalInfo { return controlplane.RenewalInfo{} },
			controlplane.ErrNoRenewalInfo, 9 * time.Hour},
		"none, with a time for the next request": {func(now time.Time) controlplane.RenewalInfo {
			return controlplane.RenewalInfo{CheckAgainAt: now.Add(time.Hour)}
		}, controlplane.ErrNoRenewalInfo, 90 * time.Minute},
		"internal error": {func(time.Time) controlplane.RenewalInfo {
			return controlplane.RenewalInfo{}
		}, errors.New("disk full"), 9 * time.Hour},
		"empty window": {func(time.Time) controlplane.RenewalInfo {
			return controlplane.RenewalInfo{}
		}, nil, 9 * time.Hour},
		"window ends before it starts": {func(now time.Time) controlplane.RenewalInfo {
			return controlplane.RenewalInfo{WindowStart: now.Add(day), WindowEnd: now}
		}, nil, 9 * time.Hour},
		"window of another age": {func(now time.Time) controlplane.RenewalInfo {
			return controlplane.RenewalInfo{WindowStart: now.Add(-9999 * day),
				WindowEnd: now.Add(-9998 * day), CheckedAt: now}
		}, nil, 9 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, ca := newAdvised(t)
			d := w.active("example.com")
			w.clock.add(day)
			ca.answers(func(context.Context, string) (controlplane.RenewalInfo,
				error) {
				return tt.info(w.clock.Now()), tt.err
			})
			if n, err := w.CheckRenewals(t.Context()); n != 1 || err != nil {
				t.Fatalf("CheckRenewals = %d, %v, want 1", n, err)
			}
			now := w.domain(d)
			if !now.RenewAt.Equal(*d.RenewAt) || now.Version != d.Version ||
				w.nextRequest(d) != tt.wait {
				t.Errorf("renewal at %s, want %s; next request after %s", now.RenewAt, d.RenewAt,
					w.nextRequest(d))
			}
		})
	}
}

// A CA without renewal information, or a certificate without an ARI ID, gets no further requests.
func TestCheckRenewalsThatAreNotOffered(t *testing.T) {
	t.Parallel()
	w, ca := newAdvised(t)
	ca.answers(func(context.Context, string) (controlplane.RenewalInfo, error) {
		return controlplane.RenewalInfo{}, controlplane.ErrRenewalInfoNotOffered
	})
	w.active("example.com")
	w.active("nameless.example.com")
	w.exec(`UPDATE certificates SET ari_id = '' WHERE domain_id = (SELECT id FROM domains WHERE name = 'nameless.example.com')`)
	w.clock.add(day)
	for _, want := range []int{2, 0} {
		if n, err := w.CheckRenewals(t.Context()); n != want || err != nil {
			t.Errorf("CheckRenewals = %d, %v, want %d", n, err, want)
		}
	}
	if len(ca.requests) != 1 || value[int](w,
		`SELECT count(*) FROM domains WHERE ari_check_at IS NOT NULL`) != 0 {
		t.Errorf("requests for %q", ca.requests)
	}
}

// Renewal information of a certificate that was replaced or deleted during the request changes
// nothing.
func TestCheckRenewalsOfAReplacedCertificate(t *testing.T) {
	t.Parallel()
	w, ca := newAdvised(t)
	replaced, deleted := w.active("replaced.example.com"), w.active("deleted.example.com")
	w.clock.add(day)
	ca.answers(func(_ context.Context, ariID string) (controlplane.RenewalInfo, error) {
		now := w.clock.Now()
		var err error
		if ariID == "ari-of-"+ca.order(0).ID {
			w.exec(`UPDATE domains SET certificate_id = 'crt_new', renew_at = $2, version = version + 1 WHERE id = $1`, replaced.ID, now.Add(50*day))
		} else {
			err = w.DeleteDomain(t.Context(), alice, w.org, deleted.ID, 0)
		}
		return controlplane.RenewalInfo{WindowStart: now.Add(time.Hour),
			WindowEnd: now.Add(2 * time.Hour), CheckedAt: now}, err
	})
	if n, err := w.CheckRenewals(t.Context()); n != 2 || err != nil {
		t.Fatalf("CheckRenewals = %d, %v, want 2", n, err)
	}
	if now := w.domain(replaced); !now.RenewAt.Equal(w.clock.Now().Add(50 * day)) {
		t.Errorf("renewal moved to %s, want it unchanged", now.RenewAt)
	}
	if n := value[int](w, `SELECT count(*) FROM domains WHERE ari_start IS NOT NULL`); n != 0 {
		t.Errorf("%d renewal windows are stored, want 0", n)
	}
}
