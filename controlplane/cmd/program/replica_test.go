package program

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// deafReplica is a name server that fails every query for a challenge until it is opened. Then it
// forwards queries to upstream.
type deafReplica struct {
	addr     string
	upstream string
	asked    chan struct{} // closed at the first query
	once     sync.Once
	hears    atomic.Bool
}

func startDeafReplica(t *testing.T) *deafReplica {
	t.Helper()
	r := &deafReplica{asked: make(chan struct{})}
	started := make(chan struct{})
	s := &dns.Server{Addr: "127.0.0.1:0", Net: "udp", Handler: r,
		NotifyStartedFunc: func() { close(started) }}
	go func() { _ = s.ListenAndServe() }()
	<-started
	r.addr = s.PacketConn.LocalAddr().String()
	t.Cleanup(func() { _ = s.Shutdown() })
	return r
}

func (r *deafReplica) open() { r.hears.Store(true) }

func (r *deafReplica) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	probe := strings.HasPrefix(q.Question[0].Name, controlplane.ProbeName)
	if !probe {
		r.once.Do(func() { close(r.asked) })
	}
	answer := new(dns.Msg).SetRcode(q, dns.RcodeServerFailure)
	if probe || r.hears.Load() {
		if a, err := dns.Exchange(q, r.upstream); err == nil {
			answer = a
		}
	}
	_ = w.WriteMsg(answer)
}
