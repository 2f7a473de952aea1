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
	replaces *issued // exempt from limits
	status   string
	expires  time.Time
	proofs   []*proof
	problem  any
	chain    string
}

// proof is an authorization with its only challenge (RFC 8555 §7.1.4).
type proof struct {
	name, token, status string
	problem             any
}

func (a *ca) newOrder(r *request) answer {
	var in struct {
		Identifiers       []struct{ Type, Value string }
		Profile, Replaces string
	}
	if json.Unmarshal(r.payload, &in) != nil || len(in.Identifiers) == 0 {
		return problem(400, "malformed", "no order")
	}
	o := &order{id: strings.ToLower(rand.Text()), account: r.account, profile: in.Profile,
		status: "pending", expires: a.clock.Now().Add(orderLife)}
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
	}
	if known := a.pending(o); known != nil {
		a.tally.reused++
		return a.shown(known, 201)
	}
	if limit, wait := a.limits.admit(a.clock.Now(), o); limit != "" {
		return a.refuse(limit, wait)
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
	body := map[string]any{"status": o.status, "expires": o.expires.Format(time.RFC3339),
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
	if o.chain != "" {
		body["certificate"] = a.server.URL + "/certificate/" + o.id
	}
	return answer{status: status, location: a.server.URL + "/order/" + o.id, body: body}
}

// own returns the order of the request, or an error response if it does not exist.
func (a *ca) own(r *request) (*order, answer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	o := a.orders[r.PathValue("id")]
	if o == nil || o.account != r.account {
		return nil, problem(404, "malformed", "no such order")
	}
	if o.status == "pending" && !a.clock.Now().Before(o.expires) {
		o.status = "invalid"
	}
	return o, answer{}
}

func (a *ca) getOrder(r *request) answer {
	o, refusal := a.own(r)
	if o == nil {
		return refusal
	}
	a.mu.Lock()
	defer a.mu.Unlock()
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
	_, p, refusal := a.authorization(r)
	if p == nil {
		return refusal
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return answer{status: 200, body: map[string]any{"status": p.status,
		"identifier": map[string]string{"type": "dns", "value": p.name},
		"challenges": []any{a.challenge(r, p)}}}
}

func (a *ca) challenge(r *request, p *proof) map[string]any {
	body := map[string]any{"type": "dns-01", "status": p.status, "token": p.token,
		"url": fmt.Sprintf("%s/challenge/%s/%s", a.server.URL, r.PathValue("id"), r.PathValue("n"))}
	if p.problem != nil {
		body["error"] = p.problem
	}
	return body
}

// validate checks the proof of control immediately (RFC 8555 §8.4).
func (a *ca) validate(r *request) answer {
	o, p, refusal := a.authorization(r)
	if p == nil {
		return refusal
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
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if p.status != "pending" || o.status != "pending" {
		return problem(400, "malformed", "the challenge is %s", p.status)
	}
	if p.status = "valid"; wrong.status != 0 {
		p.status, p.problem, o.status, o.problem = "invalid", wrong.body, "invalid", wrong.body
		a.tally.failed++
		a.limits.failed(a.clock.Now(), o.account, p.name)
	} else if !slices.ContainsFunc(o.proofs, func(p *proof) bool { return p.status != "valid" }) {
		o.status = "ready"
	}
	return answer{status: 200, body: a.challenge(r, p)}
}
