package dnscheck_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// namesOf returns the first n domains of a batch, to be checked together.
func namesOf(n int) []controlplane.NameCheck {
	var names []controlplane.NameCheck
	for i := range n {
		names = append(names, controlplane.NameCheck{Name: fmt.Sprintf("d%d.example.com", i),
			Target: target, Plain: true})
	}
	return names
}

// together examines names in one call.
func (b *batch) together(names []controlplane.NameCheck) []controlplane.Examination {
	b.t.Helper()
	all, err := b.doctor.ExamineNames(b.t.Context(), names, bothCAs)
	if err != nil {
		b.t.Fatal(err)
	}
	return all
}

// ignoreServers ignores which of several servers with the same answers a finding mentions.
var ignoreServers = []cmp.Option{
	cmpopts.IgnoreFields(controlplane.Diagnosis{}, "Evidence", "Observed"),
	cmpopts.IgnoreFields(controlplane.CAAFinding{}, "Observed"),
}

// TestNamesShareAZone examines all domains of a zone together, also if no answer may be kept. It
// counts the queries, and compares the results with those of single examinations. The challenge
// name of each is queried at each resolver and at each server.
func TestNamesShareAZone(t *testing.T) {
	t.Parallel()
	for _, servers := range []int{0, 2, 4, 6} {
		for _, ttl := range []string{"kept", "TTL 0"} {
			t.Run(fmt.Sprintf("%d servers, %s", servers, ttl), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { sharesAZone(t, servers, ttl == "TTL 0") })
			})
		}
	}
}

func sharesAZone(t *testing.T, servers int, unkept bool) {
	t.Helper()
	b := newBatch(t, servers, letsOne)
	if unkept {
		b.change(func(v view) view {
			v.negTTL = 0
			for i, r := range v.records {
				f := strings.Fields(r)
				v.records[i] = strings.Join(append([]string{f[0], "0"}, f[2:]...), " ")
			}
			return v
		})
	}
	all := b.together(namesOf(siblings))
	total := b.sent("")
	first := 7 + 5*servers // see TestQueriesOfARehearsal
	if servers == 0 {
		first = 10
	}
	if limit := first + 12*(siblings-1); total > limit {
		t.Errorf("ExamineNames of %d names sent %d queries, want at most %d", siblings,
			total, limit)
	}
	for i, n := range namesOf(siblings) {
		for network, want := range map[string]int{"doh": 2, "udp": servers} {
			part := network + " TXT _acme-challenge." + n.Name + "."
			if sent := b.sent(part); sent != want {
				t.Errorf("ExamineNames sent %d queries %s, want %d", sent, part, want)
			}
		}
		want := b.examine(n.Name)
		if diff := cmp.Diff(want, all[i], ignoreServers...); diff != "" {
			t.Errorf("ExamineNames(%s) differs from Examine (-Examine +got):\n%s",
				n.Name, diff)
		}
	}
	t.Logf("%.1f queries for each further name",
		float64(total-first)/float64(siblings-1))
}

// TestNamesAreSpreadOverServers examines names of a zone with more servers than the bound of
// queries allows to be asked everything: each server gets a similar number of queries.
func TestNamesAreSpreadOverServers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBatch(t, 6)
		b.together(namesOf(siblings))
		if n := b.tcp.Load(); n != 6 {
			t.Errorf("ExamineNames sent %d queries over TCP, want 6, for the first name", n)
		}
		if n, want := b.sent("udp CAA d"), 6+3*(siblings-1); n != want {
			t.Errorf("ExamineNames sent %d CAA queries for the names to servers, want %d", n, want)
		}
	})
}

// TestOneOfSeveralNamesIsBroken examines names of which one has each problem. The others have no
// problem.
func TestOneOfSeveralNamesIsBroken(t *testing.T) {
	t.Parallel()
	for code, broken := range map[string]rule{
		controlplane.CauseCNAMEMismatch: {at: "_acme-challenge.d7.", answer: []string{
			"_acme-challenge.d7.example.com. 300 IN CNAME other.example.net."}},
		controlplane.CauseCNAMEMissing: {at: "_acme-challenge.d7.", nothing: true},
		controlplane.CauseCAAForbids: {at: "d7.example.com.", qtype: 257, answer: []string{
			`d7.example.com. 300 IN CAA 0 issue "digicert.com"`}},
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBatch(t, 2)
				b.change(func(v view) view { return v.except(broken) })
				for i, e := range b.together(namesOf(siblings)) {
					want := controlplane.CauseOK
					if i == 7 {
						want = code
					}
					wantCode(t, fmt.Sprintf("ExamineNames, name %d", i), e, want)
				}
			})
		})
	}
}

// TestNamesOfACallAreCurrent changes the zone's CAA records between two checks. A second call of
// ExamineNames sees that at once; RehearseNames reuses what the first has found out, and confirms
// causes.
func TestNamesOfACallAreCurrent(t *testing.T) {
	t.Parallel()
	b := newBatch(t, 2, letsOne)
	names := namesOf(3)
	rehearse := func() []controlplane.Examination {
		b.later(time.Second)
		all, err := b.doctor.RehearseNames(t.Context(), names, bothCAs)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	b.together(names)
	b.change(func(v view) view { return v.replaced(letsOne, letsOther) })
	for i, e := range rehearse() {
		wantCode(t, fmt.Sprintf("RehearseNames within the TTL, name %d", i), e,
			controlplane.CauseOK)
		if at := e.Delegation.CheckedAt; !at.Equal(noon) {
			t.Errorf("CheckedAt = %s, want that of the reused answer, %s", at, noon)
		}
	}
	for i, e := range b.together(names) {
		wantCode(t, fmt.Sprintf("ExamineNames after the change, name %d", i), e,
			controlplane.CauseCAAForbids)
	}
	b.change(func(v view) view { return v.replaced(letsOther, letsOne) })
	b.forget()
	for i, e := range rehearse() {
		wantCode(t, fmt.Sprintf("RehearseNames after the fix, name %d", i), e,
			controlplane.CauseOK)
	}
	if n := b.sent("CAA example.com."); n != 3 {
		t.Errorf("RehearseNames sent %d queries to confirm a common cause, want 3", n)
	}
}

// TestOnlyTheWildcardIsCertified examines a name of which only the wildcard is in the certificate.
func TestOnlyTheWildcardIsCertified(t *testing.T) {
	t.Parallel()
	wild, only := `0 issuewild "letsencrypt.org"`, `0 issue "letsencrypt.org"`
	none := `0 issue ";"`
	for _, tt := range []struct {
		caa     []string
		allowed bool
		clear   controlplane.Certified
	}{
		{nil, true, controlplane.Certified{Plain: true, Wildcard: true}},
		{[]string{none, wild}, true, controlplane.Certified{Wildcard: true}},
		{[]string{only}, true, controlplane.Certified{Plain: true, Wildcard: true}},
		{[]string{none}, false, controlplane.Certified{}},
		{[]string{only, `0 issuewild ";"`}, false, controlplane.Certified{}},
	} {
		v := zone.with(fineAt)
		for _, r := range tt.caa {
			v = v.with("example.com. 60 IN CAA " + r)
		}
		all, err := doctor(two(v), two(v)).ExamineNames(t.Context(), []controlplane.NameCheck{
			{Name: "example.com", Target: target, Wildcard: true}}, bothCAs[:1])
		if err != nil {
			t.Fatal(err)
		}
		f := all[0].CAA[0]
		if f.Allowed != tt.allowed {
			t.Errorf("%v allows %s for *.example.com = %v, want %v", tt.caa, f.CA, f.Allowed,
				tt.allowed)
		}
		if all[0].Clear != tt.clear {
			t.Errorf("%v is clear for %+v, want %+v", tt.caa, all[0].Clear, tt.clear)
		}
		if !tt.allowed && (!strings.Contains(f.Summary, "for *.example.com.") ||
			strings.Contains(f.Summary, "example.com and")) {
			t.Errorf("summary = %q, want only *.example.com", f.Summary)
		}
	}
}

// TestChecksOfNamesAreBounded examines names whose servers do not answer, and whose resolvers wait
// for them.
func TestChecksOfNamesAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBatch(t, 2)
		b.change(func(v view) view {
			return v.except(rule{at: "_acme-challenge", silent: true}, rule{at: "d", silent: true})
		})
		for n, limit := range map[int]time.Duration{2: 10 * time.Second, 40: 30 * time.Second,
			siblings * 10: time.Minute} {
			start := time.Now()
			all := b.together(slices.Repeat(namesOf(min(n, siblings)), max(1, n/siblings)))
			if took := time.Since(start); took > limit {
				t.Errorf("ExamineNames of %d names took %s, want at most %s", n, took, limit)
			}
			for _, e := range all {
				if e.OK() {
					t.Errorf("ExamineNames found %+v, want a cause", e)
				}
			}
		}
	})
}

// TestExamineNamesEndsWithItsContext cancels a check, and checks an invalid name.
func TestExamineNamesEndsWithItsContext(t *testing.T) {
	t.Parallel()
	b := newBatch(t, 2)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.doctor.ExamineNames(ctx, namesOf(3), bothCAs); !errors.Is(err,
		context.Canceled) {
		t.Errorf("ExamineNames with a canceled context = %v, want its error", err)
	}
	names := namesOf(2)
	names[1].Name = "a..b"
	if _, err := b.doctor.ExamineNames(t.Context(), names, bothCAs); err == nil {
		t.Error("ExamineNames(a..b) = nil, want an error")
	}
}
