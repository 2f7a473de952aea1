package program

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/dnscheck"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres/postgrestest"
)

// TestLostReplicas kills, pauses, and cuts off one name server after the other. Orders continue
// when its lease has ended. Once a value counts as published, no replica denies it: one without a
// lease answers SERVFAIL, and it catches up.
func TestLostReplicas(t *testing.T) {
	t.Parallel()
	s := startStack(t, DevConfig{EmbeddedRedis: true})
	target := s.waitActive(s.add("served.example.com").Id).Delegation.Target
	addr := func() string {
		port, err := devstack.PortOr(0)
		must(t, err)
		return loopback(port)
	}

	killed := addr()
	process := s.startProcess(postgres.PartDNS, "DCVAAS_DNS_LISTEN="+killed)
	s.wantReplicas(killed)
	s.publish(target, "before-kill", killed)
	process.kill()
	s.publish(target, "killed", killed)
	s.waitActive(s.add("killed.example.com").Id)
	s.wantReplicas()

	paused := addr()
	process = s.startProcess(postgres.PartDNS, "DCVAAS_DNS_LISTEN="+paused)
	s.wantReplicas(paused)
	must(t, process.cmd.Process.Signal(syscall.SIGSTOP))
	s.publish(target, "paused", paused)
	s.waitActive(s.add("paused.example.com").Id)
	must(t, process.cmd.Process.Signal(syscall.SIGCONT))
	s.wantNoDenial(target, "paused", paused)
	s.wantReplicas(paused)
	s.publish(target, "continued", paused)
	must(t, process.cmd.Process.Signal(syscall.SIGTERM)) // ends the lease at once
	<-process.done
	s.wantReplicas()

	cut := addr()
	dsn, database := postgrestest.SilentDSN(t, s.Config.Database)
	s.startParts(Parts{DNS: true},
		func(c *Config) { c.Database, c.DNS.Listen = dsn, []string{cut} })
	s.wantReplicas(cut)
	database.Drop()
	s.publish(target, "cut", cut)
	if got := s.txt(cut, target); got != "SERVFAIL" {
		t.Errorf("TXT at a replica that is cut off = %s, want SERVFAIL", got)
	}
	s.waitActive(s.add("cut.example.com").Id)
	database.Restore()
	s.wantReplicas(cut)
	s.wantNoDenial(target, "cut", cut)
	s.publish(target, "restored", cut)
	if got := s.txt(cut, target); !strings.Contains(got, "cut") || !strings.Contains(got, "restored") {
		t.Errorf("TXT at the restored replica = %s, want the values of the meantime", got)
	}
}

// wantReplicas waits until the replicas with a lease are the stack's own and the given ones.
func (s *stack) wantReplicas(addrs ...string) {
	s.t.Helper()
	want := append(slices.Clone(s.Config.DNS.Listen), addrs...)
	slices.Sort(want)
	s.eventually("the replicas", func() error {
		got, err := s.App.nameServers(s.t.Context())
		slices.Sort(got)
		if err != nil || !slices.Equal(got, want) {
			return fmt.Errorf("replicas = %v, %w, want %v", got, err, want)
		}
		return nil
	})
}

// publish publishes a value like an order, and checks that the replica does not deny it afterwards.
func (s *stack) publish(target, value, replica string) {
	s.t.Helper()
	query[bool](s, `INSERT INTO challenges (target, value, org_id, domain_id, order_id, expires_at)
		SELECT $1, $2, org_id, domain_id, id, now() + interval '1 hour' FROM acme_orders ORDER BY id LIMIT 1 RETURNING true`,
		strings.TrimSuffix(target, "."+s.Config.Zone), value)
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	start := time.Now()
	if err := dnscheck.WaitTXT(ctx, s.App.nameServers, target, []string{value}); err != nil {
		s.t.Fatalf("publishing %s: %v", value, err)
	}
	s.t.Logf("published %q in %s", value, time.Since(start))
	s.wantNoDenial(target, value, replica)
}

// wantNoDenial checks that a replica serves the published value, answers SERVFAIL, or not at all.
func (s *stack) wantNoDenial(target, value, replica string) {
	s.t.Helper()
	if got := s.txt(replica, target); got != "SERVFAIL" && got != "" && !strings.Contains(got, value) {
		s.t.Errorf("TXT at %s after %q was published = %s, want the value, SERVFAIL, or no answer",
			replica, value, got)
	}
}

// txt returns a name server's answer: its response code unless NOERROR, or the values. It returns
// "" without an answer.
func (s *stack) txt(server, name string) string {
	s.t.Helper()
	m, _, err := (&dns.Client{Timeout: 2 * time.Second}).Exchange(
		new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeTXT), server)
	if err != nil {
		return ""
	}
	if m.Rcode != dns.RcodeSuccess {
		return dns.RcodeToString[m.Rcode]
	}
	values := []string{"NOERROR"}
	for _, rr := range m.Answer {
		if txt, ok := rr.(*dns.TXT); ok {
			values = append(values, txt.Txt...)
		}
	}
	return strings.Join(values, " ")
}
