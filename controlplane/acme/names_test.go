package acme_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/acme"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
)

// The values of each name are at its target. A name and its wildcard share one.
func TestValuesAreAtTheTargetsOfTheirNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t, devstack.CAConfig{})
	e := w.engine(t, nil)
	o := w.order(t, e, "names.example.com", "*.names.example.org", "names.example.org",
		"www.names.example.com", "mail.names.example.com")
	o.Target = "apex"
	o.Targets = map[string]string{"names.example.org": "org", "www.names.example.com": "www"}
	j := w.journal(o)
	cert, err := e.Run(t.Context(), o, j)
	if err != nil {
		t.Fatal(err)
	}
	w.verify(t, cert, o)
	got := map[string]int{}
	for _, value := range j.stored.Values {
		got[value.Target]++
	}
	if want := map[string]int{"apex": 2, "org": 2, "www": 1}; !maps.Equal(got, want) {
		t.Errorf("values by target: %v, want %v", got, want)
	}
}

// hundred prepares an order for as many names as a certificate can have, each with its own target.
func (w *world) hundred(t testing.TB, e *acme.Engine) *controlplane.Order {
	t.Helper()
	names, targets := make([]string, 100), map[string]string{}
	for i := range names {
		names[i] = fmt.Sprintf("n%d.hundred.example.com", i)
		targets[names[i]] = fmt.Sprint("t", i)
	}
	o := w.order(t, e, names...)
	o.Targets = targets
	return o
}

// One run is enough for the most names that a certificate can have. It reads each authorization
// once, and accepts each challenge once. The polls are those of one order.
func TestOneRunIssuesForAHundredNames(t *testing.T) {
	t.Parallel()
	w, f := newFaultyWorld(t, devstack.CAConfig{})
	e := w.engine(t, nil)
	w.issue(t, e, "first.example.com")
	f.reset()
	o := w.hundred(t, e)
	names, j := o.Names, w.journal(o)
	cert, err := e.Run(t.Context(), o, j)
	if err != nil {
		t.Fatal(err)
	}
	w.verify(t, cert, o)
	if by := controlplane.ByTarget(j.stored.Values); len(by) != len(names) || j.pubs != 1 {
		t.Errorf("values at %d targets were published %d times, want 100 at once", len(by), j.pubs)
	}
	if n := f.requests(pathChallenge); n != len(names) {
		t.Errorf("requests to validate = %d, want %d", n, len(names))
	}
	// Each poll before the last one reads at least one authorization.
	if n := f.total(); n > 3*len(names) {
		t.Errorf("requests = %d, want at most %d", n, 3*len(names))
	}
}

// A CA that does not finish 100 validations gets a bounded number of requests in each run, and no
// second request to validate. The runs wait longer and longer.
func TestAHundredNamesThatLag(t *testing.T) {
	t.Parallel()
	w, f := newFaultyWorld(t, devstack.CAConfig{})
	c := newVirtual()
	e := w.engine(t, c.use)
	w.issue(t, e, "first.example.com")
	f.reset()
	f.on(pathChallenge, func(_ int, rw http.ResponseWriter, _ *http.Request, _ http.Handler) {
		rw.Header().Set("Content-Type", "application/json")
		rw.Header().Set("Link", `<https://ca.test/authz>;rel="up"`)
		_, _ = rw.Write([]byte(`{"type":"dns-01","status":"processing","token":"t","url":"https://ca.test/c"}`))
	})
	processing := false
	f.rewrite(pathAuthz, func(n int, authz map[string]any, _ http.Header) {
		if processing = processing || n > 100; processing {
			for _, challenge := range authz["challenges"].([]any) {
				challenge.(map[string]any)["status"] = "processing"
			}
		}
	})
	o := w.hundred(t, e)
	j := w.journal(o)
	const most = 100 + 40                                           // authorizations, and the polls of a run
	sent := func() int { return f.total() - f.requests(pathNonce) } // the fault has no nonces
	before := sent()
	for i, limit := range []int{100 + most, most, most} {
		_, err := e.Run(t.Context(), o, j)
		wantError(t, err, acme.Slow, "ca-slow")
		if n := sent() - before; n > limit {
			t.Errorf("requests of run %d = %d, want at most %d", i+1, n, limit)
		}
		before = sent()
		c.advance(time.Minute)
	}
	if n := f.requests(pathChallenge); n != 100 {
		t.Errorf("requests to validate = %d, want 100", n)
	}
}

// An order that replaces the certificate of several names is for the same set, in any order, and
// with another key type. The one after it is for another set: it is placed in any case.
func TestRenewalOfSeveralNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t, devstack.CAConfig{})
	e := w.engine(t, nil)
	o := w.several(t, e, "renew")
	cert, err := e.Run(t.Context(), o, w.journal(o))
	if err != nil {
		t.Fatal(err)
	}
	all := slices.Clone(o.Names)
	for _, names := range [][]string{slices.Sorted(slices.Values(all)), all[:2]} {
		cert = w.replace(t, e, o, cert, names)
	}
}

// replace places an order for names that replaces a certificate. It repeats the order if the CA
// does not accept the replacement yet: Pebble indexes a certificate after it has issued it.
func (w *world) replace(
	t testing.TB, e *acme.Engine, o *controlplane.Order, old *controlplane.Certificate,
	names []string,
) *controlplane.Certificate {
	t.Helper()
	for range 100 {
		next := &controlplane.Order{OrgID: "org_1", DomainID: "dom_1", CA: "pebble",
			Names: names, Target: o.Target, Targets: o.Targets, KeyType: controlplane.KeyEC384,
			Replaces: old.ARIID}
		if err := e.Prepare(t.Context(), next, nil); err != nil {
			t.Fatal(err)
		}
		cert, err := e.Run(t.Context(), next, w.journal(next))
		if err != nil {
			t.Fatalf("order for %q: %v", names, err)
		}
		w.verify(t, cert, next)
		if next.Replaces == old.ARIID {
			return cert
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("no order for %q replaced %s", names, old.ARIID)
	return nil
}
