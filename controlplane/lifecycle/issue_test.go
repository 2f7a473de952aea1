package lifecycle_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// issuing adds a delegated domain with a job for its first certificate.
func (w *world) issuing(name string, change ...func(*controlplane.Options)) *controlplane.Domain {
	w.t.Helper()
	d := w.add(name, change...)
	w.run(d, controlplane.JobDNSCheck)
	return w.domain(d)
}

func TestIssueStoresTheCertificate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.issuing("example.com", func(o *controlplane.Options) {
		o.Wildcard, o.Profile = true,
			"tlsserver"
	})
	w.clock.add(10 * time.Second)
	j, err := w.try(d, controlplane.JobStartIssuance)
	must(t, err)
	wantJob(t, j, controlplane.JobSucceeded, "", 0)
	d = w.domain(d)
	wantStatus(t, d, controlplane.DomainActive, "")
	wantCondition(t, d, controlplane.CertificateReady, "true", "issued")
	now := w.clock.Now()
	if c := wantCondition(t, d, controlplane.RenewalOnTrack, "true",
		"scheduled"); c.NextCheckAt == nil || !c.NextCheckAt.Equal(now.Add(60*day)) {
		t.Errorf("RenewalOnTrack = %+v, want the next check at the renewal, %s", c, now.Add(60*day))
	}
	if !d.ExpiresAt.Equal(now.Add(90*day)) || !d.RenewAt.Equal(now.Add(60*day)) ||
		!d.LastIssuedAt.Equal(now) || j.Result["certificate_id"] != d.CertificateID ||
		j.Result["ca"] != "primary" {
		t.Errorf("domain = %+v with the job result %v, want a certificate of primary for 90 days, renewed after 60", d, j.Result)
	}
	cert, err := w.Store.Certificate(t.Context(), w.org, d.CertificateID)
	must(t, err)
	o := w.ca.order(0)
	if cert.OrderID != o.ID || cert.CA != "primary" || cert.DomainID != d.ID ||
		!slices.Equal(cert.Names, []string{"example.com", "*.example.com"}) ||
		cert.Profile != "tlsserver" || !cert.HasKey() || !cert.CreatedAt.Equal(now) {
		t.Errorf("certificate = %+v, want one of the order %s as its options say", cert, o.ID)
	}
	if o.Target != d.Target || o.JobID != j.ID || o.KeyType != controlplane.KeyEC256 ||
		o.Replaces != "" || o.Step != controlplane.StepCreated {
		t.Errorf("order = %+v, want a created one of job %s that replaces nothing", o, j.ID)
	}
	if n := value[int](w, `SELECT count(*) FROM challenges`); n != 0 {
		t.Errorf("%d challenges are left, want 0", n)
	}
	if open, err := w.Store.OpenOrder(t.Context(), w.org, d.ID); open != nil || err != nil {
		t.Errorf("OpenOrder = %+v, %v, want none", open, err)
	}
	if diff := cmp.Diff([]string{controlplane.ActionOrderCreated,
		controlplane.ActionCertificateIssued}, w.events(d.ID)[2:]); diff != "" {
		t.Errorf("events from the order on (-want +got):\n%s", diff)
	}
	if e := w.last(d.ID); e.Details["certificate_id"] != cert.ID || e.Details["order_id"] != o.ID ||
		e.Details["serial"] != "0a1b" || strings.Contains(toJSON(e), "key of") {
		t.Errorf("last entry = %+v, want certificate, order, and serial, and no key", e)
	}
}

func TestRenewalTimesFollowTheLifetime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, tt := range map[string]struct{ life, renewAfter time.Duration }{
		"d90.example.com": {90 * day, 60 * day}, "d45.example.com": {45 * day, 30 * day},
		"d6.example.com": {6 * day, 3 * day},
	} {
		w.ca.lives(tt.life)
		if d := w.active(name); d.RenewAt.Sub(start) != tt.renewAfter ||
			d.ExpiresAt.Sub(start) != tt.life {
			t.Errorf("%s: renewal after %s of %s", name, d.RenewAt.Sub(start),
				d.ExpiresAt.Sub(start))
		}
	}
}

// No order is placed for a domain that is not delegated. The job is deferred by the schedule.
func TestPreflightPlacesNoOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.issuing("example.com")
	w.doctor.finds(controlplane.CauseCNAMEMissing)
	w.clock.add(2 * time.Minute) // the check that started the issuance is too old
	j, err := w.try(d, controlplane.JobStartIssuance)
	must(t, err)
	wantJob(t, j, controlplane.JobQueued, controlplane.CauseCNAMEMissing, 0)
	if len(w.ca.runs()) != 0 || value[int](w, `SELECT count(*) FROM acme_orders`) != 0 {
		t.Error("an order was placed without a delegation")
	}
	wantStatus(t, w.domain(d), controlplane.DomainPendingCNAME, controlplane.CauseCNAMEMissing)
	w.doctor.finds(controlplane.CauseResolverUnreachable)
	if j, err := w.tryDue(d, controlplane.JobStartIssuance); err != nil ||
		j.RunAt.Sub(w.clock.Now()) != 8*time.Second {
		t.Errorf("issuance = %+v, %v, want a retry in 8 s", j, err)
	}
	w.doctor.finds(controlplane.CauseOK)
	if j, err := w.tryDue(d, controlplane.JobStartIssuance); err != nil ||
		j.Status != controlplane.JobSucceeded {
		t.Errorf("issuance = %+v, %v, want success", j, err)
	}
	if n := w.count(d.ID, controlplane.ActionDNSVerified); n != 2 {
		t.Errorf("%d events of a verified CNAME, want 2: it was lost once", n)
	}
	wantStatus(t, w.domain(d), controlplane.DomainActive, "")
}

func TestFreshCheckReplacesThePreflight(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.issuing("example.com")
	w.clock.add(59 * time.Second)
	w.run(d, controlplane.JobStartIssuance)
	if n := w.doctor.checks(); n != 1 {
		t.Errorf("%d DNS checks, want 1", n)
	}
}

// An issuance that is requested before the first check also logs that the CNAME was verified.
func TestIssuanceBeforeACheckLogsTheCNAME(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.add("example.com")
	_, _, err := w.RequestIssue(t.Context(), alice, w.org, d.ID)
	must(t, err)
	w.ca.answer(func(context.Context, *controlplane.Order, controlplane.Journal) error {
		wantStatus(t, w.domain(d), controlplane.DomainIssuing, "")
		wantCondition(t, w.domain(d), controlplane.CertificateReady, "false", "issuing")
		return nil
	})
	w.run(d, controlplane.JobStartIssuance)
	w.run(d, controlplane.JobDNSCheck)
	wantStatus(t, w.domain(d), controlplane.DomainActive, "")
	if n := w.count(d.ID, controlplane.ActionDNSVerified); n != 1 {
		t.Errorf("%d events of a verified CNAME, want 1", n)
	}
}

// During an order the domain shows the status issuing, after any previous status.
func TestIssuingIsShownAfterAFreshCheck(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.add("example.com", func(o *controlplane.Options) { o.AutoIssue = false })
	w.run(d, controlplane.JobDNSCheck)
	_, _, err := w.RequestIssue(t.Context(), alice, w.org, d.ID)
	must(t, err)
	var seen *controlplane.Domain
	w.ca.answer(func(context.Context, *controlplane.Order,
		controlplane.Journal) error {
		seen = w.domain(d)
		return nil
	})
	w.run(d, controlplane.JobStartIssuance)
	wantStatus(t, seen, controlplane.DomainIssuing, "")
}

// The verdict of a CA decides which CA is used next.
func TestFailover(t *testing.T) {
	t.Parallel()
	limited := func(wait time.Duration) verdict {
		v := verdictOf(controlplane.VerdictRateLimited)
		v.RetryAt = start.Add(wait)
		return v
	}
	away, caa := verdictOf(controlplane.VerdictUnreachable),
		verdictOf(controlplane.VerdictCAAForbids)
	for name, tt := range map[string]struct {
		say     map[string]verdict
		prefer  string
		runs    []string
		status  controlplane.JobStatus
		reason  string
		wait    time.Duration // of a deferred job; 0: not checked
		failure int
	}{
		"no problem": {nil, "", []string{"primary"}, controlplane.JobSucceeded,
			"", 0, 0},
		"preferred CA first": {nil, "backup", []string{"backup"},
			controlplane.JobSucceeded, "", 0, 0},
		"preferred CA unreachable": {map[string]verdict{"backup": away},
			"backup", []string{"backup", "primary"}, controlplane.JobSucceeded, "", 0, 0},
		"unreachable": {map[string]verdict{"primary": away},
			"", []string{"primary", "backup"}, controlplane.JobSucceeded, "", 0, 0},
		"CAA forbids": {map[string]verdict{"primary": caa},
			"", []string{"primary", "backup"}, controlplane.JobSucceeded, "", 0, 0},
		"limited for an hour": {map[string]verdict{"primary": limited(time.Hour)},
			"", []string{"primary", "backup"}, controlplane.JobSucceeded, "", 0, 0},
		"limited for 30 s": {map[string]verdict{"primary": limited(30 * time.Second)},
			"", []string{"primary"}, controlplane.JobQueued, "ca-rate-limited", 30 * time.Second,
			0},
		"limited, no time": {map[string]verdict{
			"primary": verdictOf(controlplane.VerdictRateLimited)}, "",
			[]string{"primary", "backup"}, controlplane.JobSucceeded, "", 0, 0},
		"limited by both, no time": {map[string]verdict{
			"primary": verdictOf(controlplane.VerdictRateLimited),
			"backup":  verdictOf(controlplane.VerdictRateLimited)}, "",
			[]string{"primary", "backup"}, controlplane.JobQueued, "ca-rate-limited",
			8 * time.Second, 0},
		"failed challenge": {map[string]verdict{"primary": refuses(controlplane.VerdictDNS)},
			"", []string{"primary", "backup"}, controlplane.JobSucceeded, "", 0, 0},
		"rejected request": {map[string]verdict{
			"primary": refuses(controlplane.VerdictRequest)}, "", []string{"primary", "backup"},
			controlplane.JobSucceeded, "", 0, 0},
		"policy": {map[string]verdict{"primary": refuses(controlplane.VerdictPolicy)},
			"", []string{"primary", "backup"}, controlplane.JobSucceeded, "", 0, 0},
		"account": {map[string]verdict{"primary": refuses(controlplane.VerdictAccount)},
			"", []string{"primary", "backup"}, controlplane.JobSucceeded, "", 0, 0},
		"paused": {map[string]verdict{"primary": refuses(controlplane.VerdictPaused)},
			"", []string{"primary", "backup"}, controlplane.JobSucceeded, "", 0, 0},
		"order lost": {map[string]verdict{"primary": refuses(controlplane.VerdictOrderGone)},
			"", []string{"primary", "primary", "backup"}, controlplane.JobSucceeded, "", 0, 0},
		"rejected by both": {map[string]verdict{"primary": refuses(controlplane.VerdictPolicy),
			"backup": refuses(controlplane.VerdictDNS)}, "", []string{"primary", "backup"},
			controlplane.JobQueued, "retry", 8 * time.Second, 1},
		"rejected, unreachable": {map[string]verdict{
			"primary": refuses(controlplane.VerdictRequest), "backup": away}, "",
			[]string{"primary", "backup"}, controlplane.JobQueued, "ca-unreachable",
			8 * time.Second, 0},
		"our fault": {map[string]verdict{
			"primary": verdictOf(controlplane.VerdictInternal)}, "", []string{"primary"},
			controlplane.JobQueued, "retry", 8 * time.Second, 1},
		"interrupted": {map[string]verdict{
			"primary": verdictOf(controlplane.VerdictInterrupted)}, "", []string{"primary"},
			controlplane.JobQueued, "ca-interrupted", 30 * time.Second, 0},
		"both unreachable": {map[string]verdict{"primary": away, "backup": away},
			"", []string{"primary", "backup"}, controlplane.JobQueued, "ca-unreachable",
			8 * time.Second, 0},
		"both limited": {map[string]verdict{"primary": limited(30 * time.Minute),
			"backup": limited(7 * day)}, "", []string{"primary", "backup"}, controlplane.JobQueued,
			"ca-rate-limited", 30 * time.Minute, 0},
		"both limited, backup sooner": {map[string]verdict{"primary": limited(7 * day),
			"backup": limited(30 * time.Minute)}, "", []string{"primary", "backup"},
			controlplane.JobQueued, "ca-rate-limited", 30 * time.Minute, 0},
		"both limited for long, a person waits": {map[string]verdict{"primary": limited(7 * day),
			"backup": limited(3 * time.Hour)}, "", []string{"primary", "backup"},
			controlplane.JobQueued, "ca-rate-limited", time.Hour, 0},
		"unreachable, limited": {map[string]verdict{"primary": away,
			"backup": limited(7 * day)}, "", []string{"primary", "backup"}, controlplane.JobQueued,
			"ca-unreachable", 8 * time.Second, 0},
		"limited, unreachable": {map[string]verdict{"primary": limited(7 * day),
			"backup": away}, "", []string{"primary", "backup"}, controlplane.JobQueued,
			"ca-unreachable", 8 * time.Second, 0},
		"forbidden, limited": {map[string]verdict{"primary": caa,
			"backup": limited(20 * time.Minute)}, "", []string{"primary", "backup"},
			controlplane.JobQueued, "ca-rate-limited", 8 * time.Second, 0},
		"forbidden by both": {map[string]verdict{"primary": caa, "backup": caa},
			"", []string{"primary", "backup"}, controlplane.JobQueued, "retry", 0, 1},
		"unreachable, with a time": {map[string]verdict{
			"primary": {Class: controlplane.VerdictUnreachable,
				Code: "ca-unreachable", Message: "x", Fix: "y", RetryAt: start.Add(time.Hour)},
			"backup": away}, "", []string{"primary", "backup"}, controlplane.JobQueued,
			"ca-unreachable", 0, 0},
		"no verdict": {map[string]verdict{}, "", []string{"primary"}, controlplane.JobSucceeded,
			"", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			d := w.issuing("example.com", func(o *controlplane.Options) { o.CA = tt.prefer })
			w.ca.reject(tt.say)
			j := w.run(d, controlplane.JobStartIssuance)
			wantJob(t, j, tt.status, controlplane.Reason(tt.reason), tt.failure)
			if got := w.ca.runs(); !slices.Equal(got, tt.runs) {
				t.Errorf("orders at %q, want %q", got, tt.runs)
			}
			if got := j.RunAt.Sub(start); tt.wait != 0 && got != tt.wait {
				t.Errorf("job is deferred for %s, want %s", got, tt.wait)
			}
			got := w.domain(d)
			if j.Status == controlplane.JobQueued {
				wantStatus(t, got, controlplane.DomainIssuing, "")
				if c := got.Condition(controlplane.CertificateReady); c.Status != "false" ||
					c.NextCheckAt == nil || !c.NextCheckAt.Equal(j.RunAt) {
					t.Errorf("condition = %+v, want the next check at %s", c, j.RunAt)
				}
			} else if cert, err := w.Store.Certificate(t.Context(), w.org,
				got.CertificateID); err != nil || cert.CA != tt.runs[len(tt.runs)-1] {
				t.Errorf("certificate = %+v, %v, want one of %s", cert, err,
					tt.runs[len(tt.runs)-1])
			}
			if n := value[int](w,
				`SELECT count(*) FROM acme_orders WHERE step NOT IN ('stored', 'failed', 'set-aside')`); n > 1 {
				t.Errorf("%d orders are open, want at most 1", n)
			}
			if logged, stored := w.count(d.ID, controlplane.ActionOrderCreated),
				value[int](w, `SELECT count(*) FROM acme_orders`); logged != len(tt.runs) ||
				stored != logged {
				t.Errorf("%d orders in the log and %d stored, want %d of each", logged, stored,
					len(tt.runs))
			}
		})
	}
}

func TestMissingOrderIsReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.issuing("example.com")
	gone := 1
	w.ca.answer(func(context.Context, *controlplane.Order, controlplane.Journal) error {
		if gone--; gone >= 0 {
			return verdictOf(controlplane.VerdictOrderGone)
		}
		return nil
	})
	j, err := w.try(d, controlplane.JobStartIssuance)
	must(t, err)
	wantJob(t, j, controlplane.JobSucceeded, "", 0)
	if got := w.ca.runs(); !slices.Equal(got, []string{"primary", "primary"}) ||
		w.ca.order(0).ID == w.ca.order(1).ID {
		t.Errorf("orders at %q, want two different ones at primary", got)
	}
	if n := w.count(d.ID, controlplane.ActionOrderFailed); n != 1 {
		t.Errorf("%d orders failed, want 1", n)
	}

	// The number of orders is limited at a CA that loses every order.
	other := w.issuing("other.example.com")
	gone = 1000
	before := len(w.ca.runs())
	j = w.run(other, controlplane.JobStartIssuance)
	wantJob(t, j, controlplane.JobQueued, "retry", 1)
	if n := len(w.ca.runs()) - before; n > 4 || j.LastErrorCode != "orders-exhausted" {
		t.Errorf("%d orders with the error %s, want 4 with orders-exhausted", n, j.LastErrorCode)
	}
}

// If a resumed order is missing at the CA, the DNS is checked before the next order.
func TestResumedOrderIsMissing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.issuing("example.com")
	w.ca.answer(func(context.Context, *controlplane.Order, controlplane.Journal) error {
		return verdictOf(controlplane.VerdictInterrupted)
	})
	w.run(d, controlplane.JobStartIssuance)
	w.clock.add(10 * day)
	w.doctor.finds(controlplane.CauseCNAMEMissing)
	w.ca.answer(func(context.Context, *controlplane.Order, controlplane.Journal) error {
		return verdictOf(controlplane.VerdictOrderGone)
	})
	j, err := w.try(d, controlplane.JobStartIssuance)
	must(t, err)
	wantJob(t, j, controlplane.JobQueued, controlplane.CauseCNAMEMissing, 0)
	if n := value[int](w, `SELECT count(*) FROM acme_orders`); n != 1 {
		t.Errorf("%d orders, want 1", n)
	}
}

func TestFailedOrderIsNotResumed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.issuing("example.com")
	over := verdictOf(controlplane.VerdictRequest)
	over.Over, over.Problem = true, []byte(`{"type":"urn:ietf:params:acme:error:unauthorized"}`)
	w.ca.rejectAll(over)
	j := w.run(d, controlplane.JobStartIssuance)
	wantJob(t, j, controlplane.JobQueued, "retry", 1)
	if e := w.last(d.ID); e.Action != controlplane.ActionOrderFailed ||
		e.Details["code"] != over.Code ||
		!strings.Contains(toJSON(e.Details["acme"]), "unauthorized") {
		t.Errorf("last entry = %+v, want domain.order_failed with the code %s and the CA's problem",
			e, over.Code)
	}
	w.ca.answer(nil)
	w.runDue(d, controlplane.JobStartIssuance)
	if w.ca.order(0).ID == w.ca.order(2).ID || w.ca.order(1).ID == w.ca.order(2).ID {
		t.Error("a failed order was resumed")
	}
	wantStatus(t, w.domain(d), controlplane.DomainActive, "")
}

// An order that was interrupted or hit an internal error is resumed at its step.
func TestInterruptedOrderIsResumed(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"interrupted":    verdictOf(controlplane.VerdictInterrupted),
		"internal error": errors.New("disk full"),
		"our fault":      verdictOf(controlplane.VerdictInternal)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			d := w.issuing("example.com")
			w.ca.answer(func(ctx context.Context, o *controlplane.Order,
				j controlplane.Journal) error {
				o.Step, o.OrderURL, o.Values = controlplane.StepAuthorized,
					"https://ca.example/1", txtAt(o, "v1")
				return errors.Join(j.Save(ctx, o), j.Publish(ctx, o), err)
			})
			w.run(d, controlplane.JobStartIssuance)
			if exists, values, err := w.Store.LookupTarget(t.Context(), d.Target,
				w.clock.Now()); !exists || len(values) != 1 || values[0].Value != "v1" ||
				err != nil {
				t.Errorf("LookupTarget = %v, %+v, %v, want the value v1", exists, values, err)
			}
			w.ca.answer(nil)
			checked := w.doctor.checks()
			w.runDue(d, controlplane.JobStartIssuance)
			if n := w.doctor.checks() - checked; n != 1 {
				t.Errorf("%d DNS checks before the order was finalized, want 1", n)
			}
			first, second := w.ca.order(0), w.ca.order(1)
			if second.ID != first.ID || second.Step != controlplane.StepAuthorized ||
				second.OrderURL != "https://ca.example/1" ||
				string(second.SealedKey) != string(first.SealedKey) {
				t.Errorf("resumed order = %+v, want %s at the step authorized", second, first.ID)
			}
			wantStatus(t, w.domain(d), controlplane.DomainActive, "")
			if n := value[int](w, `SELECT count(*) FROM acme_orders`); n != 1 {
				t.Errorf("%d orders, want 1", n)
			}
		})
	}
}

// An order for options that changed since is not finalized: its certificate would not match.
func TestOrderForOtherOptionsFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wild, profile, kt, request, chain := true, "shortlived", controlplane.KeyRSA2048,
		csr(t, "csr.example.com"), "Other Root"
	for name, tt := range map[string]struct {
		patch lifecycle.DomainPatch
		same  bool
	}{
		"wildcard.example.com": {lifecycle.DomainPatch{Wildcard: &wild}, false},
		"profile.example.com":  {lifecycle.DomainPatch{Profile: &profile}, false},
		"key.example.com":      {lifecycle.DomainPatch{KeyType: &kt}, false},
		"csr.example.com":      {lifecycle.DomainPatch{CSRPEM: &request}, false},
		"chain.example.com":    {lifecycle.DomainPatch{PreferredChain: &chain}, false},
		"labels.example.com":   {lifecycle.DomainPatch{Labels: &map[string]string{"a": "b"}}, true},
	} {
		d := w.issuing(name)
		w.ca.reject(map[string]verdict{"primary": verdictOf(controlplane.VerdictInterrupted)})
		w.run(d, controlplane.JobStartIssuance)
		first := w.ca.order(len(w.ca.runs()) - 1)
		if _, err := w.UpdateDomain(t.Context(), alice, w.org, d.ID, 0, tt.patch); err != nil {
			t.Fatal(err)
		}
		w.ca.answer(nil)
		w.runDue(d, controlplane.JobStartIssuance)
		wantStatus(t, w.domain(d), controlplane.DomainActive, "")
		second := w.ca.order(len(w.ca.runs()) - 1)
		if (second.ID == first.ID) != tt.same {
			t.Errorf("%s: order resumed = %v", name, second.ID == first.ID)
		}
		if name == "wildcard.example.com" &&
			!slices.Equal(second.Names, []string{name, "*." + name}) {
			t.Errorf("names of the order = %q, want %s and its wildcard", second.Names, name)
		}
	}
}

func TestFailuresAreShownAndDeadLettered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.issuing("example.com")
	w.ca.rejectAll(verdictOf(controlplane.VerdictRequest))
	for n := 1; n <= controlplane.MaxAttempts; n++ {
		now := w.clock.Now()
		j, err := w.try(d, controlplane.JobStartIssuance)
		if n < controlplane.MaxAttempts {
			wantJob(t, j, controlplane.JobQueued, "retry", n)
			later, ok := errors.AsType[*lifecycle.RetryLater](err)
			plan := 10 * time.Second << (2 * (n - 1))
			if wait := j.RunAt.Sub(now); !ok || later.After != wait || wait < plan*8/10 ||
				wait > plan*12/10 {
				t.Errorf("failure %d: error %v, retry after %s, want about %s", n, err, wait, plan)
			}
			wantStatus(t, w.domain(d), controlplane.DomainIssuing, "")
			if c := wantCondition(t, w.domain(d), controlplane.CertificateReady, "false",
				"ca-request"); !c.NextCheckAt.Equal(j.RunAt) ||
				c.Message != "The CA says request." {
				t.Errorf("CertificateReady = %+v, want the CA's message and the next check at %s",
					c, j.RunAt)
			}
			w.clock.set(j.RunAt)
			continue
		}
		if _, ok := errors.AsType[*lifecycle.DeadLettered](err); !ok {
			t.Errorf("RunJob: error = %v, want *DeadLettered", err)
		}
		wantJob(t, j, controlplane.JobFailed, "dead-lettered", n)
		if j.DeadLetteredAt == nil || !j.DeadLetteredAt.Equal(now) ||
			j.LastErrorCode != "ca-request" || j.LastError != "The CA says request." {
			t.Errorf("job = %+v, want it dead-lettered at %s with the CA's error", j, now)
		}
		if diff := cmp.Diff([]string{controlplane.ActionJobDeadLettered},
			w.events(j.ID)); diff != "" {
			t.Errorf("events of the job (-want +got):\n%s", diff)
		}
	}
	got := w.domain(d)
	wantStatus(t, got, controlplane.DomainError, "ca-request")
	if c := wantCondition(t, got, controlplane.CertificateReady, "false",
		"ca-request"); c.NextCheckAt != nil || !strings.HasPrefix(c.Message, "Failed 4 times") {
		t.Errorf("CertificateReady = %+v, want 4 failures and no next check", c)
	}
	if n := w.count(d.ID, controlplane.ActionIssuanceFailed); n != 1 {
		t.Errorf("%d events of the failed issuance, want 1", n)
	}
}

// After a failed renewal the domain stays active. It shows the failure, and the renewal is due
// again well before the certificate expires.
func TestFailedRenewalKeepsTheDomainActive(t *testing.T) {
	t.Parallel()
	for name, life := range map[string]time.Duration{"90 days": 90 * day, "6 days": 6 * day} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.ca.lives(life)
			d := w.active("example.com")
			first := d.CertificateID
			w.ca.rejectAll(verdictOf(controlplane.VerdictRequest))
			for range 3 {
				due := *w.domain(d).RenewAt
				w.clock.set(due)
				if n, err := w.Sweep(t.Context()); n != 1 || err != nil {
					t.Fatalf("Sweep = %d, %v, want 1", n, err)
				}
				for range controlplane.MaxAttempts {
					w.runDue(d, controlplane.JobRenewal)
				}
				wantJob(t, w.job(d, controlplane.JobRenewal), controlplane.JobFailed,
					"dead-lettered", 4)
				d = w.domain(d)
				wantStatus(t, d, controlplane.DomainActive, "")
				if d.CertificateID != first {
					t.Error("the domain lost its certificate")
				}
				wantCondition(t, d, controlplane.CertificateReady, "true", "issued")
				c := wantCondition(t, d, controlplane.RenewalOnTrack, "false", "ca-request")
				left, wait := d.ExpiresAt.Sub(w.clock.Now()), d.RenewAt.Sub(w.clock.Now())
				if wait <= 0 || wait > day || wait > left/4+time.Second || c.NextCheckAt == nil ||
					c.NextCheckAt.Sub(*d.RenewAt).Abs() > time.Microsecond {
					t.Errorf("with %s left: next renewal after %s, shown as %v", left, wait,
						c.NextCheckAt)
				}
			}
			if n := w.count(d.ID, controlplane.ActionRenewalFailed); n != 3 {
				t.Errorf("%d events of failed renewals", n)
			}
			w.ca.answer(nil)
			w.clock.set(*d.RenewAt)
			if n, err := w.Sweep(t.Context()); n != 1 || err != nil {
				t.Fatalf("Sweep = %d, %v, want 1", n, err)
			}
			w.runDue(d, controlplane.JobRenewal)
			d = w.domain(d)
			wantCondition(t, d, controlplane.RenewalOnTrack, "true", "scheduled")
			if d.CertificateID == first || !d.RenewAt.After(w.clock.Now()) {
				t.Errorf("domain = %+v, want a new certificate and a later renewal", d)
			}
		})
	}
}

// Certificate, domain, order, job, and audit entry are stored together: if the last statement
// fails, nothing is stored, and the order is resumed.
func TestCertificateIsStoredAtomically(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.issuing("example.com")
	w.exec(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the disk is full'; END $$`)
	w.exec(`CREATE TRIGGER refuse BEFORE UPDATE ON jobs FOR EACH ROW WHEN (NEW.status = 'succeeded') EXECUTE FUNCTION refuse()`)
	before := w.events(d.ID)
	j := w.run(d, controlplane.JobStartIssuance)
	wantJob(t, j, controlplane.JobQueued, "retry", 1)
	if j.LastErrorCode != "internal" || strings.Contains(j.LastError, "disk") {
		t.Errorf("last error = %s: %s, want internal without its cause", j.LastErrorCode,
			j.LastError)
	}
	got := w.domain(d)
	wantStatus(t, got, controlplane.DomainIssuing, "")
	if got.CertificateID != "" || got.ExpiresAt != nil ||
		value[int](w, `SELECT count(*) FROM certificates`) != 0 {
		t.Errorf("domain = %+v, want no certificate", got)
	}
	if open, err := w.Store.OpenOrder(t.Context(), w.org, d.ID); err != nil || open == nil ||
		open.Step != controlplane.StepIssued {
		t.Errorf("OpenOrder = %+v, %v, want one at the step issued", open, err)
	}
	if diff := cmp.Diff(append(before, controlplane.ActionOrderCreated),
		w.events(d.ID)); diff != "" {
		t.Errorf("events of the domain (-want +got):\n%s", diff)
	}
	w.exec(`DROP TRIGGER refuse ON jobs`)
	w.runDue(d, controlplane.JobStartIssuance)
	wantStatus(t, w.domain(d), controlplane.DomainActive, "")
	if n := value[int](w, `SELECT count(*) FROM acme_orders`); n != 1 {
		t.Errorf("%d orders, want 1", n)
	}
}

// A name server that does not serve the challenge is a wait with growing pauses. The order stays
// open and is resumed.
func TestUnavailableZoneIsAWait(t *testing.T) {
	t.Parallel()
	var requests []string
	fail := true
	w := newWorld(t, func(c *lifecycle.Config) {
		c.Visible = func(_ context.Context, name string, values []string) error {
			requests = append([]string{name}, values...)
			if fail {
				return errors.New("192.0.2.1:53 answers NXDOMAIN")
			}
			return nil
		}
	})
	d := w.issuing("example.com")
	for range 6 {
		j := w.runDue(d, controlplane.JobStartIssuance)
		wantJob(t, j, controlplane.JobQueued, "zone-not-answering", 0)
		c := wantCondition(t, w.domain(d), controlplane.CertificateReady, "false",
			"zone-not-answering")
		if strings.Contains(c.Message, "192.0.2.1") || !c.NextCheckAt.Equal(j.RunAt) {
			t.Errorf("CertificateReady = %+v, want the next check at %s and no address", c, j.RunAt)
		}
	}
	if want := []string{d.Target + "." + zone, "value-of-" +
		w.ca.order(0).ID}; !slices.Equal(requests, want) {
		t.Errorf("Visible was called for %q, want %q", requests, want)
	}
	fail = false
	w.runDue(d, controlplane.JobStartIssuance)
	wantStatus(t, w.domain(d), controlplane.DomainActive, "")
	if w.ca.order(0).ID != w.ca.order(1).ID {
		t.Error("another order was placed")
	}
}

// A check before the request for a certificate, even a recent one, does not replace the preflight.
func TestRequestedOrderChecksTheDNSFirst(t *testing.T) {
	t.Parallel()
	for name, ask := range map[string]func(w *world, d *controlplane.Domain) (*controlplane.Job,
		bool, error){
		"renew": func(w *world, d *controlplane.Domain) (*controlplane.Job, bool, error) {
			return w.RequestRenew(w.t.Context(), alice, w.org, d.ID)
		},
		"issue": func(w *world, d *controlplane.Domain) (*controlplane.Job, bool, error) {
			return w.RequestIssue(w.t.Context(), alice, w.org, d.ID)
		},
		"revoke and replace": func(w *world, d *controlplane.Domain) (*controlplane.Job, bool,
			error) {
			_, started, err := w.RevokeCertificate(w.t.Context(), alice, w.org, d.CertificateID,
				"superseded", true)
			return w.job(d, controlplane.JobStartIssuance), started, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			d := w.active("example.com")
			w.clock.add(time.Second)
			w.doctor.finds(controlplane.CauseCNAMEMissing)
			j, _, err := ask(w, d)
			must(t, err)
			checked := w.doctor.checks()
			wantJob(t, w.run(d, j.Type), controlplane.JobQueued, controlplane.CauseCNAMEMissing, 0)
			if n := len(w.ca.runs()); n != 1 || w.doctor.checks() != checked+1 {
				t.Errorf("%d orders and %d DNS checks, want 1 of each", n,
					w.doctor.checks()-checked)
			}
			wantCondition(t, w.domain(d), controlplane.DNSReady,
				"false", controlplane.CauseCNAMEMissing)

			// A second request during the wait checks the DNS again.
			w.doctor.finds(controlplane.CauseOK)
			if _, _, err := ask(w, d); err != nil {
				t.Fatal(err)
			}
			wantJob(t, w.runDue(d, j.Type), controlplane.JobSucceeded, "", 0)
		})
	}
}

// The order that replaces one for other options checks the DNS first.
func TestOrderForOtherOptionsChecksTheDNSFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.issuing("example.com")
	w.ca.reject(map[string]verdict{"primary": verdictOf(controlplane.VerdictInterrupted)})
	w.run(d, controlplane.JobStartIssuance)
	w.ca.answer(nil)
	w.clock.add(time.Second)
	kt := controlplane.KeyEC384
	_, err := w.UpdateDomain(t.Context(), alice, w.org, d.ID, 0,
		lifecycle.DomainPatch{KeyType: &kt})
	must(t, err)
	w.doctor.finds(controlplane.CauseCNAMEMissing)
	wantJob(t, w.run(d, controlplane.JobStartIssuance), controlplane.JobQueued,
		controlplane.CauseCNAMEMissing, 0)
	if n := len(w.ca.runs()); n != 1 {
		t.Errorf("%d orders were run, want the first alone", n)
	}
}

// A restarted job checks the DNS first.
func TestRestartedJobChecksTheDNSFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.active("example.com")
	over := verdictOf(controlplane.VerdictRequest)
	over.Over = true
	w.ca.rejectAll(over)
	_, _, err := w.RequestRenew(t.Context(), alice, w.org, d.ID)
	must(t, err)
	for range controlplane.MaxAttempts {
		w.runDue(d, controlplane.JobRenewal)
	}
	_, _, err = w.RequestCheck(t.Context(), alice, w.org, d.ID)
	must(t, err)
	w.run(d, controlplane.JobDNSCheck) // the DNS is verified
	w.clock.add(time.Second)
	w.ca.answer(nil)
	w.doctor.finds(controlplane.CauseCNAMEMissing)
	orders := len(w.ca.runs())
	_, _, err = w.RestartJob(t.Context(), alice, w.org, w.job(d, controlplane.JobRenewal).ID)
	must(t, err)
	wantJob(t, w.run(d, controlplane.JobRenewal), controlplane.JobQueued,
		controlplane.CauseCNAMEMissing, 0)
	if n := len(w.ca.runs()); n != orders {
		t.Errorf("%d orders, want 0", n-orders)
	}
}

// An order that waited is not finalized if the CNAME is missing meanwhile: a CA that reuses an
// authorization would issue.
func TestWaitingOrderIsNotFinalizedWithoutTheCNAME(t *testing.T) {
	t.Parallel()
	for name, wait := range map[string]func(w *world, d *controlplane.Domain){
		"resumed at once": func(w *world, d *controlplane.Domain) {
			w.ca.reject(map[string]verdict{"primary": verdictOf(controlplane.VerdictInterrupted)})
			w.run(d, controlplane.JobStartIssuance)
			w.ca.answer(nil)
		},
		"slow in one run": func(w *world, _ *controlplane.Domain) {
			w.ca.answer(func(context.Context, *controlplane.Order, controlplane.Journal) error {
				w.clock.add(2 * time.Minute)
				return nil
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, g := newGoverned(t)
			d := w.issuing("example.com")
			wait(w, d)
			w.doctor.finds(controlplane.CauseResolverUnreachable)
			j := w.runDue(d, controlplane.JobStartIssuance)
			wantJob(t, j, controlplane.JobQueued, controlplane.CauseResolverUnreachable, 0)
			if open, err := w.Store.OpenOrder(t.Context(), w.org, d.ID); open == nil || err != nil {
				t.Fatalf("OpenOrder = %+v, %v; want the order, which is resumed", open, err)
			}
			w.ca.answer(nil)
			w.doctor.finds(controlplane.CauseCNAMEMissing)
			j = w.runDue(d, controlplane.JobStartIssuance)
			wantJob(t, j, controlplane.JobQueued, controlplane.CauseCNAMEMissing, 0)
			got := w.domain(d)
			wantStatus(t, got, controlplane.DomainPendingCNAME, controlplane.CauseCNAMEMissing)
			wantCondition(t, got, controlplane.DNSReady, "false", controlplane.CauseCNAMEMissing)
			if open, err := w.Store.OpenOrder(t.Context(), w.org, d.ID); open != nil ||
				err != nil || got.CertificateID != "" {
				t.Errorf("OpenOrder = %+v, %v; want none, and no certificate", open, err)
			}
			if n := value[int](w, `SELECT count(*) FROM challenges`); n != 0 {
				t.Errorf("%d challenges are left, want 0", n)
			}
			if n := w.count(d.ID, controlplane.ActionOrderFailed); n != 1 ||
				value[string](w,
					`SELECT error_code FROM acme_orders`) != controlplane.CauseCNAMEMissing {
				t.Errorf("%d orders failed, want 1", n)
			}
			if !slices.Equal(g.calls, []string{"refund primary true"}) {
				t.Errorf("calls of the governor = %q", g.calls)
			}
			w.doctor.finds(controlplane.CauseOK)
			wantJob(t, w.runDue(d, controlplane.JobStartIssuance), controlplane.JobSucceeded, "", 0)
			if runs := w.ca.runs(); w.ca.order(len(runs)-1).ID == w.ca.order(0).ID {
				t.Error("the failed order was resumed")
			}
		})
	}
}
