package lifecycle_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// warnAt moves the clock to the given time before the certificate expires, and warns.
func (w *world) warnAt(d *controlplane.Domain, left time.Duration) int {
	w.t.Helper()
	w.clock.set(d.ExpiresAt.Add(-left))
	n, err := w.Warn(w.t.Context())
	must(w.t, err)
	return n
}

// A certificate that is not renewed gives one event at each of its warnings, for any way of
// renewal.
func TestWarnOnceAtEachThreshold(t *testing.T) {
	t.Parallel()
	const hour = time.Hour
	for name, tt := range map[string]struct {
		life, before time.Duration // before: a time before the first warning
		warnings     []time.Duration
		change       func(*controlplane.Options)
		reason       string
	}{
		"90 days": {90 * day, 22 * day, []time.Duration{21 * day, 7 * day, day}, nil,
			"certificate-expiring"},
		"45 days": {45 * day, 11 * day, []time.Duration{252 * hour, 7 * day, day}, nil,
			"certificate-expiring"},
		"6 days": {6 * day, 37 * hour, []time.Duration{36 * hour, 14 * hour}, nil,
			"certificate-expiring"},
		"renewal off": {90 * day, 22 * day, []time.Duration{21 * day, 7 * day, day},
			func(o *controlplane.Options) { o.AutoRenew = false }, "auto-renew-off"},
		"CSR": {90 * day, 22 * day, []time.Duration{21 * day, 7 * day, day},
			func(o *controlplane.Options) { o.CSRPEM = csr(t, "example.com") },
			"certificate-expiring"},
		"renewal off, 6 days": {6 * day, 37 * hour, []time.Duration{36 * hour, 14 * hour},
			func(o *controlplane.Options) { o.AutoRenew = false }, "auto-renew-off"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.ca.lives(tt.life)
			if tt.change == nil {
				tt.change = func(*controlplane.Options) {}
			}
			d := w.active("example.com", tt.change)
			if n := w.warnAt(d, tt.before); n != 0 {
				t.Errorf("Warn with %s left = %d, want 0", tt.before, n)
			}
			for i, left := range tt.warnings {
				for range 2 {
					w.warnAt(d, left)
				}
				if n := w.count(d.ID, controlplane.ActionCertificateEnding); n != i+1 {
					t.Errorf("%d warnings with %s left, want %d", n, left, i+1)
				}
				c := wantCondition(t, w.domain(d), controlplane.RenewalOnTrack,
					"false", controlplane.Reason(tt.reason))
				if c.Message == "" || c.Fix == "" {
					t.Errorf("RenewalOnTrack = %+v, want a message and a fix", c)
				}
				if e := w.last(d.ID); e.Action != controlplane.ActionCertificateEnding ||
					e.Details["reason"] != tt.reason ||
					e.Details["certificate_id"] != d.CertificateID ||
					e.Details["hours_left"] != float64(left/hour) ||
					e.Details["days_left"] != float64(left/day) ||
					e.Details["expires_at"] != d.ExpiresAt.Format(time.RFC3339) {
					t.Errorf("last entry with %s left = %s, want the reason and the time left",
						left, toJSON(e))
				}
				wantStatus(t, w.domain(d), controlplane.DomainActive, "")
			}
			w.warnAt(d, time.Minute)
			if n := w.warnAt(d, 0); n != 0 {
				t.Errorf("Warn at the expiry = %d, want 0", n)
			}
			if n := w.count(d.ID, controlplane.ActionCertificateEnding); n != len(tt.warnings) {
				t.Errorf("%d warnings in all, want %d", n, len(tt.warnings))
			}
		})
	}
}

// A warning contains the reason for which the renewal fails. A renewal ends the warnings.
func TestWarnShowsTheReasonUntilTheRenewal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.active("example.com")
	w.ca.rejectAll(verdictOf(controlplane.VerdictRequest))
	w.clock.set(d.ExpiresAt.Add(-7 * day))
	if n, err := w.Sweep(t.Context()); n != 1 || err != nil {
		t.Fatalf("Sweep = %d, %v, want 1", n, err)
	}
	w.run(d, controlplane.JobRenewal)
	if n := w.warnAt(d, 7*day); n != 1 {
		t.Errorf("Warn = %d, want 1", n)
	}
	c := wantCondition(t, w.domain(d), controlplane.RenewalOnTrack, "false", "ca-request")
	if want := "The CA says request."; c.Message != want {
		t.Errorf("RenewalOnTrack: message = %q, want %q", c.Message, want)
	}
	message := "The CA says request. The certificate expires at " +
		d.ExpiresAt.Format("15:04 MST, 2 January 2006") + "."
	if e := w.last(d.ID); e.Details["reason"] != "ca-request" || e.Details["message"] != message {
		t.Errorf("last entry = %s, want the reason ca-rejected and the message %q", toJSON(e),
			message)
	}
	if n := w.expiring(); n != 1 {
		t.Errorf("%d expiring certificates, want 1", n)
	}
	w.ca.answer(nil)
	w.runDue(d, controlplane.JobRenewal)
	d = w.domain(d)
	wantCondition(t, d, controlplane.RenewalOnTrack, "true", "scheduled")
	if n := w.expiring(); n != 0 {
		t.Errorf("%d expiring certificates after the renewal, want 0", n)
	}
	if n := w.warnAt(d, 30*day); n != 0 {
		t.Errorf("Warn for the new certificate = %d, want 0", n)
	}
	if n := w.warnAt(d, 20*day); n != 1 {
		t.Errorf("Warn 20 days before the new certificate expires = %d, want 1", n)
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

// Two replicas that warn at the same time log one event per certificate.
func TestWarnOnTwoReplicas(t *testing.T) {
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
	var warned atomic.Int64
	var wg sync.WaitGroup
	for _, s := range []*lifecycle.Service{w.Service, other} {
		wg.Go(func() {
			for range 5 {
				got, err := s.Warn(t.Context())
				if err != nil {
					t.Error(err)
				}
				warned.Add(int64(got))
			}
		})
	}
	wg.Wait()
	if got := value[int](w, `SELECT count(DISTINCT entity_id) FROM audit_logs WHERE action = $1`,
		controlplane.ActionCertificateEnding); got != n || warned.Load() != n {
		t.Errorf("%d of %d domains have a warning, %d were counted", got, n, warned.Load())
	}
	if got := value[int](w, `SELECT count(*) FROM audit_logs WHERE action = $1`,
		controlplane.ActionCertificateEnding); got != n {
		t.Errorf("%d warnings for %d domains, want one each", got, n)
	}
}

// A domain of an older version has no time of its next warning, or that of a previous certificate.
// The first run sets it and logs a warning that is due.
func TestWarnSetsMissingTimes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.active("example.com")
	for name, sql := range map[string]string{"not set": `UPDATE domains SET warn_at = NULL`,
		"previous certificate": `UPDATE domains SET warn_at = '2026-03-01'`} {
		w.exec(sql)
		if n := w.warnAt(d, 80*day); n != 0 {
			t.Errorf("%s: Warn 80 days before the expiry = %d, want 0", name, n)
		}
		if at := value[time.Time](w, `SELECT warn_at FROM domains`); !at.Equal(
			d.ExpiresAt.Add(-21 * day)) {
			t.Errorf("%s: next warning at %s, want 21 days before the expiry", name, at)
		}
	}
	w.exec(`UPDATE domains SET warn_at = NULL`)
	if n := w.warnAt(d, 3*day); n != 1 || w.expiring() != 1 {
		t.Errorf("Warn 3 days before the expiry = %d with %d expiring certificates, want 1 of each",
			n, w.expiring())
	}
	if n := w.warnAt(d, 2*day); n != 0 {
		t.Errorf("Warn 2 days before the expiry = %d, want 0", n)
	}
}

// A change of auto_renew is shown also shortly before the certificate expires.
func TestAutoRenewReplacesAWarning(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.active("example.com")
	w.warnAt(d, 7*day)
	for _, on := range []bool{false, true} {
		_, err := w.UpdateDomain(t.Context(), alice, w.org, d.ID, 0,
			lifecycle.DomainPatch{AutoRenew: &on})
		must(t, err)
		want := map[bool]controlplane.Reason{false: "auto-renew-off", true: "scheduled"}[on]
		if c := w.domain(d).Condition(controlplane.RenewalOnTrack); c.Reason != want {
			t.Errorf("RenewalOnTrack with auto_renew %v = %+v, want the reason %s", on, c, want)
		}
	}
}
