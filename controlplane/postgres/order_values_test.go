package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// sharing is an order of a domain, under its claim.
type sharing struct {
	domain *controlplane.Domain
	claim  *postgres.Claim
	order  *controlplane.Order
}

// share adds two domains that have name, and an order of each that publishes the value at it, as
// with a pending authorization that the CA returned for both.
func (d *db) share(name, value string) (s [2]sharing) {
	d.t.Helper()
	var target string
	for i := range s {
		dom, j := d.add(d.org, []string{name, "also." + name}[i])
		if i == 0 {
			target = dom.Target
		} else {
			dom.AdditionalNames, dom.Targets = []string{name}, map[string]string{name: target}
			d.must(d.SaveDomain(d.t.Context(), dom, start))
		}
		claim := d.claim(j, "w")
		s[i] = sharing{dom, claim, d.order(claim)}
		s[i].order.Values = []controlplane.TXT{{Target: target, Value: value}}
		d.publish(s[i])
	}
	return s
}

func (d *db) publish(s sharing) {
	d.t.Helper()
	d.must(d.PublishChallenges(d.t.Context(), s.claim, s.order, start.Add(time.Hour), start))
}

// wantLive checks the number of values at the target of a domain.
func (d *db) wantLive(when string, dom *controlplane.Domain, at time.Time, want int) {
	d.t.Helper()
	if _, values, err := d.LookupTarget(d.t.Context(), dom.Target, at); err != nil ||
		len(values) != want {
		d.t.Errorf("%s: LookupTarget = %+v, %v, want %d values", when, values, err, want)
	}
}

func (d *db) closeOrder(s sharing) {
	d.t.Helper()
	d.must(d.InTx(d.t.Context(), func(tx *postgres.Tx) error {
		return tx.CloseOrder(d.t.Context(), s.order, controlplane.StepFailed, "", "", start)
	}))
}

// A value that two orders publish at one target stays until both have ended, in whichever way and
// order they end.
func TestSharedValueStaysForTheOtherOrder(t *testing.T) {
	t.Parallel()
	d := open(t)
	ends := map[string]func(sharing){
		"fails": d.closeOrder,
		"has its certificate": func(s sharing) {
			if ok, err := d.ConcludeIssuance(t.Context(), s.claim, d.issuanceOf(s.claim, s.order),
				start); !ok || err != nil {
				t.Errorf("ConcludeIssuance = %v, %v, want true", ok, err)
			}
		},
		"ends with its domain": func(s sharing) {
			d.must(d.DeleteDomain(t.Context(), d.org, s.domain.ID))
		},
	}
	n := 0
	for name, end := range ends {
		for first := range 2 {
			n++
			when := fmt.Sprintf("order %d of 2 %s", first+1, name)
			s := d.share(fmt.Sprintf("d%d.example.com", n), fmt.Sprint("v", n))
			d.publish(s[0]) // again, as a resumed order does
			end(s[first])
			at := s[0].domain
			d.wantLive(when, at, start, 1)
			d.publish(s[1-first])
			d.closeOrder(s[1-first])
			d.wantLive(when+", and the other one", at, start, 0)
		}
	}
	if n := value[int](d, `SELECT count(*) FROM challenges`); n != 0 {
		t.Errorf("%d challenges after all orders, want 0", n)
	}
}

// An order that was set aside keeps a value that the domain's next order shares with it, and no
// order shortens its life.
func TestSharedValueStaysForAnOrderSetAside(t *testing.T) {
	t.Parallel()
	d := open(t)
	s := d.share("example.com", "v")
	aside, other := s[0], s[1]
	aside.order.OrderURL = "https://ca.example/1"
	d.must(d.SetOrderAside(t.Context(), aside.claim, aside.order,
		controlplane.Verdict{Code: "ca-slow"},
		d.happened(controlplane.ActionOrderSetAside, "domain", aside.domain.ID, nil), start, start))
	live := start.Add(24 * time.Hour)
	if due, err := d.DueSetAside(t.Context(), start, start.Add(time.Minute), live,
		10); len(due) != 1 || err != nil {
		t.Fatalf("DueSetAside = %+v, %v, want the order", due, err)
	}
	d.wantLive("after the poll", aside.domain, live.Add(-time.Minute), 1)
	d.publish(other)
	d.wantLive("after the other order's run", aside.domain, live.Add(-time.Minute), 1)
	d.closeOrder(other)
	d.wantLive("after the other order", aside.domain, live.Add(-time.Minute), 1)
	d.closeOrder(aside)
	d.wantLive("after both orders", aside.domain, start, 0)
}

// An order that publishes a value while another one ends has it afterwards.
func TestSharedValueSurvivesAConcurrentEnd(t *testing.T) {
	t.Parallel()
	d := open(t)
	for i := range 10 {
		s := d.share(fmt.Sprintf("d%d.example.com", i), "v")
		atOnce(4, func(n int) {
			switch n {
			case 0:
				d.closeOrder(s[0])
			case 1:
				d.must(d.DeleteDomain(t.Context(), d.org, s[0].domain.ID))
			default:
				d.publish(s[1])
			}
		})
		d.wantLive("after the end of the other order", s[0].domain, start, 1)
		d.closeOrder(s[1])
	}
}
