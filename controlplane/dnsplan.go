package controlplane

import (
	"crypto/sha256"
	"encoding/json"
	"strconv"
	"strings"
)

// RecordAction is what creating a record changes at the DNS host.
type RecordAction string

// The actions.
const (
	RecordCreate  RecordAction = "create"  // the name has no records
	RecordReplace RecordAction = "replace" // the name has others, in Before
	RecordNone    RecordAction = "none"    // the record exists
)

// RecordChange is the exact change at a DNS host that creates one record.
type RecordChange struct {
	Zone   string
	Name   string
	Action RecordAction
	Before []RecordSet
	After  RecordSet
}

// RecordConflict is why a record can't be created without more.
type RecordConflict struct {
	Name    string
	Kind    HostErrorKind // HostConflict, HostNoZone, or HostDenied
	Message string
	Found   []RecordSet // of HostConflict: what has to be replaced
}

// RecordPlan is what the creation of records through a connection would change. A record whose name
// has others is both in Changes and in Conflicts: it is created only if the caller lists these.
type RecordPlan struct {
	ConnectionID string
	Changes      []RecordChange // in the order of the records, without those of no zone
	Conflicts    []RecordConflict
}

// Digest identifies the plan: two plans have the same digest only if they change the same.
func (p *RecordPlan) Digest() string {
	raw, err := json.Marshal(p)
	if err != nil {
		panic(err) // it contains only texts and lists
	}
	sum := sha256.Sum256(raw)
	return strings.ToLower(targetEncoding.EncodeToString(sum[:20]))
}

// ID identifies the plan among all connections. PlanConnection returns the connection's ID.
func (p *RecordPlan) ID() string { return p.ConnectionID + "." + p.Digest() }

// PlanConnection returns the ID of the connection of a plan with the ID.
func PlanConnection(planID string) string {
	connection, _, _ := strings.Cut(planID, ".")
	return connection
}

// Add adds the record of a name that has the sets found in the zone. zone is empty if the
// connection has none for the name, and failed is why the name could not be looked up, if it could
// not.
func (p *RecordPlan) Add(r Record, zone string, found []RecordSet, failed *HostError) {
	switch {
	case zone == "":
		p.Conflicts = append(p.Conflicts, RecordConflict{Name: r.Name, Kind: HostNoZone,
			Message: "The connection has no zone that contains " + r.Name + "."})
		return
	case failed != nil:
		p.Conflicts = append(p.Conflicts, RecordConflict{Name: r.Name, Kind: failed.Kind,
			Message: failed.Message})
		return
	}
	change := RecordChange{Zone: zone, Name: r.Name, Action: RecordReplace, Before: found,
		After: RecordSet{Name: r.Name, Type: r.Type, Values: []string{r.Target + "."}}}
	switch {
	case len(found) == 0:
		change.Action = RecordCreate
	case len(found) == 1 && found[0].Is(r.Target):
		change.Action = RecordNone
	default:
		p.Conflicts = append(p.Conflicts, RecordConflict{Name: r.Name, Kind: HostConflict,
			Message: r.Name + " has other records at the DNS host: " + describeSets(found) + ".",
			Found:   found})
	}
	p.Changes = append(p.Changes, change)
}

// describeSets returns the types of the sets with the numbers of their records.
func describeSets(sets []RecordSet) string {
	parts := make([]string, len(sets))
	for i, s := range sets {
		parts[i] = strconv.Itoa(len(s.Values)) + " " + s.Type
	}
	return strings.Join(parts, ", ")
}
