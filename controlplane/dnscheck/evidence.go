package dnscheck

import (
	"errors"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// observations returns the evidence, by source and in the order of the answers.
func (l *lookup) observations() []controlplane.Observation {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []controlplane.Observation
	for _, c := range l.finished {
		if c.question.isEvidence() {
			out = append(out, c.observation())
		}
	}
	slices.SortStableFunc(out, func(a, b controlplane.Observation) int {
		return strings.Compare(a.Source, b.Source)
	})
	return out
}

// isEvidence reports whether the answer is evidence about the record. Those about the root and the
// addresses of name servers are not.
func (q question) isEvidence() bool {
	return q.name != "." && q.qtype != dns.TypeAAAA &&
		(q.qtype != dns.TypeA || strings.HasPrefix(q.name, challengeLabel))
}

func (c *call) observation() controlplane.Observation {
	o := controlplane.Observation{Source: c.source.address, Name: display(c.question.name),
		Type: dns.TypeToString[c.question.qtype], Answer: []string{},
		Path: c.answer.reply.path(c.question.name)}
	if c.question.network == overTCP {
		o.Source += " over TCP"
	}
	if r := c.answer.reply; r.msg != nil {
		o.RCode = dns.RcodeToString[r.msg.Rcode]
		o.Error = extendedError(r.msg)
		records := unsigned(r.msg.Answer)
		o.Count = len(records)
		for _, rr := range records[:min(len(records), controlplane.MaxObserved)] {
			o.Answer = append(o.Answer, controlplane.Shorten(strings.ReplaceAll(rr.String(), "\t",
				" ")))
		}
	}
	if c.answer.err != nil {
		o.Error = plainError(c.answer.err)
	}
	return o
}

// path returns the name, and the targets of the CNAMEs that the answer leads to from there.
func (r reply) path(name string) []string {
	shown, seen := []string{display(name)}, []string{name}
	for len(seen) <= maxHops {
		next := r.targets(seen[len(seen)-1])
		if len(next) != 1 || slices.Contains(seen, next[0]) {
			break
		}
		shown, seen = append(shown, display(next[0])), append(seen, next[0])
	}
	return shown
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
