package lifecycle_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// accountsAt gives the CA accounts, for new orders.
func (i *issuer) accountsAt(ca string, names ...string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.accounts = map[string][]string{ca: names}
}

// accountsOf returns the accounts, at their CAs, with which orders were run since the nth.
func (i *issuer) accountsOf(n int) []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	var out []string
	for _, o := range i.orders[n:] {
		out = append(out, controlplane.AccountRef(o.CA, o.Account))
	}
	return out
}

// rejectBy makes the CAs return the given verdicts to accounts, by AccountRef.
func (i *issuer) rejectBy(by map[string]verdict) {
	i.answer(func(_ context.Context, o *controlplane.Order, _ controlplane.Journal) error {
		if v, ok := by[controlplane.AccountRef(o.CA, o.Account)]; ok {
			v.CA = o.CA
			return v
		}
		return nil
	})
}

// renew runs the due renewal of a domain and returns the accounts that got its orders.
func (w *world) renew(d *controlplane.Domain) []string {
	w.t.Helper()
	n := len(w.ca.runs())
	w.clock.set(w.domain(d).RenewAt.Add(time.Minute))
	if _, err := w.Sweep(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	wantJob(w.t, w.runDue(d, controlplane.JobRenewal), controlplane.JobSucceeded, "", 0)
	return w.ca.accountsOf(n)
}

// A renewal stays with the account that ordered the certificate, and only that account names the
// certificate that it replaces. If the account gets no orders, another one of the CA is used before
// another CA.
func TestDomainStaysWithItsAccount(t *testing.T) {
	t.Parallel()
	w, g := newGoverned(t)
	w.ca.accountsAt("primary", "b", "c")
	d := w.active("example.com")
	if got := w.ca.accountsOf(0); !slices.Equal(got, []string{"primary/b"}) {
		t.Fatalf("orders at %q, want the account that the governor chose", got)
	}
	first := w.certificate(w.domain(d).CertificateID)
	if first.Account != "b" {
		t.Errorf("account of the certificate = %q, want b", first.Account)
	}
	w.ca.accountsAt("primary", "c", "b")
	if got := w.renew(d); !slices.Equal(got, []string{"primary/b"}) {
		t.Errorf("renewal at %q, want the account of the certificate", got)
	}
	if q := g.requests[len(g.requests)-1]; q.Account != "b" ||
		!slices.Equal(q.Accounts, []string{"c", "b"}) || q.Stay == 0 {
		t.Errorf("Reserve was called with %+v, want the account b of two, with a time to stay", q)
	}
	if o := w.ca.order(1); o.Replaces != first.ARIID {
		t.Errorf("order replaces %q, want %q", o.Replaces, first.ARIID)
	}

	must(t, w.HoldCA(t.Context(), operator, "primary/b", "", nil))
	if got := w.renew(d); !slices.Equal(got, []string{"primary/c"}) {
		t.Errorf("renewal at %q, want the other account of the CA", got)
	}
	if o := w.ca.order(2); o.Replaces != "" {
		t.Errorf("order of another account replaces %q, want nothing", o.Replaces)
	}
	if q := g.requests[len(g.requests)-1]; q.Account != "" || q.Replaces {
		t.Errorf("Reserve was called with %+v, want no account to stay with", q)
	}
	if _, err := w.ReleaseCA(t.Context(), operator, "primary/b"); err != nil {
		t.Fatal(err)
	}
	if got := w.renew(d); !slices.Equal(got, []string{"primary/c"}) {
		t.Errorf("renewal after the hold at %q, want the account of the new certificate", got)
	}

	must(t, w.HoldCA(t.Context(), operator, "primary", "", nil))
	if got := w.renew(d); !slices.Equal(got, []string{"backup/default"}) {
		t.Errorf("renewal during a hold of the CA at %q, want the other CA", got)
	}
}

// Orders go to another account of the CA if the CA rejects the account or has paused the name for
// it, in the same run. What no account can change leads to the next CA.
func TestOrdersMoveToAnotherAccount(t *testing.T) {
	t.Parallel()
	unusable, paused, policy := refuses(controlplane.VerdictAccount),
		refuses(controlplane.VerdictPaused), refuses(controlplane.VerdictPolicy)
	unusable.Code, unusable.AccountUnusable = controlplane.ReasonCAAccount, true
	paused.Code = controlplane.ReasonCAPaused
	for name, tt := range map[string]struct {
		by           map[string]verdict
		first, again []string // the orders of the first domain, and those of another one
	}{
		"rejected account": {map[string]verdict{"primary/b": unusable},
			[]string{"primary/b", "primary/c"}, []string{"primary/c"}},
		"all rejected": {map[string]verdict{"primary/b": unusable, "primary/c": unusable},
			[]string{"primary/b", "primary/c", "backup/default"}, []string{"backup/default"}},
		"paused name": {map[string]verdict{"primary/b": paused},
			[]string{"primary/b", "primary/c"}, []string{"primary/b", "primary/c"}},
		"policy": {map[string]verdict{"primary/b": policy},
			[]string{"primary/b", "backup/default"}, []string{"primary/b", "backup/default"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.ca.accountsAt("primary", "b", "c")
			w.ca.rejectBy(tt.by)
			for i, want := range [][]string{tt.first, tt.again} {
				n := len(w.ca.runs())
				d := w.issuing([]string{"a.example.com", "b.example.net"}[i])
				wantJob(t, w.run(d, controlplane.JobStartIssuance), controlplane.JobSucceeded, "", 0)
				if got := w.ca.accountsOf(n); !slices.Equal(got, want) {
					t.Errorf("orders of domain %d at %q, want %q", i+1, got, want)
				}
			}
		})
	}
}

// An order keeps its account: a worker that takes it over uses the same one, even if it is on hold
// or no longer configured.
func TestResumedOrderKeepsItsAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ca.accountsAt("primary", "b", "c")
	w.ca.rejectAll(verdict{Class: controlplane.VerdictInterrupted})
	d := w.issuing("example.com")
	w.run(d, controlplane.JobStartIssuance)
	w.ca.answer(nil)
	w.ca.accountsAt("primary", "c")
	must(t, w.HoldCA(t.Context(), operator, "primary/b", "", nil))
	w.clock.add(time.Hour)
	wantJob(t, w.runDue(d, controlplane.JobStartIssuance), controlplane.JobSucceeded, "", 0)
	if got := w.ca.accountsOf(0); !slices.Equal(got, []string{"primary/b", "primary/b"}) {
		t.Errorf("runs with %q, want the account of the order", got)
	}
	if a, b := w.ca.order(0), w.ca.order(1); a.ID != b.ID {
		t.Errorf("orders %s and %s, want one", a.ID, b.ID)
	}
}

// The account that ordered a certificate revokes it.
func TestRevokeWithTheAccount(t *testing.T) {
	t.Parallel()
	w, r := newRevoking(t)
	w.ca.accountsAt("primary", "b", "c")
	d := w.active("example.com")
	w.ca.accountsAt("primary", "c")
	_, _, err := w.RevokeCertificate(t.Context(), alice, w.org, d.CertificateID, "superseded", false)
	must(t, err)
	wantJob(t, w.run(d, controlplane.JobRevocation), controlplane.JobSucceeded, "", 0)
	if !slices.Equal(r.by, []string{"b"}) {
		t.Errorf("revoked by %q, want the account of the certificate", r.by)
	}
}

// An account that CAA records exclude gets no orders of the domain. If they exclude all, the next
// CA is used.
func TestAccountsThatCAAExcludes(t *testing.T) {
	t.Parallel()
	for want, excluded := range map[string][]string{"primary/c": {"b"},
		"backup/default": {"b", "c"}} {
		w := newWorld(t)
		w.ca.accountsAt("primary", "b", "c")
		w.doctor.caa = []controlplane.CAAFinding{{CA: "primary", Allowed: true,
			ForbiddenAccounts: excluded}}
		w.active("example.com")
		if got := w.ca.accountsOf(0); !slices.Equal(got, []string{want}) {
			t.Errorf("orders at %q, want %s without %q", got, want, excluded)
		}
	}
}
