package lifecycle_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// newThrough returns a world with a connection whose host has the records of no name, and in which
// no CNAME is found.
func newThrough(t *testing.T) *applied {
	t.Helper()
	z := newZoneFile()
	a := &applied{world: newWorld(t, z.config), z: z}
	a.c = a.connection()
	a.doctor.finds(controlplane.CauseCNAMEMissing)
	return a
}

func through(c *controlplane.Connection, names ...string) func(*controlplane.Options) {
	return func(o *controlplane.Options) { o.AdditionalNames, o.ConnectionID = names, c.ID }
}

// wantDNS compares the reason of DNSReady, or the reasons of its names.
func (a *applied) wantDNS(what string, d *controlplane.Domain, want ...string) {
	a.t.Helper()
	d = a.domain(d)
	c := d.Condition(controlplane.DNSReady)
	got := []string{string(c.Reason)}
	if len(c.Names) > 0 {
		got = nil
	}
	for _, n := range c.Names {
		got = append(got, n.Name+" "+string(n.Reason))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		a.t.Errorf("the reasons of DNSReady of %s %s (-want +got)\n%s", d.Name, what, diff)
	}
	if c.Status == controlplane.ConditionTrue {
		return
	}
	if c.Message == "" || c.Fix == "" {
		a.t.Errorf("DNSReady of %s %s = %+v, want a message and a fix", d.Name, what, c)
	}
	if d.Status == controlplane.DomainPendingCNAME && d.StatusReason != c.Reason {
		a.t.Errorf("status_reason of %s %s = %s, want %s", d.Name, what, d.StatusReason, c.Reason)
	}
}

// wantRecords compares how many records the host has.
func (a *applied) wantRecords(want int) {
	a.t.Helper()
	if len(a.z.has) != want {
		a.t.Errorf("the host has %v, want %d records", a.z.has, want)
	}
}

func (a *applied) set(d *controlplane.Domain, connection string) *controlplane.Domain {
	a.t.Helper()
	d, err := a.UpdateDomain(a.t.Context(), alice, a.org, d.ID, 0,
		lifecycle.DomainPatch{ConnectionID: &connection})
	must(a.t, err)
	return d
}

// The records of a domain that is added with a connection are created before the first check, which
// then follows immediately. Names outside of the connection's zones stay manual, and the condition
// names them.
func TestAddDomainThroughAConnection(t *testing.T) {
	t.Parallel()
	a := newThrough(t)
	d := a.add("example.com", through(a.c, "b.example.com", "www.example.org"))
	a.wantDNS("when added", d, controlplane.ReasonApplyPending)
	if due := a.job(d, controlplane.JobDNSCheck).RunAt; !due.After(start) {
		t.Errorf("the first check is due at %s, want after the records are created", due)
	}
	a.wantApplied(a.open(), 2, 0, "_acme-challenge.www.example.org "+controlplane.CodeNoZone)
	for _, name := range []string{"example.com", "b.example.com"} {
		r := a.DelegationAt(d, name)
		if got := a.z.at(r.Name); len(got) != 1 || !got[0].Is(r.Target) {
			t.Errorf("%s has %v, want the CNAME", r.Name, got)
		}
	}
	if due := a.job(d, controlplane.JobDNSCheck).RunAt; due.After(a.clock.Now()) {
		t.Errorf("the check is due at %s after the creation, want now", due)
	}
	a.doctor.findsAt("example.com", controlplane.CauseOK)
	a.doctor.findsAt("b.example.com", controlplane.CauseOK)
	a.run(d, controlplane.JobDNSCheck)
	a.wantDNS("after the check", d, "www.example.org "+controlplane.CodeNoZone)
	a.doctor.findsAt("www.example.org", controlplane.CauseOK)
	a.runDue(d, controlplane.JobDNSCheck)
	a.wantDNS("with the last record", d, controlplane.ReasonDelegated)
	a.delete(d)
	a.runOpen()
	a.wantRecords(0)
}

// A name with other records is reported, and created after they are removed.
func TestDefaultConflict(t *testing.T) {
	t.Parallel()
	a := newThrough(t)
	name := "_acme-challenge.example.com"
	a.z.has[name] = []controlplane.RecordSet{{Name: name, Type: "TXT", Values: []string{`"x"`}}}
	d := a.add("example.com", through(a.c))
	a.wantApplied(a.open(), 0, 0, name+" "+controlplane.CodeDNSConflict)
	a.run(d, controlplane.JobDNSCheck)
	a.wantDNS("after the conflict", d, controlplane.CodeDNSConflict)
	if j := a.open(); j != nil {
		t.Errorf("job %s is open after the conflict was shown for the first time", j.ID)
	}
	delete(a.z.has, name)
	a.runDue(d, controlplane.JobDNSCheck)
	a.wantDNS("until the next attempt", d, controlplane.CodeDNSConflict)
	a.wantApplied(a.open(), 1, 0)
	a.doctor.finds(controlplane.CauseOK)
	a.run(d, controlplane.JobDNSCheck)
	a.wantDNS("after the next attempt", d, controlplane.ReasonDelegated)
}

// Rejected credentials are reported, and the records are created with others.
func TestDefaultInvalidConnection(t *testing.T) {
	t.Parallel()
	a := newThrough(t)
	a.z.before = func(controlplane.HostRecord) error {
		return &controlplane.HostError{Kind: controlplane.HostInvalid, Message: "Unknown key."}
	}
	d := a.add("example.com", through(a.c))
	a.runOpen()
	a.runDue(d, controlplane.JobDNSCheck)
	a.wantDNS("with rejected credentials", d, controlplane.CodeConnectionInvalid)
	other := a.add("b.example.com", through(a.c))
	a.wantDNS("added meanwhile", other, controlplane.CodeConnectionInvalid)
	a.z.before = nil
	// A request by a user does not wait for the connection.
	j, err := a.apply(other, a.connection())
	must(t, err)
	a.wantApplied(j, 1, 0)
	_, err = a.TestConnection(t.Context(), alice, a.org, a.c.ID)
	must(t, err)
	a.runOpen()
	a.wantRecords(2)
}

// Zones that a connection gets later are used.
func TestDefaultZoneAddedLater(t *testing.T) {
	t.Parallel()
	a := newThrough(t)
	d := a.add("www.example.org", through(a.c))
	a.runOpen()
	a.run(d, controlplane.JobDNSCheck)
	a.wantDNS("without a zone", d, controlplane.CodeNoZone)
	a.z.zones = []string{"example.org"}
	_, err := a.UpdateConnection(t.Context(), alice, a.org, a.c.ID, lifecycle.ConnectionPatch{
		Credentials: []byte(`{"server":"ns1.example.com","key_name":"k","zones":["example.org"],` +
			`"key_secret":"c2VjcmV0LXNlY3JldC1zZWNyZXQ="}`)})
	must(t, err)
	a.runOpen()
	a.wantRecords(1)
}

// The connection of a domain can be set and removed. Without one, nothing more is created, and what
// exists stays.
func TestSetConnectionOfADomain(t *testing.T) {
	t.Parallel()
	a := newThrough(t)
	unknown := controlplane.NewID(controlplane.PrefixConnection)
	_, err := a.AddDomain(t.Context(), alice, a.org, lifecycle.NewDomain{Name: "x.example.com",
		Options: controlplane.Options{ConnectionID: unknown}})
	wantCode(t, err, "connection-unknown")
	d := a.add("example.com")
	a.run(d, controlplane.JobDNSCheck)
	a.wantDNS("without a connection", d, controlplane.CauseCNAMEMissing)
	_, err = a.UpdateDomain(t.Context(), alice, a.org, d.ID, 0,
		lifecycle.DomainPatch{ConnectionID: &unknown})
	wantCode(t, err, "connection-unknown")
	d = a.set(d, a.c.ID)
	a.wantDNS("with a connection", d, controlplane.ReasonApplyPending)
	a.changesNothing("the same connection", func() error { a.set(d, a.c.ID); return nil })
	a.set(d, "")
	a.wantApplied(a.open(), 0, 0)
	if a.z.creates != 0 {
		t.Errorf("%d records created for a domain that no longer has the connection", a.z.creates)
	}
	a.run(d, controlplane.JobDNSCheck)
	a.wantDNS("without a connection again", d, controlplane.CauseCNAMEMissing)
	a.set(d, a.c.ID)
	a.wantApplied(a.open(), 1, 0)
	a.set(d, "")
	if j := a.open(); j != nil {
		t.Errorf("job %s is open after the connection was removed from the domain", j.ID)
	}
	a.wantRecords(1)
	a.delete(d)
	a.runOpen()
	a.wantRecords(0)
}

// The connection of a delegation precedes that of its domains, of which the oldest counts that has
// one.
func TestConnectionOfADelegation(t *testing.T) {
	t.Parallel()
	a := newThrough(t)
	first, second, own := a.c, a.connection(), a.connection()
	names := []string{"a.example.com", "b.example.com"}
	a.add("none.example.com", withNames(names...))
	a.add("one.example.com", through(first, names...))
	two := a.add("two.example.com", through(second, names...))
	wantThrough := func(name string, c *controlplane.Connection) {
		t.Helper()
		got := value[string](a.world, `SELECT connection_id FROM dns_records WHERE name = $1`,
			"_acme-challenge."+name)
		if got != c.ID {
			t.Errorf("the record of %s is created through %s, want %s", name, got, c.ID)
		}
	}
	wantThrough("a.example.com", first)
	wantThrough("two.example.com", second)
	g, err := a.UpdateDelegation(t.Context(), alice, a.org, "a.example.com", 0,
		lifecycle.DelegationPatch{ConnectionID: &own.ID})
	must(t, err)
	if g.ConnectionID != own.ID || g.Pinned {
		t.Errorf("UpdateDelegation() = %+v, want the connection, and not pinned", g)
	}
	wantThrough("a.example.com", own)
	wantThrough("b.example.com", first)
	must(t, a.DeleteConnection(t.Context(), alice, a.org, own.ID, false))
	if g, err = a.Store.Delegation(t.Context(), a.org, "a.example.com", nil); err != nil ||
		g.ConnectionID != "" {
		t.Errorf("the delegation has the connection %q, %v, want none", g.ConnectionID, err)
	}
	// The next check of a domain that waits requests what the deleted connection has not created.
	a.runDue(two, controlplane.JobDNSCheck)
	wantThrough("a.example.com", first)
	must(t, a.DeleteConnection(t.Context(), alice, a.org, second.ID, false))
	if two = a.domain(two); two.ConnectionID != "" {
		t.Errorf("the domain has the connection %q after its deletion, want none", two.ConnectionID)
	}

	pinned, added, err := a.PinDelegation(t.Context(), alice, a.org, "p.example.com", first.ID)
	if err != nil || !added || pinned.ConnectionID != first.ID {
		t.Fatalf("PinDelegation() = %+v, %t, %v, want a new one with the connection", pinned, added,
			err)
	}
	if !pinned.NextCheckAt.After(a.clock.Now()) {
		t.Errorf("the first check is at %s, want after the record is created", pinned.NextCheckAt)
	}
	wantThrough("p.example.com", first)
	third := a.connection()
	pinned, added, err = a.PinDelegation(t.Context(), alice, a.org, "p.example.com", third.ID)
	if err != nil || added || pinned.ConnectionID != third.ID {
		t.Errorf("PinDelegation() again = %+v, %t, %v, want the other connection", pinned, added, err)
	}
	wantThrough("p.example.com", third)
	_, _, err = a.PinDelegation(t.Context(), alice, a.org, "q.example.com", second.ID)
	wantCode(t, err, "connection-unknown")
}

// Many domains are added with a connection in one transaction, and those that are delegated already
// are checked at once.
func TestAddDomainsThroughAConnection(t *testing.T) {
	t.Parallel()
	a := newThrough(t)
	old := a.add("old.example.com", through(a.c))
	a.wantApplied(a.open(), 1, 0)
	var in []lifecycle.NewDomain
	for _, name := range []string{"a.example.com", "b.example.com", "old.example.com", "c.example.com"} {
		in = append(in, lifecycle.NewDomain{Name: name,
			Options: controlplane.Options{ConnectionID: a.c.ID}})
	}
	in[3].Options.ConnectionID = "con_x"
	in = append(in, lifecycle.NewDomain{Name: "d.example.com", Options: controlplane.Options{
		ConnectionID: a.c.ID, AdditionalNames: []string{"old.example.com"}}})
	added, err := a.AddDomains(t.Context(), alice, a.org, in)
	must(t, err)
	if added[2].New || added[2].Domain.ID != old.ID {
		t.Errorf("result of an existing domain = %+v, want the domain", added[2])
	}
	wantCode(t, added[3].Err, "connection-unknown")
	a.wantApplied(a.open(), 3, 0)
	for _, i := range []int{0, 1, 4} {
		if c := added[i].Domain.Condition(controlplane.DNSReady); c.Reason !=
			controlplane.ReasonApplyPending || c.NextCheckAt.Sub(start) > time.Hour {
			t.Errorf("DNSReady of %s = %+v, want %s and the next check", added[i].Domain.Name, c,
				controlplane.ReasonApplyPending)
		}
	}
	_, err = a.AddDomain(t.Context(), alice, a.org, in[0])
	if !controlplane.HasCode(err, "domain-exists") ||
		controlplane.AsError(err).ExistingID != added[0].Domain.ID {
		t.Errorf("AddDomain() of an existing domain = %v, want domain-exists with its ID", err)
	}
}

// A pinned delegation without a domain shows why its record does not exist, and its checks request
// the record again.
func TestDefaultOfAPinnedDelegation(t *testing.T) {
	t.Parallel()
	a := newThrough(t)
	const name = "_acme-challenge.example.com"
	a.z.has[name] = []controlplane.RecordSet{{Name: name, Type: "TXT", Values: []string{`"x"`}}}
	g, _, err := a.PinDelegation(t.Context(), alice, a.org, "example.com", a.c.ID)
	must(t, err)
	check := func(want string) {
		t.Helper()
		if j := a.checkOf(g); j.RunAt.After(a.clock.Now()) {
			a.clock.set(j.RunAt)
		}
		_, err := a.runCheck(g)
		must(t, err)
		if g = a.delegation(g); g.Diagnosis == nil || g.Diagnosis.Code != want ||
			g.Diagnosis.Summary == "" {
			t.Errorf("the diagnosis is %+v, want %s", g.Diagnosis, want)
		}
	}
	a.wantApplied(a.open(), 0, 0, name+" "+controlplane.CodeDNSConflict)
	if due := a.checkOf(g).RunAt; due.After(a.clock.Now()) {
		t.Errorf("the check is due at %s after the conflict, want now", due)
	}
	check(controlplane.CodeDNSConflict)
	delete(a.z.has, name)
	check(controlplane.CodeDNSConflict)
	a.wantApplied(a.open(), 1, 0)
	check(controlplane.CauseCNAMEMissing)
	a.doctor.finds(controlplane.CauseOK)
	check(controlplane.CauseOK)
}

// A domain says that the DNS host of its connection does not respond.
func TestDefaultUnreachable(t *testing.T) {
	t.Parallel()
	a := newThrough(t)
	a.z.before = func(controlplane.HostRecord) error {
		return &controlplane.HostError{Kind: controlplane.HostUnreachable, Message: "No response."}
	}
	d := a.add("example.com", through(a.c))
	a.runOpen()
	a.runDue(d, controlplane.JobDNSCheck)
	a.wantDNS("without a response", d, controlplane.ReasonApplyPending)
	if c := a.domain(d).Condition(controlplane.DNSReady); !strings.Contains(c.Message,
		"did not respond") {
		t.Errorf("DNSReady = %q, want that the DNS host did not respond", c.Message)
	}
	a.z.before = nil
	a.runOpen()
	a.wantRecords(1)
}
