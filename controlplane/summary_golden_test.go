package controlplane_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// golden is what matters of a summary.
type golden struct {
	State    controlplane.SummaryState
	Headline string
	Cause    string
	NextStep string
	Next     controlplane.SummaryEventKind
	In       time.Duration
	Actor    string
	Request  controlplane.JobType
}

// at returns a time relative to summaryNow.
func at(d time.Duration) *time.Time {
	t := summaryNow.Add(d)
	return &t
}

// situation returns a domain with a certificate of the given life, none if empty, and conditions.
func situation(
	status controlplane.DomainStatus, l string, conditions ...controlplane.Condition,
) *controlplane.Domain {
	var found life
	for _, one := range lives {
		if one.name == l {
			found = one
		}
	}
	d := newSummaryDomain(found, status, true)
	d.SetCondition(controlplane.Condition{Type: controlplane.DNSReady, Status: "true",
		Reason: controlplane.ReasonDelegated, Message: "It points to the target."})
	if d.CertificateID != "" {
		d.SetCondition(controlplane.Condition{Type: controlplane.CertificateReady, Status: "true",
			Reason: controlplane.ReasonIssued, Message: "A certificate of R3 is valid."})
		d.SetCondition(controlplane.Condition{Type: controlplane.RenewalOnTrack, Status: "true",
			Reason: controlplane.ReasonScheduled, Message: "Scheduled.", NextCheckAt: d.RenewAt})
	}
	for _, c := range conditions {
		d.SetCondition(c)
	}
	if status == controlplane.DomainError || status == controlplane.DomainPendingCNAME {
		d.StatusReason = conditions[0].Reason
	}
	return d
}

func dnsReady(reason, message, fix string, next *time.Time) controlplane.Condition {
	return controlplane.Condition{Type: controlplane.DNSReady, Status: "false",
		Reason: controlplane.Reason(reason), Message: message, Fix: fix, NextCheckAt: next}
}

func certificateReady(reason, message, fix string, next *time.Time) controlplane.Condition {
	c := dnsReady(reason, message, fix, next)
	c.Type = controlplane.CertificateReady
	return c
}

func renewalOnTrack(reason, message, fix string, next *time.Time) controlplane.Condition {
	c := dnsReady(reason, message, fix, next)
	c.Type = controlplane.RenewalOnTrack
	return c
}

// manual turns automatic issuance and renewal off.
func manual(d *controlplane.Domain) *controlplane.Domain {
	d.AutoIssue, d.AutoRenew = false, false
	return d
}

func TestSummary(t *testing.T) {
	t.Parallel()
	const (
		pending  = controlplane.DomainPendingCNAME
		issuing  = controlplane.DomainIssuing
		active   = controlplane.DomainActive
		failed   = controlplane.DomainError
		noAction = "No action needed."
	)
	unchecked := dnsReady("cname-unchecked", "The CNAME has not been checked yet.",
		"Create this record: x CNAME y", at(0))
	unchecked.Status = controlplane.ConditionUnknown
	unreachable := dnsReady("resolver-unreachable", "No resolver answered.", "",
		at(15*time.Second))
	unreachable.Status = controlplane.ConditionUnknown
	caa := "The CAA records allow only other CAs."
	renewing := renewalOnTrack("renewing", "The certificate is being renewed.", "", nil)
	renewing.Status = controlplane.ConditionTrue
	reissuing := renewalOnTrack("options-changed", "It is being ordered.", "", nil)
	reissuing.Status = controlplane.ConditionTrue
	outdated := certificateReady("certificate-outdated", "It has earlier options.",
		"Request another.", nil)
	revoked := certificateReady("revoked", "The current certificate was revoked (superseded).",
		"Order a new one: POST /api/domains/dom_x/issue", nil)
	for name, c := range map[string]struct {
		domain *controlplane.Domain
		want   golden
	}{
		"added": {situation(pending, "", unchecked), golden{"waiting", "Not checked yet",
			"The CNAME has not been checked yet.", "Create this record: x CNAME y", "dns_check", 0,
			"customer", "dns_check"}},
		"record missing": {situation(pending, "",
			dnsReady("cname-missing", "No CNAME yet.", "Create it.", at(5*time.Second))),
			golden{"waiting", "CNAME not found", "No CNAME yet.", "Create it.", "dns_check",
				5 * time.Second, "customer", "dns_check"}},
		"record to another target": {situation(pending, "",
			dnsReady("cname-mismatch", "It points to x.", "Change it.", at(time.Minute))),
			golden{"blocked", "CNAME points elsewhere", "It points to x.", "Change it.",
				"dns_check", time.Minute, "customer", "dns_check"}},
		"negative answer cached": {situation(pending, "",
			dnsReady("negative-cached", "Cached until 9:05.", "", at(5*time.Minute))),
			golden{"in_progress", "Negative answer cached", "Cached until 9:05.",
				noAction + " The check is retried automatically.", "dns_check", 5 * time.Minute,
				"service", ""}},
		"resolvers unreachable": {situation(pending, "", unreachable),
			golden{"in_progress", "Resolvers unreachable", "No resolver answered.",
				controlplane.FixOf("resolver-unreachable"), "dns_check", 15 * time.Second,
				"service", ""}},
		"CAA forbids, record verified": {situation(pending, "",
			certificateReady("caa-forbids", "Certificate pending: "+caa, "Add a record.",
				at(time.Hour))),
			golden{"blocked", "CA forbidden by CAA records", "Certificate pending: " + caa,
				"Add a record.", "order", time.Hour, "customer", "dns_check"}},
		"record never created": {func() *controlplane.Domain {
			d := situation(failed, "", dnsReady("cname-missing", "No CNAME.", "Create it.", nil))
			d.StatusReason = controlplane.ReasonDelegationTimeout
			return d
		}(), golden{"blocked", "Delegation timeout", "No CNAME.",
			controlplane.FixOf("delegation-timeout"), "", 0, "customer", "dns_check"}},
		"auto_issue off": {manual(situation(pending, "", certificateReady("awaiting-issue",
			"It is ordered on request.", "POST /api/domains/dom_x/issue", nil))),
			golden{"waiting", "Ready to issue", "It is ordered on request.",
				"POST /api/domains/dom_x/issue", "", 0, "customer", "start_issuance"}},
		"issuing": {situation(issuing, "", certificateReady("issuing",
			"The certificate is being ordered.", "", nil)),
			golden{"in_progress", "Issuance in progress", "The certificate is being ordered.",
				noAction, "", 0, "service", ""}},
		"verified, order not started": {situation(pending, "", certificateReady("not-issued",
			"It is ordered after the CNAME is verified.", "", nil)),
			golden{"in_progress", "Issuance in progress", "The certificate is being ordered.",
				noAction, "", 0, "service", ""}},
		"unknown profile, to be retried": {situation(issuing, "", certificateReady("ca-profile",
			"No profile “x”.", "Choose another profile.", at(40*time.Second))),
			golden{"blocked", "Profile not offered by the CA", "No profile “x”.",
				"Choose another profile.", "order", 40 * time.Second, "customer",
				"start_issuance"}},
		"unknown profile, dead-lettered": {situation(failed, "", certificateReady("ca-profile",
			"Failed 4 times, and no retry is scheduled: no profile “x”.",
			"Choose another profile.", nil)),
			golden{"blocked", "Profile not offered by the CA",
				"Failed 4 times, and no retry is scheduled: no profile “x”.",
				"Choose another profile. Request the certificate with POST …/issue.", "", 0,
				"customer", "start_issuance"}},
		"CA quota": {situation(issuing, "", certificateReady("ca-quota", "300 orders in 3 h.",
			noAction+" Later.", at(time.Hour))),
			golden{"in_progress", "CA rate limit", "300 orders in 3 h.", noAction + " Later.",
				"order", time.Hour, "service", ""}},
		"order budget": {situation(issuing, "", certificateReady("order-budget", "60 orders.",
			"", at(time.Hour))),
			golden{"in_progress", "Daily order budget exhausted", "60 orders.",
				controlplane.FixOf("order-budget"), "order", time.Hour, "service", ""}},
		"CA unreachable": {situation(issuing, "", certificateReady("ca-unreachable",
			"pebble cannot be reached.", "", at(10*time.Second))),
			golden{"in_progress", "CA unreachable", "pebble cannot be reached.",
				controlplane.FixOf("ca-unreachable"), "order", 10 * time.Second, "ca", ""}},
		"CA unreachable, dead-lettered": {situation(failed, "", certificateReady("ca-unreachable",
			"Failed 4 times.", "", nil)),
			golden{"blocked", "CA unreachable", "Failed 4 times.",
				"Request the certificate with POST …/issue.", "", 0, "customer",
				"start_issuance"}},
		"our account rejected": {situation(issuing, "", certificateReady("ca-account",
			"The CA rejects the account.", "", at(time.Hour))),
			golden{"blocked", "ACME account rejected by the CA", "The CA rejects the account.",
				controlplane.FixOf("ca-account"), "order", time.Hour, "operator", ""}},
		"zone not answering": {situation(issuing, "", certificateReady("zone-not-answering",
			"2 of 3 servers.", "", at(time.Minute))),
			golden{"blocked", "Validation zone unreachable", "2 of 3 servers.",
				controlplane.FixOf("zone-not-answering"), "order", time.Minute, "operator", ""}},
		"compromised CSR key": {situation(failed, "", certificateReady("csr-key-compromised",
			"The key is compromised.", "Send a CSR with a different key.", nil)),
			golden{"blocked", "Compromised CSR key", "The key is compromised.",
				"Send a CSR with a different key.", "", 0, "customer", ""}},

		"active": {situation(active, "valid"), golden{"active", "Active",
			"A certificate of R3 is valid.", noAction, "renewal", 50 * day, "none", ""}},
		"renewal due": {situation(active, "due"), golden{"renewing", "Renewal in progress",
			"The certificate is being renewed.", noAction, "", 0, "service", ""}},
		"renewal by request": {situation(active, "valid", renewing), golden{"renewing",
			"Renewal in progress", "The certificate is being renewed.", noAction, "", 0, "service",
			""}},
		"renewal waits for the CA": {situation(active, "due", renewalOnTrack("ca-unreachable",
			"pebble cannot be reached.", "", at(time.Minute))),
			golden{"renewing", "CA unreachable", "pebble cannot be reached.",
				controlplane.FixOf("ca-unreachable"), "renewal", time.Minute, "ca", ""}},
		"renewal is late": {situation(active, "late"), golden{"at_risk",
			"Certificate expiring soon", "The certificate expires soon, and its renewal is overdue.",
			controlplane.FixOf("certificate-expiring"), "renewal", 2 * time.Hour, "customer",
			"renewal"}},
		"expiring soon, renewal fails": {situation(active, "late", renewalOnTrack("ca-unreachable",
			"pebble cannot be reached.", "", at(time.Minute))),
			golden{"at_risk", "CA unreachable", "pebble cannot be reached.",
				controlplane.FixOf("ca-unreachable"), "renewal", time.Minute, "ca", ""}},
		"record removed later": {situation(active, "valid",
			dnsReady("cname-missing", "No CNAME.", "Create it.", nil),
			renewalOnTrack("cname-missing", "The next renewal would fail: No CNAME.", "Create it.",
				at(50*day))),
			golden{"at_risk", "CNAME not found", "The next renewal would fail: No CNAME.",
				"Create it.", "renewal", 50 * day, "customer", "dns_check"}},
		"CAA forbids the renewal": {situation(active, "valid", renewalOnTrack("caa-forbids",
			"The next renewal would fail: "+caa, "Add a record.", at(50*day))),
			golden{"at_risk", "CA forbidden by CAA records",
				"The next renewal would fail: " + caa, "Add a record.", "renewal", 50 * day,
				"customer", "dns_check"}},
		"auto_renew off": {manual(situation(active, "valid", renewalOnTrack("auto-renew-off",
			"Automatic renewal is off.", "Set auto_renew to true.", nil))),
			golden{"active", "Automatic renewal off", "Automatic renewal is off.",
				"Set auto_renew to true.", "expiry", 80 * day, "customer", ""}},
		"auto_renew off, expiring": {manual(situation(active, "late",
			renewalOnTrack("auto-renew-off", "Automatic renewal is off.",
				"Set auto_renew to true.", nil))),
			golden{"at_risk", "Automatic renewal off", "Automatic renewal is off.",
				"Set auto_renew to true.", "expiry", 10 * day, "customer", "renewal"}},
		"auto_renew off, renewal dead-lettered": {manual(situation(active, "valid",
			renewalOnTrack("ca-unreachable", "Failed 4 times.", "", nil))),
			golden{"at_risk", "CA unreachable", "Failed 4 times.",
				controlplane.FixOf("certificate-expired"), "expiry", 80 * day, "customer",
				"renewal"}},
		"suspended": {func() *controlplane.Domain {
			d := situation(active, "valid", renewalOnTrack("csr-key-compromised",
				"The key is compromised.", "Send a CSR with a different key.", nil))
			d.RenewAt = nil
			return d
		}(), golden{"at_risk", "Compromised CSR key", "The key is compromised.",
			"Send a CSR with a different key.", "expiry", 80 * day, "customer", ""}},
		"outdated": {situation(active, "valid", outdated), golden{"at_risk",
			"Certificate outdated", "It has earlier options.", "Request another.", "renewal",
			50 * day, "customer", "renewal"}},
		"outdated, and a new one is requested": {situation(active, "valid", outdated, reissuing),
			golden{"renewing", "New certificate for changed options", "It is being ordered.",
				controlplane.FixOf("options-changed"), "", 0, "service", ""}},
		"options changed": {situation(active, "valid", reissuing), golden{"renewing",
			"New certificate for changed options", "It is being ordered.",
			controlplane.FixOf("options-changed"), "", 0, "service", ""}},
		"options changed, and the order fails": {situation(active, "valid",
			renewalOnTrack("ca-unreachable", "pebble cannot be reached.", "", at(time.Minute))),
			golden{"renewing", "CA unreachable", "pebble cannot be reached.",
				controlplane.FixOf("ca-unreachable"), "renewal", time.Minute, "ca", ""}},
		"outdated, expiring soon": {situation(active, "late", outdated, reissuing), golden{
			"at_risk", "Certificate outdated", "It has earlier options.", "Request another.",
			"renewal", 2 * time.Hour, "customer", "renewal"}},
		"revoked": {situation(active, "valid", revoked), golden{"revoked", "Certificate revoked",
			"The current certificate was revoked (superseded).",
			"Order a new one: POST /api/domains/dom_x/issue", "renewal", 50 * day, "customer",
			"renewal"}},
		"revoked, replacement in progress": {situation(active, "valid", revoked, renewing),
			golden{"revoked", "Certificate revoked",
				"The current certificate was revoked (superseded).", noAction, "", 0, "service",
				""}},
		"revoked, replacement fails": {situation(active, "valid", revoked,
			renewalOnTrack("ca-account", "The CA rejects the account.", "", at(time.Hour))),
			golden{"revoked", "Certificate revoked", "The current certificate was revoked " +
				"(superseded). The CA rejects the account.", controlplane.FixOf("ca-account"),
				"renewal", time.Hour, "operator", ""}},
		"revoked, key compromised": {func() *controlplane.Domain {
			d := situation(active, "valid", revoked, renewalOnTrack("csr-key-compromised",
				"The key is compromised.", "Send a CSR with a different key.", nil))
			d.RenewAt = nil
			return d
		}(), golden{"revoked", "Certificate revoked", "The current certificate was revoked " +
			"(superseded). The key is compromised.", "Send a CSR with a different key.", "", 0,
			"customer", ""}},
		"expired before the sweep": {situation(active, "expired"), golden{"expired",
			"Certificate expired", "The certificate expired at 2026-11-22 08:00 UTC.",
			controlplane.FixOf("certificate-expired"), "renewal", 2 * time.Hour, "customer",
			"renewal"}},
		"expired, CNAME missing": {situation(failed, "expired",
			certificateReady("certificate-expired", "It expired.", "", nil),
			dnsReady("cname-missing", "No CNAME.", "Create it.", nil)),
			golden{"expired", "Certificate expired",
				"The certificate expired at 2026-11-22 08:00 UTC. No CNAME.", "Create it.",
				"renewal", 2 * time.Hour, "customer", "dns_check"}},
		"expired, renewing": {situation(issuing, "expired, due", certificateReady("issuing",
			"The certificate is being ordered.", "", nil)),
			golden{"expired", "Certificate expired", "The certificate expired at 2026-11-22 " +
				"08:00 UTC. The certificate is being ordered.", noAction, "", 0, "service", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := c.domain.Summary(summaryNow)
			got := golden{State: s.State, Headline: s.Headline, Cause: s.Cause,
				NextStep: s.NextStep, Actor: s.Actor.Name(), Request: s.Request}
			if s.Next != nil {
				got.Next, got.In = s.Next.What, s.Next.At.Sub(summaryNow)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("Summary(%s) differs (-want +got):\n%s", name, diff)
			}
		})
	}
}

// The state changes by time alone at the renewal time, when the renewal is late, and at expiry.
func TestSummaryChangesAt(t *testing.T) {
	t.Parallel()
	d := situation(controlplane.DomainActive, "valid")
	now, states := summaryNow, []controlplane.SummaryState{}
	for range 10 {
		s := d.Summary(now)
		if states = append(states, s.State); s.ChangesAt.IsZero() {
			break
		}
		now = s.ChangesAt
	}
	want := []controlplane.SummaryState{controlplane.SummaryActive, controlplane.SummaryRenewing,
		controlplane.SummaryAtRisk, controlplane.SummaryExpired}
	if diff := cmp.Diff(want, states); diff != "" {
		t.Errorf("states over time differ (-want +got):\n%s", diff)
	}
}
