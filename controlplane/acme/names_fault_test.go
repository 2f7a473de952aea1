package acme_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/acme"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
)

// several prepares an order for a name, www, and a wildcard under another registered domain, each
// with its own target.
func (w *world) several(t testing.TB, e *acme.Engine, label string) *controlplane.Order {
	t.Helper()
	apex, other := label+".example.com", label+".example.org"
	o := w.order(t, e, apex, "www."+apex, other, "*."+other)
	o.Target = "apex"
	o.Targets = map[string]string{"www." + apex: "www", other: "other"}
	return o
}

// wrongAt publishes a wrong value for some names.
type wrongAt struct {
	*journal
	names []string
}

func (j wrongAt) Publish(ctx context.Context, o *controlplane.Order) error {
	if err := j.journal.Publish(ctx, o); err != nil {
		return err
	}
	for _, name := range j.names {
		j.zone.set(name, []string{"wrong"})
	}
	return nil
}

// wantConcerns checks that an error names the identifiers, and no other name of the order.
func wantConcerns(t testing.TB, got acme.Error, o *controlplane.Order, identifiers ...string) {
	t.Helper()
	if v := got.Verdict(); !slices.Equal(v.Identifiers, identifiers) || !v.FailedValidation {
		t.Errorf("Verdict() = %+v, want FailedValidation of %q", v, identifiers)
	}
	words := strings.FieldsFunc(got.Message,
		func(r rune) bool { return strings.ContainsRune(` ,:"()`, r) })
	for i, word := range words {
		words[i] = strings.TrimSuffix(word, ".")
	}
	for _, name := range controlplane.Identifiers(o.Names) {
		want := slices.Contains(identifiers, name)
		if slices.Contains(words, name) != want {
			t.Errorf("Message = %q, want the name %s in it: %v", got.Message, name, want)
		}
	}
}

// A failed authorization is that of its name alone, also for a resumed run.
func TestFailureNamesOnlyTheFailedNames(t *testing.T) {
	t.Parallel()
	for label, failing := range map[string][]string{
		"one":   {"www.one.example.com"},
		"first": {"first.example.com"},
		"wild":  {"wild.example.org"},
		"two":   {"two.example.org", "www.two.example.com"},
	} {
		t.Run(label, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, devstack.CAConfig{})
			e := w.engine(t, nil)
			o := w.several(t, e, label)
			j := w.journal(o)
			_, err := e.Run(t.Context(), o, wrongAt{j, failing})
			got := wantError(t, err, acme.FailedDNS, "ca-unauthorized")
			if len(failing) == 1 {
				wantConcerns(t, got, o, failing...)
			}
			for range 100 { // the CA may still validate the second name
				left := j.stored
				_, err := w.engine(t, nil).Run(t.Context(), &left, w.journal(&left))
				got = wantError(t, err, acme.FailedDNS, "ca-unauthorized")
				if len(got.Identifiers) == len(failing) {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
			wantConcerns(t, got, o, failing...)
			if n := w.ca.Orders(); !got.Over || n != 1 || j.pubs != 1 {
				t.Errorf("Over = %v, orders at the CA = %d, publications = %d; want true, 1, 1",
					got.Over, n, j.pubs)
			}
		})
	}
}

// The CA waits for the DNS of one name. The order proceeds once it has the answer, and nothing is
// requested again.
func TestOneNameLags(t *testing.T) {
	t.Parallel()
	w, f := newFaultyWorld(t, devstack.CAConfig{})
	e := w.engine(t, nil)
	w.issue(t, e, "first.example.com") // registers the account
	f.reset()
	release := w.zone.hold("www.lag.example.com")
	time.AfterFunc(300*time.Millisecond, release)
	o := w.several(t, e, "lag")
	j := w.journal(o)
	cert, err := e.Run(t.Context(), o, j)
	if err != nil {
		t.Fatal(err)
	}
	w.verify(t, cert, o)
	if n := f.requests(pathChallenge); n != 4 || j.pubs != 1 || f.requests(pathNewOrder) != 1 {
		t.Errorf("challenges accepted = %d, publications = %d, orders = %d; want 4, 1, 1", n, j.pubs,
			f.requests(pathNewOrder))
	}
}

// A name whose validation never ends does not hide that another one failed.
func TestLaggingNameDoesNotHideAFailedOne(t *testing.T) {
	t.Parallel()
	for _, lagging := range []string{"hide.example.com", "www.hide.example.com"} {
		t.Run(lagging, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, devstack.CAConfig{})
			e := w.engine(t, nil)
			t.Cleanup(w.zone.hold(lagging))
			o := w.several(t, e, "hide")
			_, err := e.Run(t.Context(), o, wrongAt{w.journal(o), []string{"hide.example.org"}})
			got := wantError(t, err, acme.FailedDNS, "ca-unauthorized")
			wantConcerns(t, got, o, "hide.example.org")
		})
	}
}

// A CA that validated a name for an earlier order does not validate it again. Values are published
// for the other names only, and for none if all are valid.
func TestNamesThatAreValidAlready(t *testing.T) {
	t.Parallel()
	w, f := newFaultyWorld(t, devstack.CAConfig{Reuse: true})
	e := w.engine(t, nil)
	w.issue(t, e, "www.valid.example.com")
	for _, want := range [][]string{{"apex", "other", "other"}, nil} {
		f.reset()
		o := w.several(t, e, "valid")
		j := w.journal(o)
		cert, err := e.Run(t.Context(), o, j)
		if err != nil {
			t.Fatal(err)
		}
		w.verify(t, cert, o)
		var at []string
		for _, value := range j.stored.Values {
			at = append(at, value.Target)
		}
		if slices.Sort(at); !slices.Equal(at, want) || f.requests(pathChallenge) != len(want) ||
			f.requests(pathNewOrder) != 1 {
			t.Errorf("values at %q, %d challenges, %d orders; want values at %q, one challenge each, 1 order",
				at, f.requests(pathChallenge), f.requests(pathNewOrder), want)
		}
	}
}

// One name is valid already, the validation of one lags, and that of one fails, in one order.
func TestValidLaggingAndFailedNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t, devstack.CAConfig{Reuse: true})
	e := w.engine(t, nil)
	w.issue(t, e, "www.mixed.example.com")
	release := w.zone.hold("mixed.example.com")
	t.Cleanup(release)
	o := w.several(t, e, "mixed")
	j := w.journal(o)
	_, err := e.Run(t.Context(), o, wrongAt{j, []string{"mixed.example.org"}})
	wantConcerns(t, wantError(t, err, acme.FailedDNS, "ca-unauthorized"), o, "mixed.example.org")
	release()

	// The next order uses what the CA has validated: only the failed name is validated again.
	for i := 0; ; i++ {
		next := w.several(t, e, "mixed")
		left := w.journal(next)
		cert, err := e.Run(t.Context(), next, left)
		if err == nil {
			w.verify(t, cert, next)
			break
		}
		if i == 100 {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if by := controlplane.ByTarget(j.stored.Values); len(by["www"]) != 0 {
		t.Errorf("values = %v, want none for the name that was valid", by)
	}
}

// An authorization for a name that was not ordered is a fault of the CA. Nothing is published for
// it.
func TestAuthorizationForAnotherName(t *testing.T) {
	t.Parallel()
	w, f := newFaultyWorld(t, devstack.CAConfig{})
	e := w.engine(t, newVirtual().use)
	f.rewrite(pathAuthz, func(_ int, authz map[string]any, _ http.Header) {
		authz["identifier"] = map[string]any{"type": "dns", "value": "not.ordered.example.com"}
	})
	o := w.several(t, e, "foreign")
	j := w.journal(o)
	_, err := e.Run(t.Context(), o, j)
	wantError(t, err, acme.Unreachable, "ca-protocol")
	if j.pubs != 0 {
		t.Errorf("publications = %d, want 0", j.pubs)
	}
}

// A CA may accept what it has validated for a parent (RFC 9444 §4).
func TestValidAuthorizationOfAParent(t *testing.T) {
	t.Parallel()
	w, f := newFaultyWorld(t, devstack.CAConfig{})
	e := w.engine(t, nil)
	f.rewrite(pathAuthz, func(_ int, authz map[string]any, _ http.Header) {
		if authz["status"] == "valid" {
			authz["identifier"] = map[string]any{"type": "dns", "value": "example.com"}
		}
	})
	w.issue(t, e, "child.example.com")
}

// The state of many authorizations is read from the order, not from each of them.
func TestManyAuthorizationsArePolledAtOnce(t *testing.T) {
	t.Parallel()
	w, f := newFaultyWorld(t, devstack.CAConfig{})
	e := w.engine(t, nil)
	w.issue(t, e, "first.example.com")
	f.reset()
	names := make([]string, 25)
	for i := range names {
		names[i] = fmt.Sprintf("n%d.many.example.com", i)
	}
	release := w.zone.hold(names[7])
	time.AfterFunc(200*time.Millisecond, release)
	w.issue(t, e, names...)
	const polls = 15 // in 200 ms with growing intervals, and then some for a slow machine
	if n := f.requests(pathAuthz); n < len(names) || n > 2*len(names)+polls {
		t.Errorf("requests of authorizations = %d, want at most 2 each and %d polls", n, polls)
	}
	f.reset()
	w.issue(t, e, "a.few.example.com", "b.few.example.com", "c.few.example.com")
	if n := f.requests(pathAuthz); n > 2*3+polls {
		t.Errorf("requests of authorizations = %d, want few", n)
	}
}

// The order shows that an authorization is invalid, although reads of the authorizations show them
// as pending.
func TestOrderShowsAFailureFirst(t *testing.T) {
	t.Parallel()
	w, f := newFaultyWorld(t, devstack.CAConfig{})
	e := w.engine(t, nil)
	var invalid atomic.Bool
	f.rewrite(pathOrder, func(_ int, order map[string]any, _ http.Header) {
		if order["status"] == "invalid" {
			invalid.Store(true)
		}
	})
	f.rewrite(pathAuthz, func(n int, authz map[string]any, _ http.Header) {
		if n > 4 && !invalid.Load() && authz["status"] != "valid" {
			authz["status"] = "pending"
			for _, c := range authz["challenges"].([]any) {
				c.(map[string]any)["status"] = "processing"
				delete(c.(map[string]any), "error")
			}
		}
	})
	o := w.several(t, e, "shown")
	j := w.journal(o)
	first := wrongAt{j, []string{"shown.example.com"}}
	_, err := e.Run(t.Context(), o, first)
	if slow, ok := errors.AsType[*acme.Error](err); ok && slow.Class == acme.Slow {
		t.Fatalf("Run error = %v, want the failed validation in this run", err)
	}
	wantConcerns(t, wantError(t, err, acme.FailedDNS, "ca-unauthorized"), o, "shown.example.com")
}

// A first name that is too long for a common name does not prevent the certificate: the CSR has no
// common name, and the CA chooses one of the names, or none.
func TestFirstNameLongerThanACommonName(t *testing.T) {
	t.Parallel()
	w := newWorld(t, devstack.CAConfig{})
	e := w.engine(t, nil)
	long := strings.Repeat("a", 60) + ".long.example.com"
	for _, names := range [][]string{{long}, {long, "short.example.org"}, {long, "*." + long}} {
		o := w.order(t, e, names...)
		csr, err := x509.ParseCertificateRequest(o.CSR)
		if err != nil || csr.Subject.CommonName != "" || !slices.Equal(csr.DNSNames, names) {
			t.Errorf("CSR for %q = %v, %v; want these names and no common name", names, csr, err)
		}
		cert, err := e.Run(t.Context(), o, w.journal(o))
		if err != nil {
			t.Fatalf("Run(%q): %v", names, err)
		}
		w.verify(t, cert, o)
	}
}
