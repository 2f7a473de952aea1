package soak

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// orderLife is how long a pending order can be resumed.
const orderLife = 7 * day

// order is an order at the CA (RFC 8555 §7.1.3).
type order struct {
	id       string
	account  *account
	names    []string
	profile  string
	replaces *issued
	exempt   bool // from limits: it replaces a certificate within its suggested window
	status   string
	expires  time.Time
	proofs   []*proof
	problem  any
	chain    string
	manner   manner
	created  time.Time
	sentAt   time.Time // when the CSR was accepted
	issuedAt time.Time // when the certificate exists
}

// proof is an authorization with its only challenge (RFC 8555 §7.1.4).
type proof struct {
	name, token, status string
	problem             any
	result              *validated // pending
}

func (a *ca) newOrder(r *request) answer {
	var in struct {
		Identifiers       []struct{ Type, Value string }
		Profile, Replaces string
	}
	if json.Unmarshal(r.payload, &in) != nil || len(in.Identifiers) == 0 {
		return problem(400, "malformed", "no order")
	}
	now := a.clock.Now()
	o := &order{id: strings.ToLower(rand.Text()), account: r.account, profile: in.Profile,
		status: "pending", created: now, expires: now.Add(orderLife)}
	for _, id := range in.Identifiers {
		if id.Type != "dns" || a.dns.subjects[base(id.Value)] == nil {
			return problem(400, "rejectedIdentifier", "%q is not a domain of this test", id.Value)
		}
		o.names = append(o.names, id.Value)
		o.proofs = append(o.proofs, &proof{name: base(id.Value), token: rand.Text(),
			status: "pending"})
	}
	slices.Sort(o.names)
	if lives[o.profile] == 0 {
		return problem(400, "invalidProfile", "no profile %q", o.profile)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if in.Replaces != "" {
		if o.replaces = a.certs[in.Replaces]; o.replaces == nil ||
			!slices.Equal(o.replaces.names, o.names) {
			return problem(404, "malformed", "no such certificate to replace")
		}
		if o.replaces.replaced {
			return problem(409, "alreadyReplaced", "the certificate has already been replaced")
		}
		o.exempt = o.replaces.isDue(now)
	}
	if known := a.pending(o); known != nil {
		a.tally.reused++
		return a.shown(known, 201)
	}
	if refusal := a.unwelcome(o, now); refusal.status != 0 {
		return refusal
	}
	if limit, wait := a.limits.admit(now, o); limit != "" {
		return a.refuse(o, limit, wait)
	}
	if a.manners != nil {
		o.manner = a.manners(o)
	}
	for _, p := range o.proofs {
		if p.name == o.manner.known {
			p.status = "valid"
		}
	}
	a.orders[o.id], a.open[o.key()] = o, o
	a.tally.orders++
	if o.replaces != nil {
		a.tally.replaced++
	}
	return a.shown(o, 201)
}

// pending returns the account's pending order for the same certificate, which the CA returns
// instead of a new one. The caller holds the lock.
func (a *ca) pending(o *order) *order {
	known := a.open[o.key()]
	if known == nil || known.replaces != o.replaces || known.status != "pending" &&
		known.status != "ready" || !a.clock.Now().Before(known.expires) {
		return nil
	}
	return known
}

// key returns the same value for orders for the same certificate.
func (o *order) key() string {
	return o.account.url + " " + o.profile + " " + strings.Join(o.names, " ")
}

// shown returns the order as the CA sends it. The caller holds the lock.
func (a *ca) shown(o *order, status int) answer {
	state := o.status
	if now := a.clock.Now(); !o.sentAt.IsZero() && now.Before(o.sentAt.Add(o.manner.stale)) {
		state = "ready"
	}
	body := map[string]any{"status": state, "expires": o.expires.Format(time.RFC3339),
		"profile": o.profile, "finalize": a.server.URL + "/finalize/" + o.id}
	var identifiers []map[string]string
	var authorizations []string
	for _, name := range o.names {
		identifiers = append(identifiers, map[string]string{"type": "dns", "value": name})
	}
	for n := range o.proofs {
		authorizations = append(authorizations,
			fmt.Sprintf("%s/authorization/%s/%d", a.server.URL, o.id, n))
	}
	body["identifiers"], body["authorizations"] = identifiers, authorizations
	if o.problem != nil {
		body["error"] = o.problem
	}
	if state == "valid" {
		body["certificate"] = a.server.URL + "/certificate/" + o.id
	}
	shown := answer{status: status, location: a.server.URL + "/order/" + o.id, body: body}
	if state == "processing" {
		shown.retryAfter = o.manner.pause
	}
	return shown
}

// own returns the order of the request, or an error response if it does not exist.
func (a *ca) own(r *request) (*order, answer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	o := a.orders[r.PathValue("id")]
	if o == nil || o.account != r.account {
		return nil, problem(404, "malformed", "no such order")
	}
	a.settle(o, a.clock.Now())
	return o, answer{}
}

func (a *ca) getOrder(r *request) answer {
	o, refusal := a.own(r)
	if o == nil {
		return refusal
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if o.isMissing(o.created, a.clock.Now()) {
		a.tally.faults["order or authorization missing on a replica"]++
		return problem(404, "malformed", "no order for ID %q", o.id)
	}
	return a.shown(o, 200)
}

// authorization returns the authorization of the request.
func (a *ca) authorization(r *request) (*order, *proof, answer) {
	o, refusal := a.own(r)
	if o == nil {
		return nil, nil, refusal
	}
	n, err := strconv.Atoi(r.PathValue("n"))
	if err != nil || n < 0 || n >= len(o.proofs) {
		return nil, nil, problem(404, "malformed", "no such authorization")
	}
	return o, o.proofs[n], answer{}
}

func (a *ca) getAuthorization(r *request) answer {
	o, p, refusal := a.authorization(r)
	if p == nil {
		return refusal
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if o.isMissing(o.created, a.clock.Now()) {
		a.tally.faults["order or authorization missing on a replica"]++
		return problem(404, "malformed", "no such authorization")
	}
	shown := answer{status: 200, body: map[string]any{"status": p.status,
		"identifier": map[string]string{"type": "dns", "value": p.name},
		"challenges": []any{a.challenge(r, p)}}}
	if p.result != nil {
		shown.retryAfter = o.manner.pause
	}
	return shown
}

func (a *ca) challenge(r *request, p *proof) map[string]any {
	body := map[string]any{"type": "dns-01", "status": p.status, "token": p.token,
		"url": fmt.Sprintf("%s/challenge/%s/%s", a.server.URL, r.PathValue("id"), r.PathValue("n"))}
	if p.problem != nil {
		body["error"] = p.problem
	}
	return body
}

// validate checks the proof of control (RFC 8555 §8.4). The manner of the order says when the
// result is shown. Until then, a second request is rejected, as Boulder does.
func (a *ca) validate(r *request) answer {
	o, p, refusal := a.authorization(r)
	if p == nil {
		return refusal
	}
	outcome := a.outcome(r, o, p)
	validates := o.manner.validates
	if p.name == o.manner.lagging {
		validates += o.manner.lags
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case p.result != nil:
		a.tally.faults["challenge already being validated"]++
		return problem(409, "malformed", "the challenge is being validated")
	case p.status != "pending" || o.status != "pending":
		return problem(400, "malformed", "the challenge is %s", p.status)
	}
	outcome.at = a.clock.Now().Add(validates)
	p.result = outcome
	a.settle(o, a.clock.Now())
	return answer{status: 200, body: a.challenge(r, p)}
}

// outcome returns the result of a validation.
func (a *ca) outcome(r *request, o *order, p *proof) *validated {
	if a.rejects != nil {
		if wrong := a.rejects(p.name); wrong != nil {
			return &validated{status: "invalid", problem: wrong}
		}
	}
	sum := sha256.Sum256([]byte(p.token + "." + o.account.thumbprint))
	values, err := a.dns.lookup(r.Context(), p.name)
	var wrong answer
	switch {
	case err != nil:
		wrong = problem(400, "dns", "looking up TXT for _acme-challenge.%s: %v", p.name, err)
	case a.happens("validation failed", oddsValidation):
		wrong = problem(400, "dns", "looking up TXT for _acme-challenge.%s: SERVFAIL", p.name)
	case !slices.Contains(values, b64.EncodeToString(sum[:])):
		wrong = problem(403, "unauthorized", "the TXT record for _acme-challenge.%s is missing",
			p.name)
	default:
		return &validated{status: "valid"}
	}
	return &validated{status: "invalid", problem: wrong.body}
}
