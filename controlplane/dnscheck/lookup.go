package dnscheck

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
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

const overUDP, overTCP = "udp", "tcp"

// lookup is one check of a domain: what it queries, and the answers so far. It queries each source
// only once per question.
type lookup struct {
	*Doctor
	domain, challenge, target string // canonical FQDNs

	zone    once[zone]     // domainZone
	servers once[[]source] // zoneServers

	mu       sync.Mutex
	replies  map[string]reply
	evidence []controlplane.Observation
	answered bool // a resolver has answered a query
}

func newLookup(d *Doctor, domain, target string) *lookup {
	domain = dns.CanonicalName(domain)
	return &lookup{Doctor: d, domain: domain, challenge: challengeLabel + domain,
		target: dns.CanonicalName(target), replies: map[string]reply{}}
}

// ask queries one source, or returns its previous answer.
func (l *lookup) ask(ctx context.Context, s source, q question) reply {
	if r, ok := l.cached(s, q); ok {
		return r
	}
	r := l.exchange(ctx, s, q)
	l.record(s, q, r)
	return r
}

// askAny queries all resolvers concurrently and returns the first usable reply, or an unusable one
// if every reply is unusable.
func (l *lookup) askAny(ctx context.Context, q question) reply {
	for _, s := range l.resolvers {
		if r, ok := l.cached(s, q); ok && r.usable() {
			return r
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		source
		reply
	}
	answers := make(chan result, len(l.resolvers))
	for _, s := range l.resolvers {
		go func() { answers <- result{s, l.exchange(ctx, s, q)} }()
	}
	var best result
	for i := range l.resolvers {
		r := <-answers
		if i == 0 || r.usable() || best.err != nil {
			best = r
		}
		if best.usable() {
			break
		}
	}
	l.record(best.source, q, best.reply)
	return best.reply
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
	answer, err := s.exchange(ctx, q.network, m)
	if err == nil && s.authoritative && (answer.Rcode == dns.RcodeFormatError ||
		answer.Rcode == dns.RcodeNotImplemented) {
		m.Extra = nil // a server without EDNS (RFC 6891 §7)
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

func (q question) key(s source) string {
	return fmt.Sprint(s.address, "|", q.name, "|", q.qtype, "|", q.checkingDisabled, q.network)
}

func (l *lookup) cached(s source, q question) (reply, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r, ok := l.replies[q.key(s)]
	return r, ok
}

func (l *lookup) record(s source, q question, r reply) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.replies[q.key(s)] = r
	l.answered = l.answered || (r.msg != nil && !s.authoritative)
	if q.name == "." || q.qtype == dns.TypeAAAA ||
		(q.qtype == dns.TypeA && !strings.HasPrefix(q.name, challengeLabel)) {
		return // the root and name servers' addresses are not evidence about the record
	}
	o := controlplane.Observation{Source: s.address, Name: display(q.name),
		Type: dns.TypeToString[q.qtype], Answer: []string{}}
	if q.network == overTCP {
		o.Source += " over TCP"
	}
	if r.msg != nil {
		o.RCode = dns.RcodeToString[r.msg.Rcode]
		o.Error = extendedError(r.msg)
		answer := unsigned(r.msg.Answer)
		o.Count = len(answer)
		for _, rr := range answer[:min(len(answer), controlplane.MaxObserved)] {
			o.Answer = append(o.Answer, controlplane.Shorten(strings.ReplaceAll(rr.String(), "\t",
				" ")))
		}
	}
	if r.err != nil {
		o.Error = plainError(r.err)
	}
	l.evidence = append(l.evidence, o)
}

// resolverAnswered reports whether a resolver has answered a query of this lookup.
func (l *lookup) resolverAnswered() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.answered
}

// observations returns the evidence, by source and in the order of the queries.
func (l *lookup) observations() []controlplane.Observation {
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.SortStableFunc(l.evidence, func(a,
		b controlplane.Observation) int {
		return strings.Compare(a.Source, b.Source)
	})
	return l.evidence
}

// plainError returns a description for customers, without details of the internal network.
func plainError(err error) string {
	if status, ok := errors.AsType[httpStatusError](err); ok {
		return status.Error()
	}
	switch {
	case errors.Is(err, errLame), errors.Is(err, errPrivate), errors.Is(err, errTruncated):
		return err.Error()
	case timedOut(err):
		return "timed out"
	case errors.Is(err, errUnreadable):
		return errUnreadable.Error()
	default:
		return "unreachable"
	}
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
