package soak

import (
	"fmt"
	"hash/fnv"
	"regexp"
	"slices"
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
	zoneAway      kind = "name server of the zone unavailable"
	accountLost   kind = "primary CA rejects the account"
	namesLimited  kind = "primary CA limits some names"
	namesPaused   kind = "primary CA pauses some names"
	zoneUnserved  kind = "validation zone not delegated"
	limitsWrong   kind = "CAs state too long a limit for some domains"
)

// CAs reject orders of some registered domains for limitsReject. They state that the limit lasts
// for limitsStated, which is longer than the certificates of some of them remain valid. The fault
// lasts until the last stated limit has ended.
const (
	limitsReject = 36 * time.Hour
	limitsStated = 3 * day
)

// longestOutage of all CAs. A 6-day certificate that becomes due when it starts has 72 hours left.
// After it, two hours are left for the hourly sweep, for the pauses between attempts, and for the
// limits. No other fault follows within three days.
const longestOutage = 70 * time.Hour

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
	more     []string // additional names; their delegations break with that of name
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

// newScenario draws a year. A fault that affects all domains starts three days or more after the
// previous one has ended. A domain's DNS is broken for a day at most, and not within a day of an
// outage of all CAs that lasts longer than that: both together would leave less time than a 6-day
// certificate has when it is due.
func newScenario(domains, days int, dice *dice) scenario {
	s := scenario{end: start.Add(time.Duration(days) * day)}
	var deck []kind
	for at := start.Add(dice.between(2*time.Hour, day)); at.Before(s.end); {
		if len(deck) == 0 {
			deck = newDeck(dice)
		}
		f := fault{deck[0], span{at, at.Add(s.lasts(deck[0], dice))}}
		s.faults, deck = append(s.faults, f), deck[1:]
		at = f.to.Add(dice.between(3*day, 5*day))
	}
	settled := time.Duration(days) * day / 20
	for i := range domains {
		at := start
		if i%2 == 1 {
			at = at.Add(dice.between(0, settled))
		}
		one := subject{name: subjectName(i, domains), profile: profiles[i%3], ca: preferred[i%3],
			wildcard: i%9 == 4 && i%5 != 2, added: at} // CAs reject *.name beside www.name
		if i%5 == 2 {
			other := fmt.Sprintf("also%d.example", i)
			one.more = []string{"www." + one.name, other, "*." + other}
		}
		for from := at.Add(dice.between(-30*day, 60*day)); from.Before(s.end); from = from.Add(
			dice.between(20*day, 100*day)) {
			if b := (span{from, from.Add(dice.between(time.Hour, day))}); !s.nearLongOutage(b) {
				one.broken = append(one.broken, b)
			}
		}
		s.subjects = append(s.subjects, one)
	}
	return s
}

// nearLongOutage reports whether a span is within a day of an outage of all CAs that lasts longer
// than a day.
func (s *scenario) nearLongOutage(b span) bool {
	for _, f := range s.faults {
		if f.kind == bothOut && f.to.Sub(f.from) > day && b.from.Before(f.to.Add(day)) &&
			b.to.After(f.from.Add(-day)) {
			return true
		}
	}
	return false
}

// newDeck returns all kinds of faults in random order, so that each recurs soon.
func newDeck(dice *dice) []kind {
	deck := []kind{primaryOut, primaryOut, backupOut, bothOut, renewNow, redisAway, redisEmptied,
		resolversAway, workersDie, workersDie, zoneAway, accountLost, namesLimited, namesPaused,
		zoneUnserved, limitsWrong}
	only := regexp.MustCompile(*soakFaults)
	deck = slices.DeleteFunc(deck, func(k kind) bool { return !only.MatchString(string(k)) })
	for i := range deck {
		j := i + dice.below(len(deck)-i)
		deck[i], deck[j] = deck[j], deck[i]
	}
	return deck
}

// lasts returns how long a fault lasts. The first outage of all CAs is the longest.
func (s *scenario) lasts(k kind, dice *dice) time.Duration {
	switch k {
	case primaryOut, backupOut, namesLimited, namesPaused:
		return dice.between(2*time.Hour, 2*day)
	case bothOut:
		if !slices.ContainsFunc(s.faults, func(f fault) bool { return f.kind == bothOut }) {
			return longestOutage
		}
		return dice.between(2*time.Hour, longestOutage)
	case redisAway, zoneAway:
		return dice.between(10*time.Minute, 6*time.Hour)
	case accountLost:
		return dice.between(time.Hour, 12*time.Hour)
	case resolversAway, zoneUnserved:
		return dice.between(10*time.Minute, 2*time.Hour)
	case limitsWrong:
		return limitsReject + limitsStated
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
