package devstack

import (
	"context"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// playgroundZone queries the validation zone's server for the playground.
type playgroundZone struct {
	name string // canonical

	mu     sync.RWMutex
	server string
}

func (z *playgroundZone) setServer(addr string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.server = addr
}

// ask adds the zone's answer for a name to m. It tries UDP twice, then TCP.
func (z *playgroundZone) ask(ctx context.Context, m *dns.Msg, name string, qtype uint16) *dns.Msg {
	z.mu.RLock()
	server := z.server
	z.mu.RUnlock()
	if server == "" {
		return failed(m, dns.ExtendedErrorCodeNotReady,
			"the validation zone's DNS server is not configured yet")
	}
	q := new(dns.Msg)
	q.SetQuestion(name, qtype)
	q.RecursionDesired = false
	q.SetEdns0(playgroundUDPSize, false)
	why := ""
	for _, network := range []string{"udp", "udp", "tcp"} {
		c := &dns.Client{Net: network, Timeout: time.Second}
		r, _, err := c.ExchangeContext(ctx, q, server)
		if err != nil {
			why = err.Error()
			continue
		}
		if r.Truncated {
			why = "truncated"
			continue
		}
		if r.Rcode != dns.RcodeSuccess && r.Rcode != dns.RcodeNameError {
			return failed(m, dns.ExtendedErrorCodeNoReachableAuthority,
				"the validation zone's DNS server answered "+dns.RcodeToString[r.Rcode])
		}
		m.Rcode = r.Rcode
		m.Answer = append(m.Answer, r.Answer...)
		m.Ns = append(m.Ns, r.Ns...)
		return m
	}
	return failed(m, dns.ExtendedErrorCodeNoReachableAuthority,
		"the validation zone's DNS server did not answer: "+why)
}
