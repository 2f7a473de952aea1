package soak

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

const (
	requestsOfRun           = 20 // per order and run
	requestsOfAuthorization = 6  // more for each authorization
	maxOrdersOfCA           = 2  // per CA and run
)

// maxRequests returns the most requests per order and run.
func (c *cell) maxRequests() int {
	return requestsOfRun + requestsOfAuthorization*(1+len(c.more()))
}

// bound returns how long the certificate may take at most.
//
// With a second CA, a person waits for minutes: the first CA's order is set aside after 2 minutes,
// its last run takes up to 1 minute more, and failed reads are repeated for 30 s. If more than a
// day is left, it is set aside after 15 minutes, and a limit of the preferred CA may be awaited for
// an hour. Alone, the longest wait counts once per occurrence of the fault. A person is assumed to
// wait for an hour.
func (c *cell) bound() time.Duration {
	times := time.Duration(1)
	if c.often == twice {
		times = 2
	}
	switch {
	case c.harm.name == healthy && c.several: // one name takes 9 seconds, and is polled by two runs
		return 30 * time.Second
	case c.harm.name == healthy: // the CA takes 3 seconds in total
		return 15 * time.Second
	case c.backup && c.situation == relaxed:
		return 80 * time.Minute
	case c.backup:
		return 5 * time.Minute
	case c.situation == first && c.often == twice:
		return time.Hour + day + 15*time.Minute
	case c.situation == first:
		return time.Hour + 15*time.Minute
	case c.situation == urgent:
		return times*30*time.Minute + 10*time.Minute
	}
	return times*15*day/2 + time.Hour
}

// checkWait checks that a job does not wait beyond the deadline.
func (c *cell) checkWait(j *job) {
	if j.Type == controlplane.JobDNSCheck || !c.armed || c.issued() {
		return
	}
	d, now := c.domain(), c.clock.Now()
	longest := day
	switch {
	case d.ExpiresAt != nil:
		longest = max(5*time.Minute, d.ExpiresAt.Sub(now)/4)
	case j.Queue == controlplane.QueueCritical && !c.result.dead:
		longest = time.Hour
	}
	if wait := j.RunAt.Sub(now); wait > longest+time.Second {
		c.wrong("long wait", "%s (%s) waits for %s, want at most %s", j.Type, j.Reason, wait,
			longest)
	}
}

// checkRun checks the requests and the outcome of a run.
func (c *cell) checkRun(j *job, err error) {
	if !c.armed {
		return
	}
	_, later := errors.AsType[*lifecycle.RetryLater](err)
	_, dead := errors.AsType[*lifecycle.DeadLettered](err)
	if err != nil && !later && !dead {
		c.ended = true
		c.wrong("unrecorded", "RunJob() = %v, want nil or a recorded failure", err)
	}
	c.result.dead = c.result.dead || dead
	for order, n := range c.counts {
		c.result.requests = max(c.result.requests, n)
		if n > c.maxRequests()+c.repeated() {
			c.wrong("requests", "%s: %d requests for order %s, want at most %d", j.Type, n, order,
				c.maxRequests())
		}
	}
	for ca, orders := range c.orders {
		if len(orders) > maxOrdersOfCA {
			c.wrong("orders", "%s: %d orders at %s, want at most %d", j.Type, len(orders), ca,
				maxOrdersOfCA)
		}
	}
	for _, a := range c.cas {
		if len(a.tally.passed) > 0 {
			c.wrong("limits", "%s: exceeded %s", a.name, strings.Join(a.tally.passed, "; "))
		}
	}
}

// repeated returns how many requests the HTTP client repeats itself, which the engine does not see:
// those without a body whose connection was closed.
func (c *cell) repeated() int {
	if c.stage == atNonce || c.stage == atDirectory {
		return map[often]int{once: 1, twice: 2, forever: c.maxRequests()}[c.often]
	}
	return 0
}

// checkShown checks the codes and texts that customers see. settled says that the fault has lasted
// for long: its cause must be shown.
func (c *cell) checkShown(settled bool) {
	d := c.domain()
	kind := controlplane.CertificateReady
	if d.HasCertificate(c.clock.Now()) {
		kind = controlplane.RenewalOnTrack
	}
	condition := d.Condition(kind)
	var code, text string
	c.must(c.lane.own.QueryRow(c.ctx, `SELECT coalesce(max(last_error_code), ''), coalesce(max(last_error), '') FROM (
		SELECT last_error_code, last_error FROM jobs WHERE slot = 'certificate' ORDER BY created_at DESC LIMIT 1) j`).
		Scan(&code, &text))
	c.checkText("the job's last_error", code, text)
	if condition.Status == controlplane.ConditionFalse {
		c.checkText("the condition", string(condition.Reason), condition.Message+" "+condition.Fix)
	}
	if entry, _ := controlplane.CodeOf(condition.Reason); settled && entry.Pending {
		c.wrong("unexplained", "after %s, the condition is %s", fortune, shown(d))
	}
	var internal int
	c.must(c.lane.own.QueryRow(c.ctx, `SELECT count(*) FROM acme_orders WHERE error_code = 'internal'`).
		Scan(&internal))
	if internal > 0 {
		c.wrong("internal", "an order failed with code internal")
	}
}

func (c *cell) checkText(where, code, text string) {
	entry, known := controlplane.CodeOf(code)
	switch {
	case code == "" || entry.Pending || !c.armed || c.hits == 0:
		return
	case code == "internal":
		c.wrong("internal", "%s has code internal", where)
		return
	case !known:
		c.wrong("unknown code", "%s has code %s, which is not in the catalog", where, code)
		return
	}
	if allowed := c.parties(); !slices.Contains(allowed, party(entry)) {
		c.wrong("party", "%s has code %s, for the %s to act, want %s: %s", where, code, party(entry),
			strings.Join(allowed, " or "), text)
	}
	if strings.Contains(text, "_acme-challenge") && c.stage != atValidation {
		c.wrong("misleading", "%s has code %s and mentions the challenge record: %s", where, code,
			text)
	}
	if c.several && c.stage == atValidation {
		if strings.Contains(text, knownName) || strings.Contains(text, " "+cellName) {
			c.wrong("innocent name", "%s has code %s and names another name than %s: %s", where,
				code, hitName, text)
		}
		if party(entry) == customer && !strings.Contains(text, hitName) {
			c.wrong("unnamed", "%s has code %s and does not mention %s: %s", where, code, hitName,
				text)
		}
	}
}

// The parties that act. The service and the CA are one: no person on our side or the customer's
// acts.
const (
	customer = "customer"
	operator = "operator"
	service  = "service"
)

func party(c controlplane.Code) string {
	switch c.Actor {
	case controlplane.PartyCustomer:
		return customer
	case controlplane.PartyOperator:
		return operator
	}
	return service
}

// customers reports whether only the customer can fix the cause.
func (c *cell) customers() bool { return slices.Contains(c.parties(), customer) }

// parties returns the parties that may be told to act. It follows from RFC 8555 alone.
func (c *cell) parties() []string {
	if c.backup || c.several { // the next order may be in progress, and its first name lags
		return append(c.blamed(), service)
	}
	return c.blamed()
}

func (c *cell) blamed() []string {
	anyone := []string{customer, operator, service}
	early := c.stage == atDirectory || c.stage == atNonce || c.stage == atAccount
	result := c.stage == atValidation || c.stage == atIssuance
	switch c.harm.kind {
	case "paused":
		return []string{customer, operator}
	case "", "rateLimited", "serverInternal", "badNonce":
		return []string{service}
	case "caa":
		switch {
		case c.stage == atNewOrder || c.stage == atFinalize || result:
			return []string{customer}
		case !early:
			return anyone // a read that fails
		}
	case "dns", "connection", "tls", "incorrectResponse", "unauthorized":
		switch {
		case c.stage == atValidation:
			return []string{customer}
		case !early && c.harm.kind != "unauthorized":
			return anyone // such as a lookup of CAA records
		}
	case "rejectedIdentifier", "unsupportedIdentifier", "invalidProfile", "compound":
		switch {
		case c.stage == atNewOrder || c.stage == atFinalize || result:
			return []string{customer}
		case !early:
			return anyone
		}
	case "badCSR", "badPublicKey", "badSignatureAlgorithm":
		switch {
		case c.stage == atFinalize || c.stage == atIssuance:
			return []string{customer}
		case !early:
			return anyone // the key of the account, or of the certificate
		}
	}
	if result {
		return anyone
	}
	return []string{operator, service}
}

// shown returns what the domain shows about its certificate.
func shown(d *controlplane.Domain) string {
	var parts []string
	for _, c := range d.Conditions {
		if c.Type != controlplane.DNSReady {
			parts = append(parts, fmt.Sprintf("%s=%s (%s: %s)", c.Type, c.Status, c.Reason,
				c.Message))
		}
	}
	return strings.Join(parts, ", ")
}
