package postgres_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// certified stores an active domain with a certificate that is valid from start.
func (d *db) certified(
	org, name string, life time.Duration, watch postgres.RenewalWatch,
) (*controlplane.Domain, *controlplane.Certificate) {
	d.t.Helper()
	dom, j := d.add(org, name)
	o := d.order(d.claim(j, "w"))
	cert := newCertificate(o)
	cert.NotAfter, cert.ARIID = start.Add(life), "ari-"+name
	d.must(d.InTx(d.t.Context(), func(tx *postgres.Tx) error {
		if err := tx.AddCertificate(d.t.Context(), cert, ""); err != nil {
			return err
		}
		if err := tx.CloseOrder(d.t.Context(), o, controlplane.StepStored, "",
			"", start); err != nil {
			return err
		}
		dom, err := tx.LockDomain(d.t.Context(), org, dom.ID)
		if err != nil {
			return err
		}
		renewAt := controlplane.RenewAt(cert.NotBefore, cert.NotAfter)
		dom.Status, dom.CertificateID, dom.ExpiresAt, dom.RenewAt = controlplane.DomainActive,
			cert.ID, &cert.NotAfter, &renewAt
		if err := tx.SaveDomain(d.t.Context(), dom, start); err != nil {
			return err
		}
		return tx.BeginRenewalWatch(d.t.Context(), org, dom.ID, watch)
	}))
	d.finish(j)
	dom, err := d.Domain(d.t.Context(), org, dom.ID)
	d.must(err)
	return dom, cert
}

const day = 24 * time.Hour

func TestDueWarningsOfUnexpiredCertificates(t *testing.T) {
	t.Parallel()
	d := open(t)
	for name, warn := range map[string]time.Duration{"later": 70 * day, "second": 69 * day,
		"first": 68 * day, "ended": 67 * day, "off": 66 * day} {
		d.certified(d.org, name+".example.com", 90*day,
			postgres.RenewalWatch{WarnAt: start.Add(warn)})
	}
	d.exec(`UPDATE certificates SET not_after = $1 WHERE ari_id = 'ari-ended.example.com'`,
		start.Add(69*day))
	d.exec(`UPDATE domains SET auto_renew = false WHERE name = 'off.example.com'`)
	d.certified(d.org, "unknown.example.com", 90*day, postgres.RenewalWatch{})
	d.exec(`UPDATE domains SET warn_at = NULL WHERE name = 'unknown.example.com'`)
	names := func(limit int) string {
		due, err := d.DueWarnings(t.Context(), start.Add(69*day), limit)
		d.must(err)
		var out []string
		for _, w := range due {
			out = append(out, value[string](d,
				`SELECT name FROM domains WHERE org_id = $1 AND id = $2 AND certificate_id = $3`,
				w.OrgID, w.DomainID, w.CertificateID))
			if !w.NotBefore.Equal(start) || !w.NotAfter.Equal(start.Add(90*day)) ||
				(w.WarnAt == nil) != strings.HasPrefix(out[len(out)-1], "unknown") {
				t.Errorf("DueWarnings returned %+v, want the times of its certificate", w)
			}
		}
		return strings.Join(out, " ")
	}
	if got := names(
		10); got != "unknown.example.com off.example.com first.example.com second.example.com" {
		t.Errorf("due are %s", got)
	}
	if got := names(2); got != "unknown.example.com off.example.com" {
		t.Errorf("the first two are %s", got)
	}
}

// One of many concurrent callers takes a warning, and only for a current certificate.
func TestTakeWarningConcurrently(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.certified(d.org, "example.com", 90*day, postgres.RenewalWatch{WarnAt: start})
	due, err := d.DueWarnings(t.Context(), start, 10)
	if err != nil || len(due) != 1 {
		t.Fatalf("DueWarnings = %+v, %v, want one", due, err)
	}
	stores := []*postgres.Store{d.Store, d.replica()}
	take := func(s *postgres.Store, w postgres.DueWarning, alarm bool) (ok bool) {
		d.must(s.InTx(t.Context(), func(tx *postgres.Tx) (err error) {
			ok, err = tx.TakeWarning(t.Context(), w, start.Add(day), alarm)
			return err
		}))
		return ok
	}
	var won count
	atOnce(8, func(i int) {
		if take(stores[i%2], due[0], false) {
			won.Add(1)
		}
	})
	if won.Load() != 1 {
		t.Errorf("%d took it", won.Load())
	}
	next := start.Add(day)
	for what, change := range map[string]func(*postgres.DueWarning){
		"another certificate's":  func(w *postgres.DueWarning) { w.CertificateID = "crt_x" },
		"another organization's": func(w *postgres.DueWarning) { w.OrgID = "org_x" },
		"an older reading":       func(w *postgres.DueWarning) { w.WarnAt = nil },
	} {
		w := due[0]
		w.WarnAt = &next
		change(&w)
		if take(d.Store, w, true) {
			t.Errorf("%s was taken", what)
		}
	}
	d.must(d.RescheduleWarnings(t.Context(),
		[]postgres.DueWarning{{OrgID: d.org, DomainID: due[0].DomainID, CertificateID: "crt_x"}},
		[]time.Time{start}))
	if at := value[time.Time](d, `SELECT warn_at FROM domains`); !at.Equal(next) {
		t.Errorf("looked at next at %s", at)
	}
	d.must(d.RescheduleWarnings(t.Context(), due, []time.Time{start.Add(2 * day)}))
	if at := value[time.Time](d, `SELECT warn_at FROM domains`); !at.Equal(start.Add(2 * day)) {
		t.Errorf("looked at next at %s", at)
	}
}

// Certificates inside the alarm line are counted by lifetime and by automatic renewal, until they
// are replaced.
func TestCountExpiring(t *testing.T) {
	t.Parallel()
	d := open(t)
	add := func(name string, life time.Duration, renew, alarm bool) {
		dom, cert := d.certified(d.org, name, life, postgres.RenewalWatch{WarnAt: start})
		d.exec(`UPDATE domains SET auto_renew = $2 WHERE id = $1`, dom.ID, renew)
		d.must(d.InTx(t.Context(), func(tx *postgres.Tx) error {
			_, err := tx.TakeWarning(t.Context(),
				postgres.DueWarning{OrgID: d.org, DomainID: dom.ID, CertificateID: cert.ID,
					WarnAt: &start}, start.Add(day), alarm)
			return err
		}))
	}
	for i := range 2 {
		add(fmt.Sprintf("long%d.example.com", i), 90*day, true, true)
	}
	add("manual.example.com", 90*day, false, true)
	add("short.example.com", 6*day, true, true)
	add("early.example.com", 90*day, true, false)
	want := func(long, manual, short int) {
		t.Helper()
		counts, err := d.CountExpiring(t.Context())
		d.must(err)
		got := map[postgres.Expiring]bool{}
		for _, c := range counts {
			got[c] = true
		}
		if !got[postgres.Expiring{AutoRenew: true, Count: long}] ||
			!got[postgres.Expiring{Count: manual}] || short > 0 &&
			!got[postgres.Expiring{ShortLived: true, AutoRenew: true, Count: short}] ||
			len(counts) > 3 {
			t.Errorf("CountExpiring = %+v, want %d renewed, %d manual, and %d short-lived", counts,
				long, manual, short)
		}
	}
	want(2, 1, 1)
	d.exec(`UPDATE domains SET status = 'error' WHERE name LIKE 'long%'`) // they have expired
	want(2, 1, 1)
	d.exec(`UPDATE domains SET certificate_id = 'crt_new' WHERE name IN ('long0.example.com', 'short.example.com')`)
	want(1, 1, 0)
}
