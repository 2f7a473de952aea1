package lifecycle_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// The certificate of an order that was set aside is kept in the history if another one was stored
// first.
func TestLateCertificateIsHistory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.aside("example.com")
	current, events := d.CertificateID, len(w.events(d.ID))
	for i := range 5 {
		before := w.clock.Now()
		w.collect(1)
		if wait := w.clock.Now().Sub(before); wait > 30*time.Minute || wait < time.Minute {
			t.Errorf("poll %d came after %s, want between 1 and 30 minutes", i, wait)
		}
	}
	w.ca.collect(func(o *controlplane.Order) (*controlplane.Certificate, error) {
		if o.Step != controlplane.StepFinalized {
			t.Errorf("Collect was called at step %s, want finalised", o.Step)
		}
		return w.ca.issue(o, 90*day), nil
	})
	w.collect(1)
	d = w.domain(d)
	if d.CertificateID != current || len(w.events(d.ID)) != events {
		t.Errorf("domain = %+v with events %q, want its certificate %s unchanged", d,
			w.events(d.ID), current)
	}
	o := w.ca.order(0)
	id := value[string](w, `SELECT id FROM certificates WHERE order_id = $1`, o.ID)
	late := w.certificate(id)
	if late.ReplacedBy != current || late.CA != "primary" {
		t.Errorf("late certificate = %+v, want one that %s replaced", late, current)
	}
	if key, err := w.TakeKey(t.Context(), alice, w.org, id); err != nil || key != "key of "+o.ID {
		t.Errorf("TakeKey = %q, %v, want the key of the order", key, err)
	}
	if got, want := w.steps(d), []string{"primary stored", "backup stored"}; !slices.Equal(got,
		want) {
		t.Errorf("orders = %q, want %q", got, want)
	}
}

// The certificate of an order that was set aside becomes current if the domain still waits for one.
// The queued job is completed.
func TestCollectedCertificateIsCurrent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.issuing("example.com")
	away := verdictOf(controlplane.VerdictUnreachable)
	w.ca.stuck("primary", controlplane.StepFinalized, away)
	stuck := w.ca.answers
	w.ca.answer(func(ctx context.Context, o *controlplane.Order, j controlplane.Journal) error {
		if o.CA == "backup" {
			return away
		}
		return stuck(ctx, o, j)
	})
	j := w.run(d, controlplane.JobStartIssuance)
	wantJob(t, j, controlplane.JobQueued, "ca-unreachable", 0)
	w.ca.collect(func(o *controlplane.Order) (*controlplane.Certificate, error) {
		return w.ca.issue(o, 90*day), nil
	})
	w.clock.add(10 * time.Minute)
	if n, err := w.CollectOrders(t.Context()); err != nil || n != 2 {
		t.Errorf("CollectOrders = %d, %v, want 2: one was never placed", n, err)
	}
	d = w.domain(d)
	wantStatus(t, d, controlplane.DomainActive, "")
	wantCondition(t, d, controlplane.CertificateReady, "true", "issued")
	wantCondition(t, d, controlplane.RenewalOnTrack, "true", "scheduled")
	j = w.job(d, controlplane.JobStartIssuance)
	wantJob(t, j, controlplane.JobSucceeded, "", 0)
	if j.Result["certificate_id"] != d.CertificateID ||
		w.certificate(d.CertificateID).CA != "primary" {
		t.Errorf("job result = %v, want the certificate of primary", j.Result)
	}
	if e := w.last(d.ID); e.Action != controlplane.ActionCertificateIssued {
		t.Errorf("last event = %s, want %s", e.Action, controlplane.ActionCertificateIssued)
	}
	if n := value[int](w, `SELECT count(*) FROM challenges`); n != 0 {
		t.Errorf("%d challenges are left, want 0", n)
	}
	if at := value[*time.Time](w, `SELECT ari_check_at FROM domains`); at == nil {
		t.Error("no renewal information will be fetched")
	}
}

// collectDuringBackup lets the order at primary get stuck after it is finalized. Its certificate is
// collected while the job orders another one at backup, which returns the error.
func (w *world) collectDuringBackup(backup error) {
	w.ca.stuck("primary", controlplane.StepFinalized, verdictOf(controlplane.VerdictUnreachable))
	stuck := w.ca.answers
	w.ca.collect(func(o *controlplane.Order) (*controlplane.Certificate, error) {
		return w.ca.issue(o, 90*day), nil
	})
	w.ca.answer(func(ctx context.Context, o *controlplane.Order, j controlplane.Journal) error {
		if o.CA == "backup" {
			w.clock.add(3 * time.Minute)
			_, err := w.CollectOrders(ctx)
			return errors.Join(err, backup)
		}
		return stuck(ctx, o, j)
	})
}

// If the certificate arrives while the job orders another one, that one is kept in the history.
func TestSecondCertificateOfARunIsHistory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.issuing("example.com")
	w.collectDuringBackup(nil)
	j := w.run(d, controlplane.JobStartIssuance)
	wantJob(t, j, controlplane.JobSucceeded, "", 0)
	d = w.domain(d)
	wantStatus(t, d, controlplane.DomainActive, "")
	if w.certificate(d.CertificateID).CA != "primary" ||
		j.Result["certificate_id"] != d.CertificateID {
		t.Errorf("current certificate = %+v, result %v, want the first one, of primary",
			w.certificate(d.CertificateID), j.Result)
	}
	if n := value[int](w, `SELECT count(*) FROM certificates WHERE ca = 'backup' AND replaced_by = $1`,
		d.CertificateID); n != 1 {
		t.Errorf("%d certificates of backup in the history, want 1", n)
	}
}

// If the certificate arrives while a run is in progress that then fails, the job's next run ends.
func TestJobEndsWithTheCollectedCertificate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.issuing("example.com")
	w.collectDuringBackup(verdictOf(controlplane.VerdictUnreachable))
	wantJob(t, w.run(d, controlplane.JobStartIssuance), controlplane.JobQueued, "ca-unreachable",
		0)
	runs := len(w.ca.runs())
	wantJob(t, w.runDue(d, controlplane.JobStartIssuance), controlplane.JobSucceeded, "", 0)
	if n := len(w.ca.runs()); n != runs {
		t.Errorf("%d further runs of orders, want 0", n-runs)
	}
	wantStatus(t, w.domain(d), controlplane.DomainActive, "")
}

// A certificate for options that changed meanwhile is kept, but not as the current one.
func TestCollectedCertificateForOtherOptions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.aside("example.com")
	current := d.CertificateID
	wild := true
	_, err := w.UpdateDomain(t.Context(), alice, w.org, d.ID, 0,
		lifecycle.DomainPatch{Wildcard: &wild})
	must(t, err)
	w.ca.collect(func(o *controlplane.Order) (*controlplane.Certificate, error) {
		return w.ca.issue(o, 90*day), nil
	})
	w.collect(1)
	if got := w.domain(d); got.CertificateID != current ||
		value[int](w, `SELECT count(*) FROM certificates`) != 2 {
		t.Errorf("domain = %+v, want the certificate %s, and another one in the history", got,
			current)
	}
}

// An order that was set aside is closed when the CA says that it is over, or when it expires.
func TestSetAsideOrderEnds(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		say   verdict
		after time.Duration
	}{"invalid": {refuses(controlplane.VerdictOrderGone), 0},
		"expired": {verdictOf(controlplane.VerdictSlow), 8 * day}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			d := w.aside("example.com")
			w.ca.collect(func(*controlplane.Order) (*controlplane.Certificate, error) {
				return nil, tt.say
			})
			w.clock.add(tt.after)
			w.clock.add(time.Hour)
			if n, err := w.CollectOrders(t.Context()); n != 1 || err != nil {
				t.Errorf("CollectOrders = %d, %v, want 1", n, err)
			}
			if got, want := w.steps(d), []string{"primary failed", "backup stored"}; !slices.Equal(
				got, want) {
				t.Errorf("orders = %q, want %q", got, want)
			}
			if n, err := w.CollectOrders(t.Context()); n != 0 || err != nil {
				t.Errorf("CollectOrders again = %d, %v, want 0", n, err)
			}
		})
	}
}

// The challenges of an order that stays open longer than their lifetime remain published, in
// progress and set aside.
func TestChallengesOfALongOrderStayPublished(t *testing.T) {
	t.Parallel()
	for name, cas := range map[string]int{"in progress": 1, "set aside": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.ca.names = w.ca.names[:cas]
			d := w.issuing("example.com")
			w.ca.stuck("primary", controlplane.StepAccepted, w.slow(day))
			stuck := w.ca.answers
			w.ca.answer(func(ctx context.Context, o *controlplane.Order,
				j controlplane.Journal) error {
				if o.CA == "backup" { // is as slow
					o.OrderURL = "https://ca.example/backup"
					return errors.Join(j.Save(ctx, o), w.slow(day))
				}
				return stuck(ctx, o, j)
			})
			began := w.clock.Now()
			for w.clock.Now().Sub(began) < 3*time.Hour {
				w.runDue(d, controlplane.JobStartIssuance)
				if _, err := w.CollectOrders(t.Context()); err != nil {
					t.Fatal(err)
				}
				must(t, w.Tidy(t.Context()))
				_, values, err := w.Store.LookupTarget(t.Context(), d.Target, w.clock.Now())
				if err != nil || !slices.ContainsFunc(values, func(v controlplane.Challenge) bool {
					return v.Value == "value-of-"+w.ca.order(0).ID
				}) {
					t.Fatalf("after %s: LookupTarget = %+v, %v, want the value of the order",
						w.clock.Now().Sub(began), values, err)
				}
			}
		})
	}
}

// Orders that were set aside are deleted with their domain. Their polls do nothing then.
func TestSetAsideOrderOfADeletedDomain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.aside("example.com")
	w.ca.collect(func(o *controlplane.Order) (*controlplane.Certificate, error) {
		must(t, w.DeleteDomain(t.Context(), alice, w.org, d.ID, 0))
		return w.ca.issue(o, 90*day), nil
	})
	w.collect(1)
	if n := value[int](w,
		`SELECT (SELECT count(*) FROM certificates) + (SELECT count(*) FROM acme_orders)`); n != 0 {
		t.Errorf("%d rows are left, want 0", n)
	}
}
