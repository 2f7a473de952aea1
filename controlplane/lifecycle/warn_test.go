package lifecycle_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// warnAt moves the clock to where so much is left of the domain's certificate, and warns.
func (w *world) warnAt(d *controlplane.Domain, left time.Duration) int {
	w.t.Helper()
	w.clock.set(d.ExpiresAt.Add(-left))
	n, err := w.Warn(w.t.Context())
	must(w.t, err)
	return n
}

// A certificate that nobody renews is told of at each of its warnings, once, whoever was to
// renew it.
func TestWarnTellsOnceAtEachThreshold(t *testing.T) {
	t.Parallel()
	const hour = time.Hour
	for what, tt := range map[string]struct {
		life, before time.Duration // before: when nothing is said yet
		warnings     []time.Duration
		change       func(*controlplane.Options)
		reason       string
	}{
		"90 days":              {90 * day, 22 * day, []time.Duration{21 * day, 7 * day, day}, nil, "certificate-expiring"},
		"45 days":              {45 * day, 11 * day, []time.Duration{252 * hour, 7 * day, day}, nil, "certificate-expiring"},
		"6 days":               {6 * day, 37 * hour, []time.Duration{36 * hour, 14 * hour}, nil, "certificate-expiring"},
		"renewal is off":       {90 * day, 22 * day, []time.Duration{21 * day, 7 * day, day}, func(o *controlplane.Options) { o.AutoRenew = false }, "auto-renew-off"},
		"the customer's key":   {90 * day, 22 * day, []time.Duration{21 * day, 7 * day, day}, func(o *controlplane.Options) { o.CSRPEM = csr(t, "example.com") }, "certificate-expiring"},
		"off, and a short one": {6 * day, 37 * hour, []time.Duration{36 * hour, 14 * hour}, func(o *controlplane.Options) { o.AutoRenew = false }, "auto-renew-off"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.ca.lives(tt.life)
			if tt.change == nil {
				tt.change = func(*controlplane.Options) {}
			}
			d := w.active("example.com", tt.change)
			if n := w.warnAt(d, tt.before); n != 0 {
				t.Errorf("%d warnings with %s left", n, tt.before)
			}
			for i, left := range tt.warnings {
				for range 2 {
					w.warnAt(d, left)
				}
				if n := w.count(d.ID, controlplane.ActionCertificateEnding); n != i+1 {
					t.Errorf("with %s left: told %d times, want %d", left, n, i+1)
				}
				c := wantCondition(t, w.domain(d), controlplane.RenewalOnTrack, "false", controlplane.Reason(tt.reason))
				if strings.Count(c.Message, "The certificate ends at "+d.ExpiresAt.Format("15:04 MST")) != 1 || c.Fix == "" {
					t.Errorf("%+v", c)
				}
				if e := w.last(d.ID); e.Action != controlplane.ActionCertificateEnding || e.Details["reason"] != tt.reason || e.Details["certificate_id"] != d.CertificateID ||
					e.Details["hours_left"] != float64(left/hour) || e.Details["days_left"] != float64(left/day) || e.Details["expires_at"] != d.ExpiresAt.Format(time.RFC3339) {
					t.Errorf("with %s left: %s", left, toJSON(e))
				}
				wantStatus(t, w.domain(d), controlplane.DomainActive, "")
			}
			w.warnAt(d, time.Minute)
			if n := w.warnAt(d, 0); n != 0 {
				t.Error("an end is no warning")
			}
			if n := w.count(d.ID, controlplane.ActionCertificateEnding); n != len(tt.warnings) {
				t.Errorf("told %d times in all", n)
			}
		})
	}
}

// The reason for which a renewal fails is the warning's; the renewal ends it all.
func TestWarnSaysWhyAndARenewalEndsIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.active("example.com")
	w.ca.refuse(map[string]verdict{"primary": says(controlplane.VerdictRejected)})
	w.clock.set(d.ExpiresAt.Add(-7 * day))
	if n, err := w.Sweep(t.Context()); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	w.run(d, controlplane.JobRenewal)
	if n := w.warnAt(d, 7*day); n != 1 {
		t.Errorf("%d warnings", n)
	}
	c := wantCondition(t, w.domain(d), controlplane.RenewalOnTrack, "false", "ca-rejected")
	if e := w.last(d.ID); e.Details["reason"] != "ca-rejected" || !strings.HasPrefix(c.Message, "The CA says rejected. The certificate ends at ") {
		t.Errorf("%s, %s", toJSON(e), c.Message)
	}
	if n := w.expiring(); n != 1 {
		t.Errorf("%d certificates are inside the alarm line", n)
	}
	w.ca.answer(nil)
	w.runDue(d, controlplane.JobRenewal)
	d = w.domain(d)
	wantCondition(t, d, controlplane.RenewalOnTrack, "true", "scheduled")
	if n := w.expiring(); n != 0 {
		t.Errorf("%d certificates are inside the alarm line after the renewal", n)
	}
	if n := w.warnAt(d, 30*day); n != 0 {
		t.Errorf("%d warnings of the new certificate", n)
	}
	if n := w.warnAt(d, 20*day); n != 1 {
		t.Errorf("%d warnings of the new certificate, 20 days before its end", n)
	}
}

func (w *world) expiring() int {
	w.t.Helper()
	counts, err := w.Store.CountExpiring(w.t.Context())
	must(w.t, err)
	n := 0
	for _, c := range counts {
		n += c.Count
	}
	return n
}

// Two replicas that warn at once tell of each certificate once.
func TestWarnByTwoReplicas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const n = 25
	for i := range n {
		w.active(fmt.Sprintf("d%d.example.com", i))
	}
	store, err := postgres.Open(t.Context(), postgres.Config{DSN: w.dsn, MaxConns: 4})
	must(t, err)
	t.Cleanup(store.Close)
	config := w.Config
	config.Store = store
	other, err := lifecycle.New(config)
	must(t, err)
	w.clock.set(start.Add(84 * day))
	var told atomic.Int64
	var wg sync.WaitGroup
	for _, s := range []*lifecycle.Service{w.Service, other} {
		wg.Go(func() {
			for range 5 {
				got, err := s.Warn(t.Context())
				if err != nil {
					t.Error(err)
				}
				told.Add(int64(got))
			}
		})
	}
	wg.Wait()
	if got := value[int](w, `SELECT count(DISTINCT entity_id) FROM audit_logs WHERE action = $1`, controlplane.ActionCertificateEnding); got != n || told.Load() != n {
		t.Errorf("%d of %d domains were told of, %d were counted", got, n, told.Load())
	}
	if got := value[int](w, `SELECT count(*) FROM audit_logs WHERE action = $1`, controlplane.ActionCertificateEnding); got != n {
		t.Errorf("%d entries for %d domains", got, n)
	}
}

// A domain of the version before has no time of its next warning, or that of a certificate
// that was replaced since: the first look finds out, and tells of what is due.
func TestWarnTakesOverFromTheVersionBefore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.active("example.com")
	for what, sql := range map[string]string{"never set": `UPDATE domains SET warn_at = NULL`, "that of another": `UPDATE domains SET warn_at = '2026-03-01'`} {
		w.exec(sql)
		if n := w.warnAt(d, 80*day); n != 0 {
			t.Errorf("%s: %d warnings, 80 days before the end", what, n)
		}
		if at := value[time.Time](w, `SELECT warn_at FROM domains`); !at.Equal(d.ExpiresAt.Add(-21 * day)) {
			t.Errorf("%s: looked at next at %s", what, at)
		}
	}
	w.exec(`UPDATE domains SET warn_at = NULL`)
	if n := w.warnAt(d, 3*day); n != 1 || w.expiring() != 1 {
		t.Errorf("%d warnings 3 days before the end, %d inside the alarm line", n, w.expiring())
	}
	if n := w.warnAt(d, 2*day); n != 0 {
		t.Errorf("%d warnings more", n)
	}
}

// Whether renewal is switched on or off: the plan that is shown follows, also near the end.
func TestWarningsGiveWayToTheSwitch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.active("example.com")
	w.warnAt(d, 7*day)
	for _, on := range []bool{false, true} {
		_, err := w.UpdateDomain(t.Context(), alice, w.org, d.ID, 0, lifecycle.DomainPatch{AutoRenew: &on})
		must(t, err)
		want := map[bool]controlplane.Reason{false: "auto-renew-off", true: "scheduled"}[on]
		if c := w.domain(d).Condition(controlplane.RenewalOnTrack); c.Reason != want {
			t.Errorf("with renewal %v: %+v", on, c)
		}
	}
}
