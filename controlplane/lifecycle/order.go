package lifecycle

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// place is the result of choosing a CA: a reservation at a CA, or the wait for the first of the
// candidates. Both are empty without a candidate.
type place struct {
	quota controlplane.QuotaRequest
	next  controlplane.NextAttempt
	known map[string]obstacle // why each candidate is ruled out
	order []string            // the candidates, in order of preference
	open  map[string][]string // the accounts of each candidate that may get the order
	waits map[string]string   // the account of each candidate whose limits the order waits for
}

// accountFor returns the account for an order whose account the governor did not choose.
func (p *place) accountFor(q controlplane.QuotaRequest) string {
	if account := cmp.Or(p.waits[q.CA], q.Account); account != "" || len(q.Accounts) == 0 {
		return account
	}
	return q.Accounts[0]
}

// obstacle is why a CA is not used now.
type obstacle struct {
	text
	ca      string
	party   controlplane.Party
	problem json.RawMessage
	passes  bool // it is a reason to wait, not a failure
	until   time.Time
}

// choose returns the CA to order from: the first candidate, in order of preference, that no source
// rules out and whose limits allow the order now. A preferred CA's limits are waited for within the
// job's patience.
func (w *work) choose(
	ctx context.Context, r *round, aside map[string]*controlplane.Order,
) (place, error) {
	look, p, err := w.outlook(ctx, r)
	if err != nil {
		return p, err
	}
	for {
		p.next = look.Next()
		if p.next.CA == "" || p.next.At.After(look.Now) {
			return p, nil
		}
		i := slices.IndexFunc(look.Candidates,
			func(c controlplane.Candidate) bool { return c.CA == p.next.CA })
		if o := aside[p.next.CA]; o != nil &&
			!slices.Contains(p.open[p.next.CA], controlplane.AccountOf(o.Account)) {
			delete(aside, p.next.CA) // it keeps its account, which gets no orders now
		}
		ok, err := w.reserve(ctx, look, i, &p, r, aside[p.next.CA])
		if err != nil || ok {
			return p, err
		}
	}
}

// reserve reserves an order at the candidate that was chosen, unless the CA already has one that
// was set aside. If it returns false, it has recorded in the candidate what rules it out.
func (w *work) reserve(
	ctx context.Context, look controlplane.Outlook, i int, p *place, r *round,
	aside *controlplane.Order,
) (bool, error) {
	c := &look.Candidates[i]
	q, err := w.quota(ctx, c.CA, p.open[c.CA])
	if err != nil {
		return false, err
	}
	q.Stay = look.Patience
	if aside != nil {
		q.OrderID, q.Account, q.Accounts = aside.ID, controlplane.AccountOf(aside.Account), nil
	}
	if aside != nil && aside.OrderURL != "" {
		p.quota = q.For(q.Account)
		return true, nil
	}
	if p.next.Forced {
		ok, err := w.Store.TakeForced(ctx, c.CA, look.Now)
		if err != nil || !ok {
			c.NoForce = true
			return false, err
		}
		q = q.For(p.accountFor(q))
		w.Logger.WarnContext(ctx, "lifecycle: order forced despite the counted limits",
			"forced", true, "ca", c.CA, "account", q.Account, "job", w.claim.Job.ID)
		r.forced, p.quota = true, q
		if w.Governor != nil && !q.Replaces { // otherwise the CA does not count it either
			w.logUpdate(ctx, q.OrderID, w.Governor.Count(ctx, q))
		}
		return true, nil
	}
	if slices.ContainsFunc(look.Candidates[i+1:],
		func(c controlplane.Candidate) bool { return !c.Ready().After(look.Now) }) {
		q.Patience = look.Patience // another CA is used instead of a longer wait
	}
	if w.Governor == nil {
		p.quota = q.For(p.accountFor(q))
		return true, nil
	}
	d, err := w.Governor.Reserve(ctx, q)
	if err != nil {
		return false, err
	}
	if d.OK {
		w.uncounted, p.quota = d.Bypassed, q.For(d.Account)
		return true, nil
	}
	p.waits[c.CA] = d.Account
	c.Quota = later(d.WaitUntil, look.Now.Add(time.Second))
	p.known[c.CA] = obstacle{ca: c.CA, party: controlplane.PartyService, passes: true,
		until: c.Quota, text: text{controlplane.ReasonCAQuota, d.Message,
			"No action needed. The order is placed when the CA's limit (" + d.Limit +
				") allows it."}}
	return false, nil
}

// queueEarly is how much too early the queue may run a delayed job.
const queueEarly = time.Second

// outlook returns what is known of the candidates before the governor is asked: what their CAs said
// to this job, and which are unreachable or held. A CA of which no account may get the order is
// held until one may.
func (w *work) outlook(ctx context.Context, r *round) (controlplane.Outlook, place, error) {
	now := w.now()
	look := controlplane.Outlook{Now: now, Person: w.personWaits(now), Patience: w.patience()}
	p := place{known: map[string]obstacle{}, open: map[string][]string{},
		waits: map[string]string{}}
	if w.domain.HasCertificate(now) {
		look.Expires = *w.domain.ExpiresAt
		cert, err := w.current(ctx)
		if err != nil {
			return look, p, err
		}
		look.Lifetime = cert.NotAfter.Sub(cert.NotBefore)
	}
	for _, ca := range w.preference() {
		if slices.Contains(w.domain.ForbiddenCAs, ca) {
			continue
		}
		wait := w.waitOf(r, ca, now)
		c := controlplane.Candidate{CA: ca, Backoff: wait.Until,
			Refused: wait.Until.After(now) && !wait.Passes}
		ok, until := w.Issuer.Healthy(ca)
		if !ok && until.After(now) {
			c.Breaker = until
			v := controlplane.Verdict{Class: controlplane.VerdictUnreachable, CA: ca,
				Code: "ca-unreachable", Message: ca + " is unreachable.",
				Fix: controlplane.FixOf("ca-unreachable")}
			p.known[ca] = obstacleOf(v, true, until)
		}
		if wait.Until.After(now) {
			p.known[ca] = obstacleOf(wait.Verdict(ca), wait.Passes, wait.Until)
		}
		open, first, err := w.openAccounts(ctx, r, ca, now)
		if err != nil {
			return look, p, err
		}
		if len(open) == 0 && first.ca == "" {
			continue
		}
		if p.open[ca] = open; len(open) == 0 {
			c.Held, p.known[ca] = first.until, first.obstacle
			c.Refused = c.Refused || first.refused
		}
		look.Candidates, p.order = append(look.Candidates, c), append(p.order, ca)
	}
	return look, p, nil
}

// waitOf returns why the job does not use a CA, or an account given by its AccountRef, and until
// when. One that said something in this run gets no further order in it.
func (w *work) waitOf(r *round, key string, now time.Time) controlplane.CAWait {
	wait := w.claim.Job.CAs[key]
	switch {
	case r.recorded[key]:
		wait.Until = later(wait.Until, now.Add(time.Microsecond))
	case wait.Until.Before(now.Add(queueEarly)):
		wait.Until = time.Time{}
	}
	return wait
}

func obstacleOf(v controlplane.Verdict, passes bool, until time.Time) obstacle {
	return obstacle{text: text{v.Code, v.Message, v.Fix}, ca: v.CA, party: v.Actor(),
		problem: v.Problem, passes: passes, until: until}
}

func (o obstacle) verdict() controlplane.Verdict {
	return controlplane.Verdict{CA: o.ca, Code: o.code, Message: o.message, Fix: o.fix,
		Problem: o.problem}
}

// preference returns the CAs in the domain's order of preference.
func (w *work) preference() []string {
	list := w.Issuer.CAs()
	if i := slices.Index(list, w.domain.CA); i > 0 {
		list = append([]string{w.domain.CA}, slices.Delete(slices.Clone(list), i, i+1)...)
	}
	return list
}

// quota returns the governor's request for a new order at a CA with one of the accounts. A domain
// stays with the account that ordered its certificate.
func (w *work) quota(
	ctx context.Context, ca string, accounts []string,
) (controlplane.QuotaRequest, error) {
	q := controlplane.QuotaRequest{CA: ca, Accounts: accounts, Org: w.domain.OrgID,
		Names:  w.orderNames(),
		Waiter: w.claim.Job.ID, OrderID: controlplane.NewID(controlplane.PrefixOrder)}
	due, revoked, err := w.due(ctx)
	if err != nil {
		return q, err
	}
	q.Renewal = due || revoked
	old, err := w.current(ctx)
	if err != nil || old == nil || old.CA != ca ||
		!slices.Contains(accounts, controlplane.AccountOf(old.Account)) {
		return q, err
	}
	if q.Account = controlplane.AccountOf(old.Account); old.ARIID == "" {
		return q, nil
	}
	// A CA exempts a renewal from its limits only within the renewal window that it suggested.
	q.Replaces, err = w.Store.InRenewalWindow(ctx, w.domain.OrgID, w.domain.ID, w.now())
	return q, err
}

// replaces returns the ARI ID of the certificate that an order of the account would replace. A CA
// accepts only that of a certificate which the same account ordered (RFC 9773 §5).
func (w *work) replaces(ctx context.Context, ca, account string) (string, error) {
	old, err := w.current(ctx)
	if err != nil || old == nil || old.CA != ca ||
		controlplane.AccountOf(old.Account) != controlplane.AccountOf(account) {
		return "", err
	}
	return old.ARIID, nil
}

// createOrder stores a new order with the ID of its reservation.
func (w *work) createOrder(
	ctx context.Context, q controlplane.QuotaRequest,
) (*controlplane.Order, error) {
	d := w.domain
	o := &controlplane.Order{ID: q.OrderID, OrgID: d.OrgID, DomainID: d.ID, JobID: w.claim.Job.ID,
		CA: q.CA, Account: q.Account, Names: q.Names,
		Target: d.Target, Targets: d.Targets, KeyType: d.KeyType, Profile: d.Profile,
		PreferredChain:  d.PreferredChain,
		OptionsRevision: d.OptionsRevision}
	var err error
	var csr []byte
	if d.CSRPEM != "" {
		if csr, o.KeyType, err = controlplane.StoredCSR(d.CSRPEM); err != nil {
			return nil, err
		}
	}
	if o.Replaces, err = w.replaces(ctx, q.CA, q.Account); err != nil {
		return nil, err
	}
	if err := w.Issuer.Prepare(ctx, o, csr); err != nil {
		return nil, err
	}
	entry := w.audit(d.OrgID, w.actor(), controlplane.ActionOrderCreated, "domain", d.ID, w.now())
	entry.Details = map[string]any{"order_id": o.ID, "job_id": o.JobID, "ca": q.CA,
		"names": o.Names, "options_revision": o.OptionsRevision}
	if d.IsOutdated() {
		entry.Details["reason"] = controlplane.ReasonOptionsChanged
	}
	return o, w.Store.BeginOrder(ctx, w.claim, o, entry)
}

// learn updates the tracked limits of a CA after its verdict. A failed update is harmless: the CA
// enforces its limits itself.
func (w *work) learn(ctx context.Context, o *controlplane.Order, v controlplane.Verdict) {
	if w.Governor == nil {
		return
	}
	var learned, counted error
	if v.Class == controlplane.VerdictRateLimited {
		// The order's share is returned first, not by giveBack. Later, it would allow the next
		// order before the time that the CA has stated.
		w.returnShare(ctx, o, v)
		learned = w.Governor.Learn(ctx, quotaOf(o), v)
	}
	if v.FailedValidation {
		failed := quotaOf(o)
		if len(v.Identifiers) > 0 {
			failed.Names = v.Identifiers // the CA does not count the others
		}
		counted = w.Governor.AuthorizationFailed(ctx, failed)
	}
	w.logUpdate(ctx, o.ID, errors.Join(learned, counted))
}

// giveBack stops counting an order that is closed without a certificate, unless the CA may have
// counted it. After a rejection over a limit, learn has done so.
func (w *work) giveBack(ctx context.Context, o *controlplane.Order, v controlplane.Verdict) {
	if v.Class != controlplane.VerdictRateLimited {
		w.returnShare(ctx, o, v)
	}
}

func (w *work) returnShare(ctx context.Context, o *controlplane.Order, v controlplane.Verdict) {
	if w.Governor == nil || mayBeIssued(o, v) ||
		v.Class == controlplane.VerdictRateLimited && o.OrderURL != "" && !v.Over {
		return
	}
	w.logUpdate(ctx, o.ID, w.Governor.Refund(ctx, quotaOf(o),
		o.OrderURL != "" || v.Class == controlplane.VerdictUnreachable))
}

func quotaOf(o *controlplane.Order) controlplane.QuotaRequest {
	return controlplane.QuotaRequest{CA: o.CA, Account: o.Account, Names: o.Names,
		Replaces: o.Replaces != "", OrderID: o.ID}
}

func (w *work) logUpdate(ctx context.Context, orderID string, err error) {
	if err != nil {
		w.Logger.InfoContext(ctx, "lifecycle: updating the tracked CA limits failed",
			"order", orderID, "error", err)
	}
}

// mayBeIssued reports whether the CA may have issued the certificate of a closed order, and counted
// it against its limits. It did if it returned a chain, and it may have if the response to the CSR
// is unknown.
func mayBeIssued(o *controlplane.Order, v controlplane.Verdict) bool {
	if !v.Over || v.Class == controlplane.VerdictOrderGone {
		return o.Step.SentCSR()
	}
	return o.Step == controlplane.StepIssued
}
