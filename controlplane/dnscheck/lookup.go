package dnscheck

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

// challengeLabel precedes the domain in the name of a DNS-01 challenge (RFC 8555 §8.4).
const challengeLabel = rules.ChallengeLabel + "."

// source is a server that answers queries: a resolver, or a name server of a zone.
type source struct {
	label         string // shown in sentences
	address       string // shown in the evidence
	authoritative bool   // its answers count only for its own zone
	// network is that of the question. Resolvers ignore it.
	exchange func(ctx context.Context, network string, q *dns.Msg) (*dns.Msg, error)
}

type question struct {
	name             string // canonical FQDN
	qtype            uint16
	checkingDisabled bool // without DNSSEC validation (RFC 4035 §3.2.2)
	// network is how to send it to a name server: only over overUDP, only over overTCP, or, if
	// empty, over UDP, and over TCP if UDP does not return a complete answer.
	network string
}

// shared reports whether checks of several domains send the question: about zones, name servers,
// and CAA records. The answers for a challenge name and its CNAMEs concern one domain, and always
// come from the source.
func (q question) shared() bool {
	switch q.qtype {
	case dns.TypeNS, dns.TypeCAA, dns.TypeA, dns.TypeAAAA, dns.TypeSOA:
		return !q.checkingDisabled && !strings.HasPrefix(q.name, "_")
	}
	return false
}

const overUDP, overTCP = "udp", "tcp"

// lookup is one check of a domain: what it queries, and the answers so far. It queries each source
// only once per question.
type lookup struct {
	*Doctor
	*group
	domain, challenge, target string    // canonical FQDNs
	caa                       bool      // the CAA records are checked too
	deadline                  time.Time // of one of several checks

	zone    once[zone]     // domainZone
	servers once[[]source] // zoneServers
	part    once[portion]

	mu       sync.Mutex
	calls    map[key]*call
	finished []*call // in the order of their answers
}

// call is a question to a source, and its answer.
type call struct {
	source   source
	question question
	done     chan struct{}
	answer   answer // set when done is closed
	reused   bool   // the answer was requested before the group's checks
}

func (c *call) isDone() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// newLookup returns a lookup that uses only answers to queries that are sent from now on.
func newLookup(d *Doctor, domain, target string) *lookup {
	return d.newGroup().lookup(d, domain, target)
}

// lookup returns a check of the group.
func (g *group) lookup(d *Doctor, domain, target string) *lookup {
	domain = dns.CanonicalName(domain)
	return &lookup{Doctor: d, group: g, domain: domain, challenge: challengeLabel + domain,
		target: dns.CanonicalName(target), calls: map[key]*call{}}
}

// ask queries one source, or returns its previous answer.
func (l *lookup) ask(ctx context.Context, s source, q question) reply {
	k := key{source: s.address, question: q}
	common := l.group.ctx != nil && q.shared() // the query does not end with ctx
	if err := ctx.Err(); err != nil && common {
		return reply{err: err}
	}
	l.mu.Lock()
	c := l.calls[k]
	if c != nil {
		l.mu.Unlock()
		return c.wait(ctx)
	}
	own := &call{source: s, question: q, done: make(chan struct{})}
	if c = own; q.shared() {
		c = l.join(k, own)
	}
	l.calls[k] = c
	l.mu.Unlock()
	switch {
	case c != own:
	case common:
		go l.send(l.group.ctx, k, c)
	default:
		l.send(ctx, k, c)
	}
	r := c.wait(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.isDone() {
		l.finished = append(l.finished, c)
	}
	return r
}

// send sends the question of a call.
func (l *lookup) send(ctx context.Context, k key, c *call) {
	if c.question.shared() {
		c.answer = l.cache.get(ctx, k, l.since,
			func(ctx context.Context) reply { return l.exchange(ctx, c.source, c.question) })
	} else {
		c.answer.reply = l.exchange(ctx, c.source, c.question)
		c.answer.sent = l.started + 1
	}
	c.reused = c.answer.sent <= l.started
	if c.answer.err != nil && !c.source.authoritative {
		l.markDown(c.source)
	}
	close(c.done)
}

// wait returns the answer, or the error of ctx if that is done first.
func (c *call) wait(ctx context.Context) reply {
	if c.isDone() {
		return c.answer.reply
	}
	select {
	case <-c.done:
		return c.answer.reply
	case <-ctx.Done():
		return reply{err: ctx.Err()}
	}
}

// askAny returns the first usable reply of a resolver, or an unusable one if every reply is
// unusable. It queries one resolver, and the others if that one fails, or all if each has failed
// before.
func (l *lookup) askAny(ctx context.Context, q question) reply {
	if r, ok := l.known(ctx, q); ok {
		return r
	}
	order, first := l.inOrder(), 1
	if l.isDown(order[0]) {
		first = len(order)
	}
	replies := l.askAll(ctx, order[:first], q)
	if first < len(order) && !replies[0].usable() {
		replies = append(replies, l.askAll(ctx, order[first:], q)...)
	}
	best := replies[0]
	for _, r := range replies {
		if r.usable() {
			return r
		}
		if best.err != nil {
			best = r
		}
	}
	return best
}

// known returns a usable answer of any resolver that needs no query.
func (l *lookup) known(ctx context.Context, q question) (reply, bool) {
	for _, s := range l.resolvers {
		if r, ok := l.previous(s, q); ok && r.usable() {
			return r, true
		}
	}
	for _, s := range l.resolvers {
		k := key{source: s.address, question: q}
		if q.shared() && l.answered(k) || l.cache.has(k, l.since) {
			r := l.ask(ctx, s, q)
			return r, r.usable()
		}
	}
	return reply{}, false
}

// askAll queries the sources concurrently.
func (l *lookup) askAll(ctx context.Context, sources []source, q question) []reply {
	replies := make([]reply, len(sources))
	var wg sync.WaitGroup
	for i, s := range sources {
		wg.Go(func() { replies[i] = l.ask(ctx, s, q) })
	}
	wg.Wait()
	return replies
}

// inOrder returns the resolvers, those that have failed last.
func (l *lookup) inOrder() []source {
	var order, failed []source
	for _, s := range l.resolvers {
		if l.isDown(s) {
			failed = append(failed, s)
		} else {
			order = append(order, s)
		}
	}
	return append(order, failed...)
}

// exchange sends one query, with the timeout of one query. Over one network, that is half of it,
// which exchange (in authority.go) grants to UDP too.
func (l *lookup) exchange(ctx context.Context, s source, q question) reply {
	timeout := l.timeout
	if q.network != "" {
		timeout /= 2
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	m := new(dns.Msg)
	m.SetQuestion(q.name, q.qtype)
	m.RecursionDesired = !s.authoritative
	m.AuthenticatedData = !s.authoritative // requests the validation state (RFC 6840 §5.7)
	m.CheckingDisabled = q.checkingDisabled
	// A name server gets the query of a validating resolver, as CAs use, with signatures.
	m.SetEdns0(udpSize, s.authoritative)
	l.sent.count(s)
	answer, err := s.exchange(ctx, q.network, m)
	if err == nil && s.authoritative && (answer.Rcode == dns.RcodeFormatError ||
		answer.Rcode == dns.RcodeNotImplemented) {
		m.Extra = nil // a server without EDNS (RFC 6891 §7)
		l.sent.count(s)
		answer, err = s.exchange(ctx, q.network, m)
	}
	if err == nil && (len(answer.Question) != 1 ||
		!strings.EqualFold(answer.Question[0].Name, q.name) ||
		answer.Question[0].Qtype != q.qtype) {
		err = errors.New("the answer is for a different question")
	}
	if err != nil {
		l.log.DebugContext(ctx, "dnscheck: query failed", "source", s.address, "name", q.name,
			"error", err)
		return reply{err: err}
	}
	r := reply{msg: answer}
	switch {
	case answer.Truncated:
		r.err = errTruncated
	case s.authoritative && r.usable() && !answer.Authoritative:
		r.err = errLame
	}
	return r
}

var (
	errLame = errors.New("not authoritative for the zone")
	// errTruncated means that records are missing. A CA does not use such an answer either.
	errTruncated = errors.New("truncated answer")
)

// previous returns the answer that the lookup has got from a source.
func (l *lookup) previous(s source, q question) (reply, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.calls[key{source: s.address, question: q}]
	if c == nil || !c.isDone() {
		return reply{}, false
	}
	return c.answer.reply, true
}

// resolverAnswered reports whether a resolver has answered a query of this lookup.
func (l *lookup) resolverAnswered() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.finished, func(c *call) bool {
		return c.answer.msg != nil && !c.source.authoritative && !c.reused
	})
}

// current returns the time since which every answer is: that of the oldest one that is reused, or
// else the start of the call, or now if it has one check.
func (l *lookup) current() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.at
	if t.IsZero() {
		t = l.now()
	}
	for _, c := range l.finished {
		if c.reused && c.answer.at.Before(t) {
			t = c.answer.at
		}
	}
	return t.UTC()
}

// reused reports whether the lookup has used an answer that was requested before its group.
func (l *lookup) reused() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.finished, func(c *call) bool { return c.reused })
}

// again returns a lookup of the same domain that has the answers of l to its own queries, and
// repeats the others.
func (l *lookup) again() *lookup {
	n := l.renewed().lookup(l.Doctor, l.domain, l.target)
	n.caa, n.deadline = l.caa, l.deadline
	for _, c := range l.finished {
		if !c.reused {
			n.calls[key{source: c.source.address, question: c.question}] = c
			n.finished = append(n.finished, c)
		}
	}
	return n
}

// isUpstream reports whether a resolver's failure may be that of the name servers that it queries:
// their silence, or their answer.
func isUpstream(err error) bool {
	return timedOut(err) || errors.Is(err, errUnreadable) || errors.Is(err, errTruncated)
}

func timedOut(err error) bool {
	var netErr net.Error
	return errors.Is(err, context.DeadlineExceeded) || (errors.As(err, &netErr) && netErr.Timeout())
}

// display returns a name without its trailing dot.
func display(name string) string {
	if name == "." {
		return name
	}
	return strings.TrimSuffix(name, ".")
}
