package controlplane_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// The summary of a domain never contradicts the domain.
func TestSummaryInvariants(t *testing.T) {
	t.Parallel()
	seen, broken := map[controlplane.SummaryState]int{}, map[string]int{}
	n := eachDomain(func(d *controlplane.Domain, l life) {
		before := *d
		before.Conditions = slices.Clone(d.Conditions)
		s := d.Summary(summaryNow)
		if !reflect.DeepEqual(before, *d) {
			t.Fatalf("Summary changed the domain: %s", describe(&before, l))
		}
		seen[s.State]++
		for _, rule := range contradictions(d, l, s) {
			if broken[rule]++; broken[rule] <= 2 {
				t.Errorf("Summary(%s) = %+v: %s", describe(d, l), s, rule)
			}
		}
	})
	t.Logf("%d combinations: %v, broken rules: %v", n, seen, broken)
	for _, k := range controlplane.SummaryKinds() {
		if seen[k.State] == 0 {
			t.Errorf("Summary never returned the state %s", k.State)
		}
	}
	if n < 20_000 {
		t.Errorf("the test covers %d combinations, want at least 20,000", n)
	}
}

// contradictions returns the rules that a summary breaks.
func contradictions(d *controlplane.Domain, l life, s controlplane.Summary) (broken []string) {
	rule := func(ok bool, text string) {
		if !ok {
			broken = append(broken, text)
		}
	}
	in := func(states ...controlplane.SummaryState) bool { return slices.Contains(states, s.State) }
	entry, known := controlplane.CodeOf(s.Reason)
	rule(known, "the reason is not in the catalog")
	rule(s.Headline != "" && s.Cause != "" && s.NextStep != "" && s.DashboardStep != "",
		"a text is missing")

	// The state is that of the certificate.
	switch {
	case l.issued == 0:
		rule(in(controlplane.SummaryWaiting, controlplane.SummaryInProgress,
			controlplane.SummaryBlocked), "a domain without a certificate has a state of one with it")
	case l.expires < 0:
		rule(in(controlplane.SummaryExpired), "an expired certificate has another state")
		rule(strings.Contains(s.Cause, "expired at"), "the cause does not state the expiry")
	case l.revoked:
		rule(in(controlplane.SummaryRevoked), "a revoked certificate has another state")
		rule(strings.Contains(s.Cause, "CertificateReady revoked"),
			"the cause does not state the revocation")
	default:
		rule(in(controlplane.SummaryActive, controlplane.SummaryRenewing,
			controlplane.SummaryAtRisk), "a valid certificate has the state of another one")
	}

	// It is fine only if each condition is fine.
	dns := d.Condition(controlplane.DNSReady)
	false_ := falseReasons(d)
	if in(controlplane.SummaryActive) {
		rule(len(slices.DeleteFunc(slices.Clone(false_), func(r controlplane.Reason) bool {
			return r == controlplane.ReasonAutoRenewOff
		})) == 0, "active in spite of a false condition")
	}
	rule((s.Actor == controlplane.PartyNone) == (in(controlplane.SummaryActive) &&
		s.Reason == controlplane.ReasonScheduled), "no actor, and not fine, or the reverse")

	// The reason is one that the domain shows, or that its state and the time imply.
	implied := []controlplane.Reason{controlplane.ReasonIssuing, controlplane.ReasonRenewing,
		controlplane.ReasonOptionsChanged, controlplane.ReasonScheduled,
		controlplane.ReasonCertificateExpiring,
		controlplane.ReasonCertificateExpired, controlplane.ReasonCAAsksNow}
	rule(slices.Contains(false_, s.Reason) || slices.Contains(implied, s.Reason) ||
		d.Status == controlplane.DomainError && s.Reason == d.StatusReason,
		"the domain does not have the reason")
	if slices.Contains(false_, s.Reason) && s.Reason != controlplane.ReasonIssuing {
		shows := func(c controlplane.Condition) bool {
			return c.Reason == s.Reason && strings.Contains(s.Cause, c.Message)
		}
		rule(slices.ContainsFunc(d.Conditions, shows) ||
			s.Reason == controlplane.ReasonCertificateExpired ||
			s.Reason == controlplane.ReasonCertificateExpiring,
			"the cause is not that of the condition with the reason")
	}
	suspended := slices.Contains(false_, controlplane.ReasonCSRKeyCompromised)
	if suspended && !strings.HasPrefix(l.name, "expired") {
		rule(s.Reason == controlplane.ReasonCSRKeyCompromised, "the suspension is not stated")
	}
	if controlplane.IsCause(s.Reason) && dns.Status == controlplane.ConditionTrue {
		rule(slices.Contains(false_, s.Reason), "DNS is blamed though it is verified")
	}
	if l.issued == 0 && dns.Status == controlplane.ConditionFalse && !suspended {
		rule(s.Reason == dns.Reason || s.Reason == d.StatusReason,
			"the DNS is misconfigured, and another cause is stated")
	}

	// Only a party that acts has a step.
	idle := strings.HasPrefix(s.NextStep, "No action needed.")
	switch s.Actor {
	case controlplane.PartyCustomer:
		rule(!idle, "the customer has no step")
	case controlplane.PartyNone, controlplane.PartyService, controlplane.PartyCA:
		rule(idle, "a step without a customer")
		rule(s.Request == "", "a request without a customer")
	}
	rule(!in(controlplane.SummaryInProgress, controlplane.SummaryRenewing) ||
		s.Actor == controlplane.PartyService || s.Actor == controlplane.PartyCA,
		"in progress, and someone has to act")
	rule(!in(controlplane.SummaryWaiting) || s.Actor == controlplane.PartyCustomer &&
		entry.Pending, "waiting for no one")
	rule(!in(controlplane.SummaryActive) || s.Request == "", "active, and a request would help")

	// The schedule is shown.
	for _, c := range d.Conditions {
		stated := c.Reason == s.Reason && c.Status == controlplane.ConditionFalse &&
			c.NextCheckAt != nil && strings.Contains(s.Cause, c.Message)
		rule(!stated || s.Next != nil && s.Next.At.Equal(*c.NextCheckAt),
			"the next attempt is not shown")
	}
	if in(controlplane.SummaryActive) && d.AutoRenew {
		rule(s.Next != nil && s.Next.What == controlplane.EventRenewal &&
			s.Next.At.Equal(*d.RenewAt), "the renewal is not shown")
	}
	if in(controlplane.SummaryActive, controlplane.SummaryAtRisk) {
		rule(s.Next != nil, "a valid certificate, and not even its expiry is shown")
	}

	// It changes when it says, and not before.
	if at := s.ChangesAt; !at.IsZero() {
		rule(at.After(summaryNow), "changes in the past")
		rule(d.Summary(at).State != s.State, "does not change at ChangesAt")
		rule(d.Summary(at.Add(-time.Microsecond)).State == s.State, "changes before ChangesAt")
	} else {
		rule(d.Summary(summaryNow.Add(400*day)).State == s.State, "changes without ChangesAt")
	}
	return broken
}

// falseReasons returns the reasons of the conditions that are not true.
func falseReasons(d *controlplane.Domain) (r []controlplane.Reason) {
	for _, c := range d.Conditions {
		if c.Status == controlplane.ConditionFalse ||
			c.Status == controlplane.ConditionUnknown && d.CertificateID == "" {
			r = append(r, c.Reason)
		}
	}
	return r
}

// A domain of which hardly anything is known has a summary, too.
func TestSummaryOfIncompleteDomain(t *testing.T) {
	t.Parallel()
	expires := summaryNow.Add(day)
	for _, d := range []controlplane.Domain{
		{}, {CertificateID: "crt_x"}, {CertificateID: "crt_x", ExpiresAt: &expires},
		{ExpiresAt: &expires}, {Status: controlplane.DomainError},
		{Status: controlplane.DomainActive, CertificateID: "crt_x", ExpiresAt: &expires},
		{Status: controlplane.DomainError, StatusReason: "unknown-code"},
	} {
		if s := d.Summary(summaryNow); s.State == "" || s.Headline == "" || s.NextStep == "" {
			t.Errorf("Summary(%+v) = %+v, want a state, a headline, and a next step", d, s)
		}
	}
}
