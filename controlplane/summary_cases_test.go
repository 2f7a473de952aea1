package controlplane_test

import (
	"fmt"
	"slices"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

var summaryNow = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

// life is the state of a domain's certificate.
type life struct {
	name                     string
	issued, expires, renewAt time.Duration // from now; issued 0 means no certificate
	revoked                  bool
}

const day = 24 * time.Hour

var lives = []life{
	{name: "none"},
	{name: "valid", issued: -10 * day, expires: 80 * day, renewAt: 50 * day},
	{name: "due", issued: -60*day - time.Hour, expires: 30*day - time.Hour, renewAt: -time.Hour},
	{name: "late", issued: -80 * day, expires: 10 * day, renewAt: 2 * time.Hour},
	{name: "expired", issued: -91 * day, expires: -time.Hour, renewAt: 2 * time.Hour},
	{name: "expired, due", issued: -91 * day, expires: -time.Hour, renewAt: -time.Hour},
	{name: "revoked", issued: -10 * day, expires: 80 * day, renewAt: 50 * day, revoked: true},
	{name: "revoked, due", issued: -10 * day, expires: 80 * day, renewAt: -2 * time.Minute,
		revoked: true},
}

// plainReasons are the states of a certificate and its renewal, other than failures of an order.
var plainReasons = []controlplane.Reason{controlplane.ReasonNotIssued,
	controlplane.ReasonAwaitingIssue, controlplane.ReasonIssuing, controlplane.ReasonIssued,
	controlplane.ReasonChainNotOffered, controlplane.ReasonCertificateOutdated,
	controlplane.ReasonOptionsChanged, controlplane.ReasonScheduled, controlplane.ReasonRenewing,
	controlplane.ReasonCAAsksNow,
	controlplane.ReasonAutoRenewOff, controlplane.ReasonRevoked,
	controlplane.ReasonCertificateExpiring, controlplane.ReasonCertificateExpired,
	controlplane.ReasonCNAMEUnchecked, controlplane.ReasonDelegated,
	controlplane.ReasonDelegationTimeout}

// reasons returns the reasons in the catalog: the causes in DNS, and the failures of an order.
func reasons() (causes, failures []controlplane.Reason) {
	for _, c := range controlplane.Codes() {
		r := controlplane.Reason(c.Code)
		switch {
		case c.In&controlplane.InCondition == 0 || slices.Contains(plainReasons, r):
		case controlplane.IsCause(r):
			causes = append(causes, r)
		case c.Code != controlplane.CauseOK:
			failures = append(failures, r)
		}
	}
	return causes, failures
}

// shown returns a condition as the service writes it, with texts that name their source.
func shown(
	kind controlplane.ConditionType, status controlplane.ConditionStatus, r controlplane.Reason,
	next *time.Time,
) controlplane.Condition {
	c := controlplane.Condition{Type: kind, Status: status, Reason: r, NextCheckAt: next,
		Message: fmt.Sprintf("Message of %s %s.", kind, r)}
	if status == controlplane.ConditionFalse {
		entry, _ := controlplane.CodeOf(r)
		c.Fix = entry.Fix
	}
	return c
}

// part is the status and reason of a condition.
type part struct {
	status controlplane.ConditionStatus
	reason controlplane.Reason
}

func parts(status controlplane.ConditionStatus, reasons ...controlplane.Reason) (all []part) {
	for _, r := range reasons {
		all = append(all, part{status, r})
	}
	return all
}

// possible returns the conditions that domains with such a certificate can have, and their
// statuses.
func (l life) possible() (statuses []controlplane.DomainStatus, dns, cert, track []part) {
	causes, failures := reasons()
	dns = slices.Concat(parts("true", controlplane.ReasonDelegated), parts("false", causes...))
	unissued := slices.Concat(parts("false", controlplane.ReasonNotIssued,
		controlplane.ReasonAwaitingIssue, controlplane.ReasonIssuing,
		controlplane.ReasonCertificateExpired, controlplane.CauseCAAForbids,
		controlplane.CauseCAALookupFailed), parts("false", failures...))
	planned := slices.Concat(parts("true", controlplane.ReasonScheduled,
		controlplane.ReasonCAAsksNow, controlplane.ReasonRenewing,
		controlplane.ReasonOptionsChanged), parts("false", controlplane.ReasonAutoRenewOff, controlplane.ReasonCertificateExpiring))
	pending := []controlplane.DomainStatus{controlplane.DomainPendingCNAME,
		controlplane.DomainIssuing, controlplane.DomainError}
	active := []controlplane.DomainStatus{controlplane.DomainActive}
	issued := append(parts("true", controlplane.ReasonIssued, controlplane.ReasonChainNotOffered),
		parts("false", controlplane.ReasonCertificateOutdated)...)
	failing := slices.Concat(planned, parts("false", causes...), parts("false", failures...))
	switch {
	case l.issued == 0:
		dns = append(dns, parts("unknown", controlplane.ReasonCNAMEUnchecked,
			controlplane.CauseResolverUnreachable)...)
		return pending, dns, unissued, []part{{}}
	case l.expires < 0: // the failures since then are shown in CertificateReady
		return append(pending, active...), dns, append(unissued, issued...), failing[:9]
	case l.revoked:
		return active, dns, parts("false", controlplane.ReasonRevoked), failing
	}
	return active, dns, issued, failing
}

// eachDomain calls visit with every combination of status, conditions, certificate, and schedule
// that can occur, and returns their number.
func eachDomain(visit func(d *controlplane.Domain, l life)) (n int) {
	for _, l := range lives {
		statuses, dns, certs, tracks := l.possible()
		for _, status := range statuses {
			for _, d := range dns {
				for _, c := range certs {
					for _, t := range tracks {
						n += eachSchedule(l, status, []part{d, c, t}, visit)
					}
				}
			}
		}
	}
	return n
}

// eachSchedule calls visit with the domain at each time of the next check, with automatic issuance
// and renewal and without.
func eachSchedule(
	l life, status controlplane.DomainStatus, p []part,
	visit func(d *controlplane.Domain, l life),
) (n int) {
	past, future := summaryNow.Add(-time.Minute), summaryNow.Add(time.Hour)
	for _, next := range []*time.Time{nil, &past, &future} {
		for _, auto := range []bool{true, false} {
			d := newSummaryDomain(l, status, auto)
			for i, k := range controlplane.ConditionKinds() {
				if p[i].reason != "" {
					d.SetCondition(shown(k.Type, p[i].status, p[i].reason, next))
				}
			}
			if settle(d) {
				visit(d, l)
				n++
			}
		}
	}
	return n
}

func newSummaryDomain(l life, status controlplane.DomainStatus, auto bool) *controlplane.Domain {
	d := &controlplane.Domain{ID: "dom_x", Name: "example.com", Status: status,
		Options: controlplane.Options{AutoIssue: auto, AutoRenew: auto}}
	if l.issued != 0 {
		issued, expires, renewAt := summaryNow.Add(l.issued), summaryNow.Add(l.expires),
			summaryNow.Add(l.renewAt)
		d.CertificateID, d.LastIssuedAt, d.ExpiresAt, d.RenewAt = "crt_x", &issued, &expires,
			&renewAt
	}
	return d
}

// settle completes a domain from its conditions as the service does, and returns false for a
// combination that cannot occur.
func settle(d *controlplane.Domain) bool {
	dns, cert := d.Condition(controlplane.DNSReady), d.Condition(controlplane.CertificateReady)
	track := d.Condition(controlplane.RenewalOnTrack)
	switch {
	case cert.Reason == controlplane.ReasonAwaitingIssue && d.AutoIssue,
		cert.Reason == controlplane.ReasonCertificateExpired && d.CertificateID == "",
		cert.Reason == controlplane.ReasonNotIssued && d.CertificateID != "",
		track.Reason == controlplane.ReasonAutoRenewOff && d.AutoRenew,
		track.Reason == controlplane.ReasonScheduled && !d.AutoRenew,
		track.Reason == controlplane.ReasonCSRKeyCompromised && track.NextCheckAt != nil,
		cert.Reason == controlplane.ReasonCSRKeyCompromised && cert.NextCheckAt != nil,
		cert.Reason == controlplane.ReasonIssuing && d.Status == controlplane.DomainError,
		cert.Status == controlplane.ConditionTrue && d.CertificateID == "":
		return false
	}
	if track.Reason == controlplane.ReasonCSRKeyCompromised ||
		cert.Reason == controlplane.ReasonCSRKeyCompromised {
		d.RenewAt = nil
	}
	switch d.Status {
	case controlplane.DomainPendingCNAME:
		if d.StatusReason = dns.Reason; dns.Status == controlplane.ConditionTrue {
			d.StatusReason = cert.Reason
		}
	case controlplane.DomainError:
		if d.StatusReason = cert.Reason; dns.Status == controlplane.ConditionFalse &&
			dns.NextCheckAt == nil {
			d.StatusReason = controlplane.ReasonDelegationTimeout
		}
	}
	return true
}

// describe returns what decides a domain's summary, for failures.
func describe(d *controlplane.Domain, l life) string {
	text := fmt.Sprintf("%s (%s), certificate %s, auto %v", d.Status, d.StatusReason, l.name,
		d.AutoRenew)
	for _, c := range d.Conditions {
		text += fmt.Sprintf(", %s %s %s", c.Type, c.Status, c.Reason)
		if c.NextCheckAt != nil {
			text += " at " + c.NextCheckAt.Sub(summaryNow).String()
		}
	}
	return text
}
