package lifecycle_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// named adds a domain with additional names.
func (w *world) named(name string, additional ...string) *controlplane.Domain {
	w.t.Helper()
	return w.add(name, func(o *controlplane.Options) { o.AdditionalNames = additional })
}

// wantServed checks whether the validation zone serves a target.
func (w *world) wantServed(what, target string, want bool) {
	w.t.Helper()
	exists, _, err := w.Store.LookupTarget(w.t.Context(), target, w.clock.Now())
	if exists != want || err != nil {
		w.t.Errorf("%s: LookupTarget(%s) = %v, %v, want %v", what, target, exists, err, want)
	}
}

func TestAdditionalNamesAreStoredInCanonicalForm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.domain(w.named("Example.com", "WWW.example.com.", "*.bücher.example",
		"bücher.example", "*.example.net"))
	want := []string{"*.example.net", "*.xn--bcher-kva.example", "www.example.com",
		"xn--bcher-kva.example"}
	if diff := cmp.Diff(want, d.AdditionalNames); diff != "" {
		t.Errorf("additional names (-want +got):\n%s", diff)
	}
	if got := d.Bases(); !slices.Equal(got, []string{"example.com", "example.net",
		"www.example.com", "xn--bcher-kva.example"}) {
		t.Errorf("Bases() = %q, want one entry per delegation", got)
	}
	for _, name := range d.Names() {
		w.wantServed(name, d.TargetOf(name), true)
	}
	e := w.last(d.ID)
	if names, _ := e.After["additional_names"].([]any); len(names) != 4 {
		t.Errorf("after of %s = %v, want the 4 additional names", e.Action, e.After)
	}
}

func TestInvalidAdditionalNamesAreListed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	add := func(o controlplane.Options) error {
		_, err := w.AddDomain(t.Context(), alice, w.org,
			lifecycle.NewDomain{Name: "example.com", Options: o})
		return err
	}
	many := make([]string, 100)
	for i := range many {
		many[i] = "a" + string(rune('a'+i/26)) + string(rune('a'+i%26)) + ".example.net"
	}
	for what, tt := range map[string]struct {
		o    controlplane.Options
		want []string
	}{
		"each invalid name": {controlplane.Options{Wildcard: true, AdditionalNames: []string{
			"ok.example.net", "co.uk", "www.example.com", "OK.example.net", "x." + w.Zone, ""}},
			[]string{"/additional_names/1 name-public-suffix",
				"/additional_names/2 name-redundant", "/additional_names/3 name-duplicate",
				"/additional_names/4 name-in-zone", "/additional_names/5 name-empty"}},
		"101 names": {controlplane.Options{AdditionalNames: many},
			[]string{"/additional_names names-too-many"}},
		"26 names of a profile for 25": {controlplane.Options{AdditionalNames: many[:25],
			Profile: "shortlived"}, []string{"/additional_names names-too-many"}},
		"a part of a CSR": {controlplane.Options{AdditionalNames: []string{"a.test"},
			IssuePartial: true, CSRPEM: csr(t, "example.com", "a.test")},
			[]string{"/issue_partial partial-with-csr"}},
		"a CSR without one": {controlplane.Options{AdditionalNames: []string{"a.test"},
			CSRPEM: csr(t, "example.com")}, []string{"/csr_pem csr-names"}},
	} {
		err := add(tt.o)
		if e := controlplane.AsError(err); !controlplane.IsKind(err, controlplane.KindInvalid) ||
			e.Fix == "" || !slices.Equal(pointers(*e), tt.want) {
			t.Errorf("%s: AddDomain = %v with the fields %q, want %q and a fix", what, err,
				pointers(*e), tt.want)
		}
	}
	must(t, add(controlplane.Options{AdditionalNames: []string{"a.test"},
		CSRPEM: csr(t, "a.test", "example.com")}))
}

// A patch replaces the set. Only another set raises the revision and changes anything.
func TestUpdateOfAdditionalNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.active("example.com")
	first := []string{"b.test", "A.test"}
	d = w.change(d, lifecycle.DomainPatch{AdditionalNames: &first})
	wantRevisions(t, d, 2, 1)
	if j := w.job(d, controlplane.JobStartIssuance); j.Reason != "options-changed" {
		t.Errorf("job = %s, want the order for the changed options", toJSON(j))
	}
	if j := w.job(d, controlplane.JobDNSCheck); j.Status != controlplane.JobQueued {
		t.Errorf("job = %s, want a DNS check of the new names", toJSON(j))
	}
	w.wantServed("added", d.TargetOf("a.test"), true)
	entries := len(w.events(d.ID))
	same := []string{"a.test.", "B.TEST"}
	again := w.change(d, lifecycle.DomainPatch{AdditionalNames: &same})
	if again.Version != d.Version || len(w.events(d.ID)) != entries {
		t.Errorf("the same set: version %d and %d entries, want %d and %d", again.Version,
			len(w.events(d.ID)), d.Version, entries)
	}
	on := true
	d = w.change(d, lifecycle.DomainPatch{IssuePartial: &on})
	wantRevisions(t, d, 2, 1)
	gone := d.TargetOf("b.test")
	second := []string{"a.test"}
	d = w.change(d, lifecycle.DomainPatch{AdditionalNames: &second})
	wantRevisions(t, d, 3, 1)
	w.wantServed("removed", gone, false)
	w.wantServed("kept", d.TargetOf("a.test"), true)
	redundant := []string{"x.example.com"}
	d = w.change(d, lifecycle.DomainPatch{AdditionalNames: &redundant})
	_, err := w.UpdateDomain(t.Context(), alice, w.org, d.ID, 0,
		lifecycle.DomainPatch{Wildcard: &on})
	if e := wantError(t, "wildcard", err, controlplane.KindInvalid, "name-redundant"); !slices.Equal(
		pointers(e), []string{"/additional_names/0 name-redundant"}) {
		t.Errorf("invalid fields = %q, want the covered name", pointers(e))
	}
}

// Two domains can share an additional name, so it moves between them without a gap.
func TestNameMovesWithoutAGap(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	from, to := w.named("from.example.com", "www.test"), w.named("to.example.com")
	target := from.TargetOf("www.test")
	names, none := []string{"www.test"}, []string{}
	to = w.change(to, lifecycle.DomainPatch{AdditionalNames: &names})
	w.wantServed("both", target, true)
	w.change(from, lifecycle.DomainPatch{AdditionalNames: &none})
	w.wantServed("the second", target, true)
	own := w.named("www.test")
	must(t, w.DeleteDomain(t.Context(), alice, w.org, to.ID, 0))
	w.wantServed("a domain of the name", target, true)
	if own.Target != target || to.TargetOf("www.test") != target {
		t.Errorf("targets = %s and %s, want %s", own.Target, to.TargetOf("www.test"), target)
	}
	must(t, w.DeleteDomain(t.Context(), alice, w.org, own.ID, 0))
	w.wantServed("after the last use", target, false)
}

// The delegations of a domain count against the plan, one that is in use already does not.
func TestPlanLimitOfDelegations(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(`UPDATE organizations SET delegation_limit = 4 WHERE id = $1`, w.org)
	d := w.named("example.com", "a.test", "*.a.test", "b.test")
	limited := func(what string, err error) {
		t.Helper()
		e := wantError(t, what, err, controlplane.KindForbidden, "plan-limit")
		want := "includes 4 delegations, 3 are in use, and 2 are to be added."
		if !strings.HasSuffix(e.Message, want) {
			t.Errorf("%s: message = %q, want one that ends in %q", what, e.Message, want)
		}
	}
	more := []string{"a.test", "b.test", "c.test", "d.test"}
	_, err := w.UpdateDomain(t.Context(), alice, w.org, d.ID, 0,
		lifecycle.DomainPatch{AdditionalNames: &more})
	limited("update", err)
	_, err = w.AddDomain(t.Context(), alice, w.org, lifecycle.NewDomain{Name: "x.example.com",
		Options: controlplane.Options{AdditionalNames: more[:3]}})
	limited("add", err)
	out, err := w.AddDomains(t.Context(), alice, w.org, []lifecycle.NewDomain{
		{Name: "y.example.com", Options: controlplane.Options{AdditionalNames: more[2:3]}},
		{Name: "z.example.com", Options: controlplane.Options{AdditionalNames: more[:2]}}})
	must(t, err)
	if !controlplane.HasCode(out[0].Err, "plan-limit") || !out[1].New {
		t.Errorf("AddDomains = %+v, want only the second, which fits", out)
	}
	w.exec(`UPDATE organizations SET delegation_limit = 1 WHERE id = $1`, w.org)
	w.named("a.test", "b.test") // both are in use
	fewer := []string{"b.test"}
	w.change(d, lifecycle.DomainPatch{AdditionalNames: &fewer})
}
