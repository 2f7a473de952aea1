package soak

import (
	"fmt"
	"hash/fnv"
	"time"
)

// kind is a kind of fault.
type kind string

const (
	primaryOut    kind = "primary CA outage"
	backupOut     kind = "backup CA outage"
	bothOut       kind = "outage of both CAs"
	renewNow      kind = "primary CA requests immediate renewal"
	redisAway     kind = "Redis unavailable"
	redisEmptied  kind = "Redis emptied"
	resolversAway kind = "resolvers unreachable"
	workersDie    kind = "all workers die"
)

// fault is one fault that affects all domains.
type fault struct {
	kind kind
	span
}

// subject is a domain of the scenario.
type subject struct {
	name     string
	profile  string
	ca       string // the preferred CA
	wildcard bool
	added    time.Time
	broken   []span // when its delegation is missing
	done     bool   // it has been added
}

// scenario is everything that is drawn before the year starts.
type scenario struct {
	end      time.Time
	subjects []subject
	faults   []fault // in chronological order, days apart
}

// newScenario draws a year. Faults that block every renewal (both CAs, Redis, the resolvers) last
// hours and do not recur within three days. A domain's DNS is broken for a day at most. Together
// this is less than the three days for which the shortest certificate remains valid when it is due.
func newScenario(domains, days int, dice *dice) scenario {
	s := scenario{end: start.Add(time.Duration(days) * day)}
	settled := time.Duration(days) * day / 20
	for i := range domains {
		at := start
		if i%2 == 1 {
			at = at.Add(dice.between(0, settled))
		}
		one := subject{name: subjectName(i, domains), profile: profiles[i%3], ca: preferred[i%3],
			wildcard: i%9 == 4, added: at}
		for from := at.Add(dice.between(-30*day, 60*day)); from.Before(s.end); from = from.Add(
			dice.between(20*day, 100*day)) {
			one.broken = append(one.broken, span{from, from.Add(dice.between(time.Hour, day))})
		}
		s.subjects = append(s.subjects, one)
	}
	var deck []kind
	for at := start.Add(dice.between(2*time.Hour, day)); at.Before(s.end); at = at.Add(
		dice.between(3*day, 6*day)) {
		if len(deck) == 0 {
			deck = newDeck(dice)
		}
		s.faults = append(s.faults, fault{deck[0], span{at, at.Add(lasts(deck[0], dice))}})
		deck = deck[1:]
	}
	return s
}

// newDeck returns all kinds of faults in random order, so that each recurs soon.
func newDeck(dice *dice) []kind {
	deck := []kind{primaryOut, primaryOut, backupOut, bothOut, renewNow, redisAway, redisEmptied,
		resolversAway, workersDie, workersDie}
	for i := range deck {
		j := i + dice.below(len(deck)-i)
		deck[i], deck[j] = deck[j], deck[i]
	}
	return deck
}

func lasts(k kind, dice *dice) time.Duration {
	switch k {
	case primaryOut, backupOut:
		return dice.between(2*time.Hour, 2*day)
	case bothOut:
		return dice.between(2*time.Hour, 18*time.Hour)
	case redisAway:
		return dice.between(10*time.Minute, 6*time.Hour)
	case resolversAway:
		return dice.between(10*time.Minute, 2*time.Hour)
	}
	return 0
}

// during returns the fault of one of the kinds at t, or nil.
func (s *scenario) during(t time.Time, kinds ...kind) *fault {
	for i := range s.faults {
		for _, k := range kinds {
			if s.faults[i].kind == k && s.faults[i].has(t) {
				return &s.faults[i]
			}
		}
	}
	return nil
}

// edge returns the first time after t at which a fault starts or ends or a domain is added.
func (s *scenario) edge(t time.Time) time.Time {
	var next time.Time
	later := func(at time.Time) {
		if at.After(t) {
			next = earlier(next, at)
		}
	}
	for i := range s.faults {
		later(s.faults[i].from)
		later(s.faults[i].to)
	}
	for i := range s.subjects {
		later(s.subjects[i].added)
	}
	return next
}

// forced returns when the primary CA last requested the renewal of a name's certificate up to t, or
// the zero time. Each request is for a third of the names.
func (s *scenario) forced(name string, t time.Time) time.Time {
	var last time.Time
	for i := range s.faults {
		if f := &s.faults[i]; f.kind == renewNow && !f.from.After(t) && pick(name, i, 3) == 0 {
			last = f.from
		}
	}
	return last
}

// pick returns a number below n that is constant for the same name and number.
func pick(name string, i, n int) int {
	h := fnv.New32a()
	fmt.Fprint(h, name, "/", i)
	return int(h.Sum32() % uint32(n))
}

// subjectName places every fourth domain below one of several registered domains, so many that the
// CA's weekly limit per registered domain is reached.
func subjectName(i, domains int) string {
	if i%4 == 3 {
		crowd := limitsFor(domains).CertificatesPerRegisteredDomain.Count*6/5 + 1
		return fmt.Sprintf("host%d.crowd%d.example", i, i/(4*crowd))
	}
	return fmt.Sprintf("domain%d.example", i)
}

// lives are the lifetimes of the CAs' profiles.
var lives = map[string]time.Duration{"shortlived": 6 * day, "tlsserver": 45 * day,
	"classic": 90 * day}

// The domains' profiles and preferred CAs, in rotation. The backup CA does not offer renewal
// information (RFC 9773), like some real CAs.
var (
	profiles  = []string{"shortlived", "tlsserver", "classic"}
	preferred = []string{"primary", "primary", "backup"}
)
