package controlplane

import "time"

// The probe is a TXT record of the validation zone that one worker changes regularly, and then
// queries as a CA would: through resolvers on the Internet.
const (
	// ProbeName is the label of the probe's record, below the zone.
	ProbeName = "_dcvaas-probe"
	// ProbeTarget is the label with which the record is stored and sent to the name servers. It has
	// the form of a target, but no organization has it.
	ProbeTarget = "dcvaasprobedcvaasprobedcvaasprob"
)

// HeldAfter is how many probes in a row must fail before the zone counts as unreachable. No order
// starts from the first one on.
const HeldAfter = 3

// ZoneStep is what is broken on the way from a resolver to the validation zone.
type ZoneStep string

// The steps.
const (
	ZoneReplica    ZoneStep = "replica"    // a name server does not serve current values
	ZoneDelegation ZoneStep = "delegation" // NS or DS records in the parent zone
	ZoneGlue       ZoneStep = "glue"       // addresses of the name servers in the parent zone
	ZonePort53     ZoneStep = "port-53"    // a name server does not answer at its public address
	ZoneResolution ZoneStep = "resolution" // none of the others: only resolvers fail
)

// ZoneSteps returns all steps.
func ZoneSteps() []ZoneStep {
	return []ZoneStep{ZoneReplica, ZoneDelegation, ZoneGlue, ZonePort53, ZoneResolution}
}

// ZoneProblem is a broken step, in words for the operator.
type ZoneProblem struct {
	Step   ZoneStep `json:"step"`
	Detail string   `json:"detail"`
}

// ZoneQuestion is what a probe queries.
type ZoneQuestion struct {
	Zone    string   // without a trailing dot
	Value   string   // the current value of the TXT record ProbeName
	Servers []string // the name servers that serve it, host:port
}

// ZoneProbe is the result of a probe.
type ZoneProbe struct {
	// Reachable reports that a resolver returned the value. It is also true if no resolver works,
	// because that says nothing about the zone.
	Reachable bool
	// Problems are what is broken. There are some too if the zone is reachable, for example one of
	// two name servers.
	Problems []ZoneProblem
}

// ZoneState is what the last probes found out.
type ZoneState struct {
	Failures  int           // probes in a row that failed
	Since     time.Time     // of the first of them; zero without one
	Problems  []ZoneProblem // of the last probe
	CheckedAt time.Time     // of the last probe; zero before the first
	NextAt    time.Time     // the time of the next one
}

// Held reports whether orders are held, because the zone is unreachable.
func (s ZoneState) Held() bool { return s.Failures >= HeldAfter }
