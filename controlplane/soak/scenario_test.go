package soak

import (
	"fmt"
	"hash/fnv"
	"time"
)

// kind is what goes wrong.
type kind string

const (
	primaryOut    kind = "primary CA out"
	backupOut     kind = "backup CA out"
	bothOut       kind = "both CAs out"
	renewNow      kind = "primary CA calls for renewal at once"
	redisAway     kind = "Redis away"
	redisEmptied  kind = "Redis emptied"
	resolversAway kind = "resolvers away"
	workersDie    kind = "all workers die"
)

// fault is one thing that goes wrong for everybody.
type fault struct {
	kind kind
	span
}

// subject is a domain of the scenario.
type subject struct {
	name     string
	profile  string
	ca       string // the preferred one
	wildcard bool
	added    time.Time
	broken   []span // when its delegation is not there
	done     bool   // it was added
}

// scenario is all that is drawn before the year begins.
type scenario struct {
	end      time.Time
	subjects []subject
	faults   []fault // in the order of time, days apart
}

// newScenario draws a year. What holds up every renewal (both CAs, Redis, the resolvers) ends
// within hours and does not come twice in three days, and a domain's DNS is broken for a day
// at most: together less than the three days that are left of the shortest certificate when
// it is due.
func newScenario(domains, days int, dice *dice) scenario {
	s := scenario{end: start.Add(time.Duration(days) * day)}
	settled := time.Duration(days) * day / 20
	for i := range domains {
		at := start
		if i%2 == 1 {
			at = at.Add(dice.between(0, settled))
		}
		one := subject{name: subjectName(i, domains), profile: profiles[i%3], ca: preferred[i%3], wildcard: i%9 == 4, added: at}
		for from := at.Add(dice.between(-30*day, 60*day)); from.Before(s.end); from = from.Add(dice.between(20*day, 100*day)) {
			one.broken = append(one.broken, span{from, from.Add(dice.between(time.Hour, day))})
		}
		s.subjects = append(s.subjects, one)
	}
	var deck []kind
	for at := start.Add(dice.between(2*time.Hour, day)); at.Before(s.end); at = at.Add(dice.between(3*day, 6*day)) {
		if len(deck) == 0 {
			deck = newDeck(dice)
		}
		s.faults = append(s.faults, fault{deck[0], span{at, at.Add(lasts(deck[0], dice))}})
		deck = deck[1:]
	}
	return s
}

// newDeck returns every kind of fault, shuffled: none stays away for long.
func newDeck(dice *dice) []kind {
	deck := []kind{primaryOut, primaryOut, backupOut, bothOut, renewNow, redisAway, redisEmptied, resolversAway, workersDie, workersDie}
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

// during returns the fault of one of the kinds that there is at t, nil if there is none.
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

// edge returns when the next fault begins or ends after t, or a domain is added.
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

// forced returns when the primary CA last called for the renewal of a name's certificate up
// to t, the zero time if it did not. Each call is for a third of the names.
func (s *scenario) forced(name string, t time.Time) time.Time {
	var last time.Time
	for i := range s.faults {
		if f := &s.faults[i]; f.kind == renewNow && !f.from.After(t) && pick(name, i, 3) == 0 {
			last = f.from
		}
	}
	return last
}

// pick draws a number below n that stays the same for the same name and number.
func pick(name string, i, n int) int {
	h := fnv.New32a()
	fmt.Fprint(h, name, "/", i)
	return int(h.Sum32() % uint32(n))
}

// subjectName gives every fourth domain a place below a registered domain of so many that a
// CA does not give certificates to all of them in one week.
func subjectName(i, domains int) string {
	if i%4 == 3 {
		crowd := limitsFor(domains).CertificatesPerRegisteredDomain.Count*6/5 + 1
		return fmt.Sprintf("host%d.crowd%d.example", i, i/(4*crowd))
	}
	return fmt.Sprintf("domain%d.example", i)
}

// lives are the CAs' profiles.
var lives = map[string]time.Duration{"shortlived": 6 * day, "tlsserver": 45 * day, "classic": 90 * day}

// The domains' profiles in turn, and where they prefer to get them. The backup offers no
// renewal information (RFC 9773), as not all CAs do.
var (
	profiles  = []string{"shortlived", "tlsserver", "classic"}
	preferred = []string{"primary", "primary", "backup"}
)
