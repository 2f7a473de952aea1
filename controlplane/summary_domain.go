package controlplane

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Summary ranks everything known about the domain at now. Of several problems, it states the one
// that has to be solved first.
func (d *Domain) Summary(now time.Time) Summary {
	s := d.summary(now)
	for _, at := range d.turningPoints() {
		if at.After(now) && d.summary(at).State != s.State {
			s.ChangesAt = at
			break
		}
	}
	return s
}

// turningPoints returns the times at which the summary may change by time alone, in order.
func (d *Domain) turningPoints() []time.Time {
	var at []time.Time
	if d.CertificateID == "" || d.ExpiresAt == nil {
		return at
	}
	at = append(at, d.lateAt(), *d.ExpiresAt)
	if d.RenewAt != nil {
		at = append(at, *d.RenewAt)
	}
	slices.SortFunc(at, time.Time.Compare)
	return at
}

// lateAt returns when the renewal of the current certificate is late. The time of issuance stands
// in for the start of the validity, which CAs date back by an hour at most.
func (d *Domain) lateAt() time.Time {
	if d.LastIssuedAt == nil {
		return *d.ExpiresAt
	}
	late, alarm := RenewalLateAt(*d.LastIssuedAt, *d.ExpiresAt),
		ExpiryAlarmAt(*d.LastIssuedAt, *d.ExpiresAt)
	if alarm.Before(late) {
		return alarm
	}
	return late
}

func (d *Domain) summary(now time.Time) Summary {
	switch {
	case d.CertificateID == "" || d.ExpiresAt == nil:
		return d.unissued()
	case !d.HasCertificate(now):
		return d.expired()
	case d.Condition(CertificateReady).Reason == ReasonRevoked:
		return d.revoked(now)
	}
	return d.issued(now)
}

// unissued summarizes a domain without a certificate.
func (d *Domain) unissued() Summary {
	c := d.obstacle()
	f := d.find(c)
	s := f.summary(SummaryBlocked)
	switch {
	case f.stopped:
	case s.Actor == PartyService, s.Actor == PartyCA:
		s.State = SummaryInProgress
	case f.entry.Pending:
		s.State = SummaryWaiting
	}
	return s
}

// expired summarizes a domain whose certificate has expired.
func (d *Domain) expired() Summary {
	c := d.obstacle()
	switch c.Reason {
	case ReasonCertificateExpired, ReasonIssued, ReasonChainNotOffered, ReasonIssuedPartial,
		ReasonCertificateOutdated,
		ReasonRevoked, ReasonNotIssued, "":
		if track := d.Condition(RenewalOnTrack); isProblem(track) {
			c = track
		} else {
			c.Reason, c.Message, c.Fix = ReasonCertificateExpired, "", ""
		}
	}
	f := d.find(c)
	s := f.summary(SummaryExpired)
	expired := "The certificate expired at " + d.ExpiresAt.UTC().Format("2006-01-02 15:04 MST") + "."
	if s.Reason == ReasonCertificateExpired {
		s.Cause = expired
	} else {
		s.Cause = expired + " " + s.Cause
	}
	entry, _ := CodeOf(ReasonCertificateExpired)
	s.Headline = entry.Title
	return s
}

// revoked summarizes a domain whose current certificate was revoked.
func (d *Domain) revoked(now time.Time) Summary {
	cert, track := d.Condition(CertificateReady), d.Condition(RenewalOnTrack)
	f := d.find(cert)
	why := f.message
	switch {
	case isProblem(track):
		f = d.find(track)
		why += " " + f.message
	case d.isRenewing(now):
		f = d.find(d.renewal())
	}
	s := f.summary(SummaryRevoked)
	entry, _ := CodeOf(ReasonRevoked)
	s.Headline, s.Cause = entry.Title, why
	return s
}

// issued summarizes a domain with a certificate that is valid at now.
func (d *Domain) issued(now time.Time) Summary {
	c, state := d.problem(), SummaryAtRisk
	late := !now.Before(d.lateAt()) ||
		d.Condition(RenewalOnTrack).Reason == ReasonCertificateExpiring
	switch {
	case c.Reason == ReasonAutoRenewOff:
		if !late {
			state = SummaryActive
		}
	case c.Reason == ReasonCertificateOutdated && d.isRenewing(now) && !late:
		state, c = SummaryRenewing, d.renewal()
	case c.Reason != "": // a problem
		if f := d.find(c); f.waits() && !late && (!IsCause(c.Reason) || d.isDue(now)) {
			state = SummaryRenewing
		}
	case late:
		c = Condition{Type: RenewalOnTrack, Reason: ReasonCertificateExpiring}
	case d.isRenewing(now):
		state, c = SummaryRenewing, d.renewal()
	default:
		state = SummaryActive
		issued, _ := CodeOf(ReasonIssued)
		c = Condition{Type: RenewalOnTrack, Reason: ReasonScheduled,
			Message: cmp.Or(d.Condition(CertificateReady).Message, issued.Cause)}
	}
	s := d.find(c).summary(state)
	if s.Next == nil && (state == SummaryActive || state == SummaryAtRisk) {
		s.Next = &SummaryEvent{EventExpiry, *d.ExpiresAt}
	}
	if c.Reason == ReasonScheduled {
		s.Headline, s.Actor = state.Title(), PartyNone
	}
	if state == SummaryActive {
		s.Request = ""
	}
	return s
}

// obstacle returns the condition that decides what happens next to a domain without a usable
// certificate: nothing is ordered until the DNS is verified.
func (d *Domain) obstacle() Condition {
	dns, cert := d.Condition(DNSReady), d.Condition(CertificateReady)
	failed := d.Status == DomainError && d.StatusReason != "" &&
		d.StatusReason != ReasonCertificateExpired
	switch {
	case cert.Reason == ReasonCSRKeyCompromised:
		return cert
	case failed && d.StatusReason == ReasonDelegationTimeout:
		dns.Reason, dns.Fix = d.StatusReason, ""
		return dns
	case failed && cert.Reason == d.StatusReason:
		return cert
	case failed && dns.Reason != d.StatusReason:
		// The check failed: the condition still shows the previous one.
		return Condition{Type: DNSReady, Reason: d.StatusReason}
	case dns.Status == ConditionFalse, dns.Status == ConditionUnknown && d.Status != DomainIssuing:
		dns.Reason = cmp.Or(dns.Reason, ReasonCNAMEUnchecked)
		return dns
	case cert.Reason == "", d.CertificateID == "" && cert.Reason == ReasonNotIssued,
		cert.Reason == ReasonAwaitingIssue && d.AutoIssue:
		return Condition{Type: CertificateReady, Reason: ReasonIssuing}
	}
	return cert
}

// problem returns the first problem of a domain with a valid certificate, or the condition that
// automatic renewal is off. It returns the zero Condition if there is neither.
func (d *Domain) problem() Condition {
	for _, t := range []ConditionType{RenewalOnTrack, CertificateReady, DNSReady} {
		if c := d.Condition(t); isProblem(c) {
			return c
		}
	}
	if c := d.Condition(RenewalOnTrack); c.Reason == ReasonAutoRenewOff {
		return c
	}
	return Condition{}
}

// isProblem reports whether the condition is false for a reason that has to be solved before the
// domain gets its next certificate.
func isProblem(c Condition) bool {
	return c.Status == ConditionFalse && c.Reason != ReasonAutoRenewOff &&
		c.Reason != ReasonCertificateExpiring
}

// isDue reports whether the automatic renewal is due.
func (d *Domain) isDue(now time.Time) bool {
	return d.AutoRenew && d.RenewAt != nil && !d.RenewAt.After(now)
}

// isRenewing reports whether the certificate is being renewed, as far as no problem is known.
func (d *Domain) isRenewing(now time.Time) bool {
	return d.isDue(now) || d.Condition(RenewalOnTrack).IsRequested()
}

// renewal returns the condition of a renewal without a problem. The time at which it became due is
// not that of its next attempt.
func (d *Domain) renewal() Condition {
	c := d.Condition(RenewalOnTrack)
	if c.Status != ConditionTrue || c.Reason == ReasonScheduled {
		return Condition{Type: RenewalOnTrack, Reason: ReasonRenewing}
	}
	if c.Reason == ReasonCAAsksNow {
		c.NextCheckAt = nil
	}
	return c
}

// finding is a condition with what the catalog knows about its reason.
type finding struct {
	condition Condition
	entry     Code
	message   string
	next      *SummaryEvent
	stopped   bool // nothing happens until someone requests it
	domain    *Domain
}

func (d *Domain) find(c Condition) finding {
	f := finding{condition: c, domain: d, next: d.nextEvent(c)}
	f.entry, _ = CodeOf(c.Reason)
	f.message = cmp.Or(c.Message, f.entry.Cause)
	f.stopped = f.next == nil && c.Reason != ReasonIssuing && (d.Status == DomainError ||
		c.Type == RenewalOnTrack && c.Status == ConditionFalse && !f.entry.Pending &&
			!IsCause(c.Reason))
	return f
}

// waits reports whether the service continues automatically, because nothing has to be fixed here.
func (f finding) waits() bool {
	return !f.stopped && (f.entry.Actor == PartyService || f.entry.Actor == PartyCA)
}

// nextEvent returns the next attempt to solve what the condition states, nil if none is scheduled.
func (d *Domain) nextEvent(c Condition) *SummaryEvent {
	what := EventRenewal
	switch {
	case c.Type == DNSReady && d.StatusReason != ReasonCertificateExpired:
		what = EventDNSCheck
	case d.CertificateID == "":
		what = EventOrder
	}
	at := c.NextCheckAt
	if at != nil && d.RenewAt != nil && at.Equal(*d.RenewAt) && !d.AutoRenew {
		at = nil // the time of a renewal that is not automatic
	}
	if at == nil && d.CertificateID != "" && d.AutoRenew && d.isScheduled(c) {
		at, what = d.RenewAt, EventRenewal
	}
	if at == nil {
		return nil
	}
	return &SummaryEvent{what, *at}
}

// isScheduled reports whether the automatic renewal is the next attempt. It is not while an order
// is in progress.
func (d *Domain) isScheduled(c Condition) bool {
	return c.Reason != ReasonIssuing && c.Reason != ReasonCAAsksNow && !c.IsRequested() &&
		c.Reason != ReasonRenewing
}

// summary returns the summary of the domain if this finding decides it.
func (f finding) summary(state SummaryState) Summary {
	c, e := f.condition, f.entry
	s := Summary{State: state, Reason: c.Reason, Headline: cmp.Or(e.Title, string(c.Reason)),
		Cause: f.message, NextStep: cmp.Or(c.Fix, e.Fix), Next: f.next, Actor: e.Actor}
	s.DashboardStep = cmp.Or(e.DashboardFix, s.NextStep)
	switch idle := isIdle(s.NextStep); {
	case f.stopped && !e.Resumes:
		restart := f.restart()
		if idle || s.Actor == PartyService || s.Actor == PartyCA {
			s.NextStep, s.DashboardStep = restart.Fix, cmp.Or(restart.DashboardFix, restart.Fix)
			if s.Actor != PartyOperator {
				s.Actor = PartyCustomer
			}
			break
		}
		s.NextStep = join(s.NextStep, restart.Fix)
		s.DashboardStep = join(s.DashboardStep, cmp.Or(restart.DashboardFix, restart.Fix))
	case idle && s.Actor == PartyCustomer:
		s.Actor = PartyService
	case !idle && (s.Actor == PartyService || s.Actor == PartyCA):
		s.NextStep, s.DashboardStep = noAction+" "+s.NextStep, noAction+" "+s.DashboardStep
	}
	if s.Actor == PartyCustomer || f.stopped {
		s.Request = f.request()
	}
	return s
}

// restart returns the entry whose fix starts work that has stopped.
func (f finding) restart() Code {
	code := ReasonAwaitingIssue
	switch {
	case f.condition.Type == DNSReady:
		code = ReasonDeadLettered
	case f.domain.CertificateID != "":
		code = ReasonCertificateExpired
	}
	entry, _ := CodeOf(code)
	return entry
}

// request returns the type of the job that the next step requests, or that follows it.
func (f finding) request() JobType {
	switch {
	case f.condition.Reason == ReasonCSRKeyCompromised:
		return ""
	case f.condition.Type == DNSReady, IsCause(f.condition.Reason):
		return JobDNSCheck
	case f.domain.CertificateID == "":
		return JobStartIssuance
	}
	return JobRenewal
}

// isIdle reports whether a fix requires no action.
func isIdle(fix string) bool { return strings.HasPrefix(fix, noAction) }

// join returns two sentences. The first may be empty, or without its period.
func join(first, second string) string {
	switch {
	case first == "":
		return second
	case strings.ContainsRune(".!?", rune(first[len(first)-1])):
		return first + " " + second
	}
	return first + ". " + second
}
