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

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// challengeLabel is where ACME looks for a DNS-01 challenge (RFC 8555 §8.4).
const challengeLabel = "_acme-challenge."

// source is somebody who answers questions: a resolver, or a zone's name server.
type source struct {
	label         string // for a sentence
	address       string // for the evidence
	authoritative bool   // its word counts for its own zone only
	exchange      func(ctx context.Context, q *dns.Msg) (*dns.Msg, error)
}

type question struct {
	name             string // canonical FQDN
	qtype            uint16
	checkingDisabled bool // without DNSSEC validation (RFC 4035 §3.2.2)
}

// look is one examination: what is asked for, and what was answered so far. Nothing is
// asked twice of one source.
type look struct {
	*Doctor
	domain, challenge, target string // canonical FQDNs

	zoneOnce, serversOnce sync.Once
	zone                  zone     // of theZone
	servers               []source // of zoneServers

	mu       sync.Mutex
	asked    map[string]reply
	evidence []controlplane.Observation
	heard    bool // a resolver has answered something
}

func newLook(d *Doctor, domain, target string) *look {
	domain = dns.CanonicalName(domain)
	return &look{Doctor: d, domain: domain, challenge: challengeLabel + domain, target: dns.CanonicalName(target), asked: map[string]reply{}}
}

// ask puts a question to one source, or returns what it said before.
func (l *look) ask(ctx context.Context, s source, q question) reply {
	if r, ok := l.remembered(s, q); ok {
		return r
	}
	r := l.exchange(ctx, s, q)
	l.remember(s, q, r)
	return r
}

// askAny puts a question to all resolvers at once and returns the first good answer, or a
// bad one where there is no better.
func (l *look) askAny(ctx context.Context, q question) reply {
	for _, s := range l.resolvers {
		if r, ok := l.remembered(s, q); ok && r.usable() {
			return r
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type told struct {
		source
		reply
	}
	answers := make(chan told, len(l.resolvers))
	for _, s := range l.resolvers {
		go func() { answers <- told{s, l.exchange(ctx, s, q)} }()
	}
	var best told
	for i := range l.resolvers {
		r := <-answers
		if i == 0 || r.usable() || best.err != nil {
			best = r
		}
		if best.usable() {
			break
		}
	}
	l.remember(best.source, q, best.reply)
	return best.reply
}

// exchange asks, within the timeout of one question.
func (l *look) exchange(ctx context.Context, s source, q question) reply {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	m := new(dns.Msg)
	m.SetQuestion(q.name, q.qtype)
	m.RecursionDesired = !s.authoritative
	m.AuthenticatedData = !s.authoritative // asks whether it was validated (RFC 6840 §5.7)
	m.CheckingDisabled = q.checkingDisabled
	m.SetEdns0(udpSize, false)
	answer, err := s.exchange(ctx, m)
	if err == nil && (len(answer.Question) != 1 || !strings.EqualFold(answer.Question[0].Name, q.name) || answer.Question[0].Qtype != q.qtype) {
		err = errors.New("it answered another question")
	}
	if err != nil {
		l.log.DebugContext(ctx, "DNS question failed", "source", s.address, "name", q.name, "error", err)
		return reply{err: err}
	}
	r := reply{msg: answer}
	if s.authoritative && r.usable() && !answer.Authoritative {
		r.err = errLame
	}
	return r
}

var errLame = errors.New("it is not authoritative for the zone")

func (q question) key(s source) string {
	return fmt.Sprint(s.address, "|", q.name, "|", q.qtype, "|", q.checkingDisabled)
}

func (l *look) remembered(s source, q question) (reply, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r, ok := l.asked[q.key(s)]
	return r, ok
}

func (l *look) remember(s source, q question, r reply) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked[q.key(s)] = r
	l.heard = l.heard || (r.msg != nil && !s.authoritative)
	if q.name == "." || q.qtype == dns.TypeAAAA || (q.qtype == dns.TypeA && !strings.HasPrefix(q.name, challengeLabel)) {
		return // the root, and addresses of name servers, prove nothing about the record
	}
	o := controlplane.Observation{Source: s.address, Name: display(q.name), Type: dns.TypeToString[q.qtype], Answer: []string{}}
	if r.msg != nil {
		o.RCode = dns.RcodeToString[r.msg.Rcode]
		o.Error = extendedError(r.msg)
		o.Count = len(r.msg.Answer)
		for _, rr := range r.msg.Answer[:min(len(r.msg.Answer), controlplane.MaxObserved)] {
			o.Answer = append(o.Answer, controlplane.Shorten(strings.ReplaceAll(rr.String(), "\t", " ")))
		}
	}
	if r.err != nil {
		o.Error = plainError(r.err)
	}
	l.evidence = append(l.evidence, o)
}

// hasHeard reports whether a resolver has answered anything in this look.
func (l *look) hasHeard() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.heard
}

// observations returns the evidence, by source, in the order of asking.
func (l *look) observations() []controlplane.Observation {
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.SortStableFunc(l.evidence, func(a, b controlplane.Observation) int { return strings.Compare(a.Source, b.Source) })
	return l.evidence
}

// plainError says what a customer may know: nothing of our own network.
func plainError(err error) string {
	if status, ok := errors.AsType[httpStatusError](err); ok {
		return status.Error()
	}
	switch {
	case errors.Is(err, errLame), errors.Is(err, errPrivate):
		return err.Error()
	case timedOut(err):
		return "no answer in time"
	case errors.Is(err, errUnreadable):
		return errUnreadable.Error()
	default:
		return "it could not be asked"
	}
}

func timedOut(err error) bool {
	var netErr net.Error
	return errors.Is(err, context.DeadlineExceeded) || (errors.As(err, &netErr) && netErr.Timeout())
}

// display is a name as people write it.
func display(name string) string {
	if name == "." {
		return name
	}
	return strings.TrimSuffix(name, ".")
}
