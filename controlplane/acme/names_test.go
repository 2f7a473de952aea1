package acme_test

import (
	"fmt"
	"maps"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
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

// One run is enough for the most names that a certificate can have.
func TestOneRunIssuesForAHundredNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t, devstack.CAConfig{})
	e := w.engine(t, nil)
	names, targets := make([]string, 100), map[string]string{}
	for i := range names {
		names[i] = fmt.Sprintf("n%d.hundred.example.com", i)
		targets[names[i]] = fmt.Sprint("t", i)
	}
	o := w.order(t, e, names...)
	o.Targets = targets
	j := w.journal(o)
	cert, err := e.Run(t.Context(), o, j)
	if err != nil {
		t.Fatal(err)
	}
	w.verify(t, cert, o)
	if by := controlplane.ByTarget(j.stored.Values); len(by) != len(names) || j.pubs != 1 {
		t.Errorf("values at %d targets were published %d times, want 100 at once", len(by), j.pubs)
	}
}
