package lifecycle_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// name adds additional names to a stored domain, each with the target that its first letter gives.
func (w *world) name(d *controlplane.Domain, names ...string) *controlplane.Domain {
	w.t.Helper()
	d = w.domain(d)
	d.AdditionalNames, d.Targets = names, map[string]string{}
	for _, name := range names {
		base := strings.TrimPrefix(name, "*.")
		if base != d.Name {
			d.Targets[base] = strings.Repeat(base[:1], 32)
		}
	}
	d.OptionsRevision++
	must(w.t, w.Store.SaveDomain(w.t.Context(), d, w.clock.Now()))
	return w.domain(d)
}

// An order for several names has its values at their targets, and waits for all of them.
func TestOrderOfSeveralNamesWaitsForEachTarget(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	asked := map[string][]string{}
	slow := ""
	w := newWorld(t, func(c *lifecycle.Config) {
		c.Visible = func(_ context.Context, name string, values []string) error {
			mu.Lock()
			defer mu.Unlock()
			asked[name] = values
			if name == slow {
				return errors.New("192.0.2.1:53 answers NXDOMAIN")
			}
			return nil
		}
	})
	d := w.name(w.issuing("example.com"), "*.other.org", "other.org", "www.example.com")
	o, www := strings.Repeat("o", 32), strings.Repeat("w", 32)
	w.ca.answer(func(ctx context.Context, order *controlplane.Order, j controlplane.Journal) error {
		order.Step, order.OrderURL = controlplane.StepAuthorized, "https://ca.example/1"
		order.Values = nil
		for i, name := range order.Names {
			order.Values = append(order.Values, controlplane.TXT{Target: order.TargetOf(name),
				Value: "value-" + string(rune('0'+i))})
		}
		return errors.Join(j.Save(ctx, order), j.Publish(ctx, order))
	})
	slow = www + "." + zone
	j := w.run(d, controlplane.JobStartIssuance)
	wantJob(t, j, controlplane.JobQueued, "zone-not-answering", 0)
	slow, asked = "", map[string][]string{}
	w.runDue(d, controlplane.JobStartIssuance)
	wantStatus(t, w.domain(d), controlplane.DomainActive, "")
	names := w.ca.order(0).Names
	if want := []string{"example.com", "*.other.org", "other.org",
		"www.example.com"}; !slices.Equal(names, want) {
		t.Fatalf("the order is for %q, want %q", names, want)
	}
	// The issuer of the tests publishes another value at the target of the domain afterward.
	delete(asked, d.Target+"."+zone)
	want := map[string][]string{o + "." + zone: {"value-1", "value-2"},
		www + "." + zone: {"value-3"}}
	if !maps.EqualFunc(asked, want, slices.Equal) {
		t.Errorf("Visible was called for %q, want %q", asked, want)
	}
	if w.ca.order(0).ID != w.ca.order(1).ID {
		t.Error("another order was placed")
	}
}

// If a name is removed while an order for it is in progress, its values can't be published. The
// order is closed, and one for the remaining names is placed.
func TestNameRemovedDuringItsOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.name(w.issuing("example.com"), "www.example.com")
	w.ca.answer(func(ctx context.Context, order *controlplane.Order, j controlplane.Journal) error {
		if len(order.Names) == 1 {
			return nil
		}
		w.name(d)
		order.Step, order.OrderURL = controlplane.StepAuthorized, "https://ca.example/1"
		order.Values = []controlplane.TXT{{Target: order.TargetOf("www.example.com"), Value: "v"}}
		return j.Publish(ctx, order)
	})
	j := w.run(d, controlplane.JobStartIssuance)
	wantJob(t, j, controlplane.JobQueued, "handed-back", 0)
	w.runDue(d, controlplane.JobStartIssuance)
	wantStatus(t, w.domain(d), controlplane.DomainActive, "")
	first, second := w.ca.order(0), w.ca.order(1)
	if first.ID == second.ID || !slices.Equal(second.Names, []string{"example.com"}) {
		t.Errorf("the second order is %s for %q, want a new one for example.com", second.ID,
			second.Names)
	}
}
