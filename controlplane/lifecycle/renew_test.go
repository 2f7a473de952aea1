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

// adviser is an issuer that says when certificates are best renewed.
type adviser struct {
	*issuer
	mu    sync.Mutex
	asked []string
	says  func(ctx context.Context, ariID string) (controlplane.RenewalInfo, error)
}

// RenewalInfo implements lifecycle.Issuer.
func (a *adviser) RenewalInfo(ctx context.Context, ca, ariID string) (controlplane.RenewalInfo, error) {
	a.mu.Lock()
	a.asked = append(a.asked, ca+" "+ariID)
	says := a.says
	a.mu.Unlock()
	return says(ctx, ariID)
}

// newAdvised returns a world whose draws are all a half.
func newAdvised(t *testing.T) (*world, *adviser) {
	t.Helper()
	a := &adviser{}
	w := newWorld(t, func(c *lifecycle.Config) {
		a.issuer = c.Issuer.(*issuer)
		c.Issuer, c.Rand = a, func() float64 { return 0.5 }
	})
	return w, a
}

// window makes the CA name one, as of the asking.
func (a *adviser) window(begin, end time.Time, again time.Duration) {
	a.answers(func(context.Context, string) (controlplane.RenewalInfo, error) {
		now := a.clock.Now()
		return controlplane.RenewalInfo{WindowStart: begin, WindowEnd: end, CheckedAt: now, CheckAgainAt: now.Add(again), ExplanationURL: "https://ca.example/incident"}, nil
	})
}

func (a *adviser) answers(fn func(context.Context, string) (controlplane.RenewalInfo, error)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.says = fn
}

// ask moves the clock to the domain's next asking and has the CA asked.
func (w *world) ask(d *controlplane.Domain, want int) *controlplane.Domain {
	w.t.Helper()
	w.clock.set(value[time.Time](w, `SELECT ari_check_at FROM domains WHERE id = $1`, d.ID))
	n, err := w.CheckRenewals(w.t.Context())
	if n != want || err != nil {
		w.t.Errorf("the CA was asked of %d certificates, %v, want %d", n, err, want)
	}
	return w.domain(d)
}

func (w *world) nextAsking(d *controlplane.Domain) time.Duration {
	return value[time.Time](w, `SELECT ari_check_at FROM domains WHERE id = $1`, d.ID).Sub(w.clock.Now())
}

// The renewal moves with the CA's window, at the point that was drawn once, and never behind
// what the lifetime allows.
func TestCheckRenewalsFollowsTheWindow(t *testing.T) {
	t.Parallel()
	w, ca := newAdvised(t)
	d := w.active("example.com")
	byLife := start.Add(60*day - 18*time.Hour) // with half of the spread
	if !d.RenewAt.Equal(byLife) {
		t.Errorf("by its lifetime it is renewed at %s", d.RenewAt)
	}
	if n, err := w.CheckRenewals(t.Context()); n != 0 || err != nil {
		t.Errorf("asked at once of %d, %v", n, err)
	}
	if wait := w.nextAsking(d); wait != 30*time.Minute {
		t.Errorf("first asked after %s", wait)
	}
	for _, tt := range []struct {
		begin, end, again time.Duration
		want              time.Time
		wantAgain         time.Duration
	}{
		{50 * day, 52 * day, 6 * time.Hour, start.Add(51 * day), 6 * time.Hour},
		{40 * day, 42 * day, 24 * time.Hour, start.Add(41 * day), 12 * time.Hour}, // no later than twice a day
		{40 * day, 42 * day, 0, start.Add(41 * day), time.Minute},
		{70 * day, 80 * day, 6 * time.Hour, byLife, 6 * time.Hour},
	} {
		again := max(tt.again, time.Minute)
		ca.window(start.Add(tt.begin), start.Add(tt.end), again)
		version := w.domain(d).Version
		was := *w.domain(d).RenewAt
		now := w.ask(d, 1)
		if !now.RenewAt.Equal(tt.want) || w.nextAsking(d) != tt.wantAgain {
			t.Errorf("a window from %s to %s: renewed at %s, asked again after %s", tt.begin, tt.end, now.RenewAt, w.nextAsking(d))
		}
		if moved := !was.Equal(tt.want); moved != (now.Version != version) {
			t.Errorf("moved %v, and the version went from %d to %d", moved, version, now.Version)
		}
		if c := wantCondition(t, now, controlplane.RenewalOnTrack, "true", "scheduled"); !c.NextCheckAt.Equal(tt.want) || !strings.Contains(c.Message, tt.want.Format("2 January 2006 15:04")) {
			t.Errorf("%+v", c)
		}
	}
	if ca.asked[0] != "primary ari-of-"+ca.order(0).ID {
		t.Errorf("asked of %s", ca.asked[0])
	}
}

// A window that has passed means now: the renewal is due and says why, and is queued once.
func TestCheckRenewalsThatTheCAWantsNow(t *testing.T) {
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
		return controlplane.RenewalInfo{WindowStart: over.Add(-time.Hour), WindowEnd: over, CheckedAt: w.clock.Now(), ExplanationURL: "https://ca.example/incident"}, nil
	})
	if n, err := w.CheckRenewals(t.Context()); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	if c := wantCondition(t, w.domain(d), controlplane.RenewalOnTrack, "true", "ca-asks-now"); !strings.Contains(c.Message, "https://ca.example/incident") {
		t.Errorf("%+v", c)
	}
	for _, want := range []int{1, 0} {
		if n, err := w.Sweep(t.Context()); n != want || err != nil {
			t.Errorf("%d renewals were queued, %v, want %d", n, err, want)
		}
	}
	w.run(d, controlplane.JobRenewal)
	now := w.domain(d)
	wantCondition(t, now, controlplane.RenewalOnTrack, "true", "scheduled")
	if now.CertificateID == d.CertificateID || ca.order(2).Replaces != "ari-of-"+ca.order(0).ID || w.domain(quiet).CertificateID != quiet.CertificateID {
		t.Errorf("%+v", ca.order(2))
	}
}

// A CA that says nothing, or nothing that makes sense, changes nothing, and is asked again.
func TestCheckRenewalsWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	for what, tt := range map[string]struct {
		info func(now time.Time) controlplane.RenewalInfo
		err  error
		wait time.Duration
	}{
		"no answer": {func(time.Time) controlplane.RenewalInfo { return controlplane.RenewalInfo{} }, controlplane.ErrNoRenewalInfo, 12 * time.Hour},
		"no answer, and when next": {func(now time.Time) controlplane.RenewalInfo {
			return controlplane.RenewalInfo{CheckAgainAt: now.Add(time.Hour)}
		}, controlplane.ErrNoRenewalInfo, time.Hour},
		"a failure of ours":   {func(time.Time) controlplane.RenewalInfo { return controlplane.RenewalInfo{} }, errors.New("disk full"), 12 * time.Hour},
		"a window of nothing": {func(time.Time) controlplane.RenewalInfo { return controlplane.RenewalInfo{} }, nil, 12 * time.Hour},
		"a window that ends before it begins": {func(now time.Time) controlplane.RenewalInfo {
			return controlplane.RenewalInfo{WindowStart: now.Add(day), WindowEnd: now}
		}, nil, 12 * time.Hour},
		"an answer of another age": {func(now time.Time) controlplane.RenewalInfo {
			return controlplane.RenewalInfo{WindowStart: now.Add(-9999 * day), WindowEnd: now.Add(-9998 * day), CheckedAt: now}
		}, nil, 12 * time.Hour},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w, ca := newAdvised(t)
			d := w.active("example.com")
			w.clock.add(day)
			ca.answers(func(context.Context, string) (controlplane.RenewalInfo, error) { return tt.info(w.clock.Now()), tt.err })
			if n, err := w.CheckRenewals(t.Context()); n != 1 || err != nil {
				t.Fatal(n, err)
			}
			now := w.domain(d)
			if !now.RenewAt.Equal(*d.RenewAt) || now.Version != d.Version || w.nextAsking(d) != tt.wait {
				t.Errorf("renewed at %s, which was %s; asked again after %s", now.RenewAt, d.RenewAt, w.nextAsking(d))
			}
		})
	}
}

// A CA that offers no renewal information, or a certificate that cannot be asked about, is not
// asked again.
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
			t.Errorf("asked of %d, %v, want %d", n, err, want)
		}
	}
	if len(ca.asked) != 1 || value[int](w, `SELECT count(*) FROM domains WHERE ari_check_at IS NOT NULL`) != 0 {
		t.Errorf("asked %q", ca.asked)
	}
}

// What the CA says of a certificate that was replaced or deleted while it was asked moves
// nothing.
func TestCheckRenewalsOfACertificateThatIsGone(t *testing.T) {
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
		return controlplane.RenewalInfo{WindowStart: now.Add(time.Hour), WindowEnd: now.Add(2 * time.Hour), CheckedAt: now}, err
	})
	if n, err := w.CheckRenewals(t.Context()); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	if now := w.domain(replaced); !now.RenewAt.Equal(w.clock.Now().Add(50 * day)) {
		t.Errorf("moved to %s", now.RenewAt)
	}
	if n := value[int](w, `SELECT count(*) FROM domains WHERE ari_start IS NOT NULL`); n != 0 {
		t.Errorf("%d windows were kept", n)
	}
}
