package controlplane_test

import (
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

func TestLatestAttempt(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		expires time.Time
		person  bool
		want    time.Duration
	}{
		"no certificate":                 {time.Time{}, false, 24 * time.Hour},
		"no certificate, a person waits": {time.Time{}, true, time.Hour},
		"expired":                        {now, false, 24 * time.Hour},
		"expired, a person waits":        {now.Add(-time.Hour), true, time.Hour},
		"90 days":                        {now.Add(90 * 24 * time.Hour), false, 540 * time.Hour},
		"a day":                          {now.Add(24 * time.Hour), true, 6 * time.Hour},
		"2 hours":                        {now.Add(2 * time.Hour), false, 30 * time.Minute},
		"20 minutes":                     {now.Add(20 * time.Minute), false, 5 * time.Minute},
		"a minute":                       {now.Add(time.Minute), false, 5 * time.Minute},
	} {
		if got := controlplane.LatestAttempt(now, tt.expires, tt.person).Sub(now); got != tt.want {
			t.Errorf("%s: LatestAttempt = %s from now, want %s", name, got, tt.want)
		}
	}
}

// next is an outlook and the attempt that follows from it, in times from now.
type next struct {
	expires  time.Duration // 0: no certificate
	lifetime time.Duration // of the certificate; 0: 90 days
	person   bool
	cas      []controlplane.Candidate
	ca       string
	in       time.Duration
	forced   bool
}

func TestOutlook(t *testing.T) {
	t.Parallel()
	const day, life = 24 * time.Hour, 90 * 24 * time.Hour
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	in := func(d time.Duration) time.Time { return now.Add(d) }
	ca := func(name string, rule ...func(*controlplane.Candidate)) controlplane.Candidate {
		c := controlplane.Candidate{CA: name}
		for _, fn := range rule {
			fn(&c)
		}
		return c
	}
	held := func(d time.Duration) func(*controlplane.Candidate) {
		return func(c *controlplane.Candidate) { c.Held = in(d) }
	}
	backoff := func(d time.Duration) func(*controlplane.Candidate) {
		return func(c *controlplane.Candidate) { c.Backoff = in(d) }
	}
	breaker := func(d time.Duration) func(*controlplane.Candidate) {
		return func(c *controlplane.Candidate) { c.Breaker = in(d) }
	}
	quota := func(d time.Duration) func(*controlplane.Candidate) {
		return func(c *controlplane.Candidate) { c.Quota = in(d) }
	}
	refused := func(d time.Duration) func(*controlplane.Candidate) {
		return func(c *controlplane.Candidate) { c.Backoff, c.Refused = in(d), true }
	}
	noForce := func(c *controlplane.Candidate) { c.NoForce = true }
	list := func(cas ...controlplane.Candidate) []controlplane.Candidate { return cas }
	for name, tt := range map[string]next{
		"no CA":                      {},
		"one, free":                  {cas: list(ca("a")), ca: "a"},
		"both free":                  {cas: list(ca("a"), ca("b")), ca: "a"},
		"waits that have passed":     {cas: list(ca("a", backoff(-1), held(0), quota(-day))), ca: "a"},
		"first in backoff":           {cas: list(ca("a", backoff(time.Second)), ca("b")), ca: "b"},
		"first unreachable":          {cas: list(ca("a", breaker(time.Second)), ca("b")), ca: "b"},
		"first held":                 {cas: list(ca("a", held(time.Second)), ca("b")), ca: "b"},
		"first over quota":           {cas: list(ca("a", quota(time.Hour)), ca("b")), ca: "b"},
		"first over quota, briefly":  {cas: list(ca("a", quota(time.Minute)), ca("b")), ca: "a", in: time.Minute},
		"briefly, but in backoff":    {cas: list(ca("a", quota(30*time.Second), backoff(1)), ca("b")), ca: "b"},
		"second over quota, briefly": {cas: list(ca("a", quota(time.Hour)), ca("b", quota(time.Minute))), ca: "b", in: time.Minute},
		"the longest source counts": {cas: list(ca("a", backoff(time.Minute), breaker(3*time.Minute),
			quota(2*time.Minute))), ca: "a", in: 3 * time.Minute},
		"a hold is not shortened": {cas: list(ca("a", held(3*time.Hour), backoff(time.Minute))),
			ca: "a", in: 3 * time.Hour},
		"the first that is free": {cas: list(ca("a", backoff(2*time.Hour)), ca("b", backoff(time.Hour))),
			ca: "b", in: time.Hour},
		"the preferred of two": {cas: list(ca("a", backoff(time.Hour)), ca("b", backoff(time.Hour))),
			ca: "a", in: time.Hour},
		"Retry-After of 30 days":             {cas: list(ca("a", backoff(30*day))), ca: "a", in: day},
		"Retry-After of 30 days, a person":   {cas: list(ca("a", backoff(30*day))), person: true, ca: "a", in: time.Hour},
		"quota of a week, a person":          {cas: list(ca("a", quota(7*day))), person: true, ca: "a", in: time.Hour},
		"held until released":                {cas: list(ca("a", held(10*365*day))), ca: "a", in: day},
		"held, expires in 2 h":               {expires: 2 * time.Hour, cas: list(ca("a", held(7*day))), ca: "a", in: 30 * time.Minute},
		"Retry-After of 6 h, expires in 2 h": {expires: 2 * time.Hour, cas: list(ca("a", backoff(6*time.Hour))), ca: "a", in: 30 * time.Minute},
		"expires in a minute":                {expires: time.Minute, cas: list(ca("a", backoff(6*time.Hour))), ca: "a", in: 5 * time.Minute},
		"expired":                            {expires: -time.Minute, cas: list(ca("a", backoff(30*day))), ca: "a", in: day},
		"within the bound":                   {expires: 40 * day, cas: list(ca("a", backoff(6*day))), ca: "a", in: 6 * day},

		"quota for longer than the bound, in the last quarter": {expires: 20 * day,
			cas: list(ca("a", quota(6*day))), ca: "a", forced: true},
		"before the last quarter": {expires: 23 * day, cas: list(ca("a", quota(7*day))),
			ca: "a", in: 23 * day / 4},
		"quota within the bound": {expires: 20 * day, cas: list(ca("a", quota(4*day))),
			ca: "a", in: 4 * day},
		"short lifetime": {expires: 36 * time.Hour, lifetime: 6 * day,
			cas: list(ca("a", quota(day))), ca: "a", forced: true},
		"short lifetime, before the last quarter": {expires: 37 * time.Hour, lifetime: 6 * day,
			cas: list(ca("a", quota(day))), ca: "a", in: 37 * time.Hour / 4},
		"expired, not forced":        {expires: -time.Hour, cas: list(ca("a", quota(7*day))), ca: "a", in: day},
		"no certificate, not forced": {cas: list(ca("a", quota(7*day))), ca: "a", in: day},
		"a person, not forced": {expires: 40 * day, person: true, cas: list(ca("a", quota(20*day))),
			ca: "a", in: 10 * day},
		"forced at the preferred": {expires: day, cas: list(ca("a", quota(2*day)), ca("b", quota(day))),
			ca: "a", forced: true},
		"the other is free": {expires: day, cas: list(ca("a", quota(2*day)), ca("b")), ca: "b"},
		"the other is free soon": {expires: day,
			cas: list(ca("a", quota(2*day)), ca("b", backoff(time.Hour))), ca: "b", in: time.Hour},
		"the other is free late, forced": {expires: day,
			cas: list(ca("a", quota(2*day)), ca("b", backoff(7*time.Hour))), ca: "a", forced: true},
		"the other has refused, forced": {expires: day,
			cas: list(ca("a", refused(time.Minute)), ca("b", quota(2*day))), ca: "b", forced: true},
		"the other has refused, quota within the bound": {expires: day,
			cas: list(ca("a", refused(time.Minute)), ca("b", quota(time.Hour))), ca: "a",
			in: time.Minute},
		"the other has refused, no slot": {expires: day,
			cas: list(ca("a", refused(time.Minute)), ca("b", quota(2*day), noForce)), ca: "a",
			in: time.Minute},
		"the other has refused, before the last quarter": {expires: 23 * day,
			cas: list(ca("a", refused(time.Minute)), ca("b", quota(7*day))), ca: "a",
			in: time.Minute},
		"the other refused, and may again": {expires: day,
			cas: list(ca("a", refused(-1)), ca("b", quota(2*day))), ca: "a"},
		"a refusal is not bypassed": {expires: day,
			cas: list(ca("a", refused(time.Minute), quota(2*day))), ca: "a", in: 6 * time.Hour},
		"forced at the other": {expires: day, cas: list(ca("a", quota(2*day), noForce), ca("b", quota(2*day))),
			ca: "b", forced: true},
		"no slot at either": {expires: day, cas: list(ca("a", quota(2*day), noForce),
			ca("b", quota(2*day), noForce)), ca: "a", in: 6 * time.Hour},
		"a hold is not bypassed":    {expires: day, cas: list(ca("a", quota(2*day), held(2*day))), ca: "a", in: 6 * time.Hour},
		"a backoff is not bypassed": {expires: day, cas: list(ca("a", quota(2*day), backoff(time.Hour))), ca: "a", in: 6 * time.Hour},
		"a breaker is not bypassed": {expires: day, cas: list(ca("a", quota(2*day), breaker(time.Minute))), ca: "a", in: 6 * time.Hour},
		"forced although the other is held": {expires: day, cas: list(ca("a", held(2*day)), ca("b", quota(2*day))),
			ca: "b", forced: true},
	} {
		o := controlplane.Outlook{Now: now, Person: tt.person, Patience: time.Minute,
			Candidates: tt.cas}
		if tt.expires != 0 {
			o.Expires, o.Lifetime = in(tt.expires), tt.lifetime
			if o.Lifetime == 0 {
				o.Lifetime = life
			}
		}
		got := o.Next()
		want := controlplane.NextAttempt{CA: tt.ca, Forced: tt.forced}
		if tt.ca != "" {
			want.At = in(tt.in)
		}
		if got != want {
			t.Errorf("%s: Next() = %+v, want %+v", name, got, want)
		}
	}
}

// Over generated outlooks, no wait exceeds the bound, no attempt is made before a source allows it
// unless it is forced, and a free CA is always used, apart from the patience for a preferred one.
func TestOutlookInvariants(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	waits := []time.Duration{0, time.Second, time.Minute, time.Hour, 25 * time.Hour, 30 * day}
	at := func(i int) time.Time {
		if waits[i%len(waits)] == 0 {
			return time.Time{}
		}
		return now.Add(waits[i%len(waits)])
	}
	n := len(waits)
	for _, left := range []time.Duration{0, -time.Hour, time.Minute, 2 * time.Hour, 20 * day,
		80 * day} {
		for i := range n * n * n * n * n {
			person := i%2 == 0
			a := controlplane.Candidate{CA: "a", Held: at(i), Backoff: at(i / n), Quota: at(i / n / n)}
			b := controlplane.Candidate{CA: "b", Breaker: at(i / n / n / n), Quota: at(i / n / n / n / n)}
			a.Refused = i%3 == 0 && a.Backoff.After(now)
			o := controlplane.Outlook{Now: now, Person: person, Patience: time.Minute,
				Lifetime: 90 * day, Candidates: []controlplane.Candidate{a, b}}
			if left != 0 {
				o.Expires = now.Add(left)
			}
			got := o.Next()
			c := a
			if got.CA == "b" {
				c = b
			}
			limit := controlplane.LatestAttempt(now, o.Expires, person)
			free := !a.Ready().After(now) || !b.Ready().After(now)
			patient := got.CA == "a" && !b.Ready().After(now) && !got.At.After(now.Add(o.Patience))
			forcible := !free && (a.Ready().After(limit) || a.Refused) && b.Ready().After(limit) &&
				c.Quota.After(limit) && !c.Held.After(now) && !c.Backoff.After(now) &&
				!c.Breaker.After(now) && left > 0 && left <= o.Lifetime/4
			switch {
			case got.At.Before(now) || got.At.After(limit),
				!got.Forced && got.At.Before(c.Ready()) && !got.At.Equal(limit),
				free && got.At.After(now) && !patient, got.Forced && !forcible:
				t.Fatalf("Next() of %+v = %+v, want no wait beyond %s, and none shortened", o,
					got, limit)
			}
		}
	}
}
