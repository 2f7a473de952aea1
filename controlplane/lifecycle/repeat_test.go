package lifecycle_test

import (
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres/postgrestest"
)

// changesNothing calls fn later than everything before, and fails the test if it changes a row of
// the organization.
func (w *world) changesNothing(what string, fn func() error) {
	w.t.Helper()
	w.clock.add(time.Second)
	before := postgrestest.RowsOf(w.t, w.dsn, w.org)
	if err := fn(); err != nil {
		w.t.Errorf("%s = %v, want no error", what, err)
	}
	if diff := postgrestest.RowsOf(w.t, w.dsn, w.org).Diff(before); diff != "" {
		w.t.Errorf("%s changed rows:\n%s", what, diff)
	}
}

// A patch that sets what is already set changes nothing, in any state of the domain.
func TestUpdateDomainWithTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	labeled := func(o *controlplane.Options) { o.Labels = map[string]string{"team": "web"} }
	waiting := func(o *controlplane.Options) { o.AutoIssue = false }
	no := func(o *controlplane.Options) { o.AutoRenew = false }
	for _, d := range []*controlplane.Domain{w.add("new.example.com", waiting),
		w.active("active.example.com", labeled), w.active("manual.example.com", no)} {
		o := w.domain(d).Options
		w.changesNothing("UpdateDomain("+d.Name+")", func() error {
			_, err := w.UpdateDomain(t.Context(), alice, w.org, d.ID, 0, lifecycle.DomainPatch{
				Wildcard: &o.Wildcard, KeyType: &o.KeyType, Profile: &o.Profile,
				PreferredChain: &o.PreferredChain, CA: &o.CA, AutoIssue: &o.AutoIssue,
				AutoRenew: &o.AutoRenew, Labels: &o.Labels})
			return err
		})
	}
	none := map[string]string{}
	w.changesNothing("UpdateDomain without labels", func() error {
		_, err := w.UpdateDomain(t.Context(), alice, w.org, "manual.example.com", 0,
			lifecycle.DomainPatch{Labels: &none})
		return err
	})
	_, err := w.UpdateDomain(t.Context(), alice, w.org, "active.example.com", 0,
		lifecycle.DomainPatch{Labels: &none})
	must(t, err)
	if d := w.domain(&controlplane.Domain{OrgID: w.org, ID: "active.example.com"}); len(
		d.Labels) != 0 {
		t.Errorf("labels = %v, want none", d.Labels)
	}
}

// A repeated revocation orders no second certificate and leaves the domain alone.
func TestRevokeCertificateAgain(t *testing.T) {
	t.Parallel()
	for _, reason := range []string{"superseded", "keyCompromise"} {
		w, _ := newRevoking(t)
		d := w.active("example.com")
		revoke := func() error {
			_, _, err := w.RevokeCertificate(t.Context(), alice, w.org, d.CertificateID, reason,
				reason == "superseded")
			return err
		}
		must(t, revoke())
		if w.domain(d).Version == d.Version {
			t.Errorf("%s: RevokeCertificate did not order a replacement", reason)
		}
		w.changesNothing("RevokeCertificate("+reason+") again", revoke)
	}
}

// A repeated redelivery changes nothing until the first attempt.
func TestRedeliverAgain(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	w := newHooked(t, r)
	hook, _ := w.hook(r, controlplane.ActionDomainCreated)
	w.add("a.example.com")
	w.add("b.example.com")
	for _, d := range w.deliveries(hook) {
		must(t, w.deliver(&d))
	}
	w.clock.add(time.Hour)
	one := w.deliveries(hook)[0]
	redeliver := func() error {
		_, err := w.Redeliver(t.Context(), alice, w.org, hook.ID, one.ID)
		return err
	}
	must(t, redeliver())
	w.changesNothing("Redeliver again", redeliver)
	all := func() error {
		n, _, err := w.RedeliverRange(t.Context(), alice, w.org, hook.ID, start, nil, true)
		if n != 2 {
			t.Errorf("RedeliverRange = %d events, want 2", n)
		}
		return err
	}
	must(t, all())
	w.changesNothing("RedeliverRange again", all)
	for _, d := range w.deliveries(hook) {
		must(t, w.deliver(&d))
	}
	if got := len(r.all()); got != 4 {
		t.Errorf("the receiver got %d requests, want 4", got)
	}
}
