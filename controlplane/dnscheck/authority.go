package dnscheck

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

const (
	udpSize    = 1232 // bytes, as recommended by DNS flag day 2020
	maxServers = 6    // queried per zone; zones with more usually serve them from one source
)

var errPrivate = errors.New("address is not public")

// authorities returns the name servers of a zone as sources. A server without an address is
// included and returns an error for every query.
func (l *lookup) authorities(ctx context.Context, z zone) []source {
	if l.authority != "" {
		label := "the zone's name server"
		if len(z.servers) > 0 {
			label = display(z.servers[0])
		}
		return []source{l.authoritySource(label, l.authority)}
	}
	servers := z.servers[:min(len(z.servers), maxServers)]
	out := make([]source, len(servers))
	var wg sync.WaitGroup
	for i, host := range servers {
		wg.Go(func() {
			addr, err := l.addressOf(ctx, host)
			if err != nil {
				out[i] = source{label: display(host), address: display(host), authoritative: true,
					exchange: func(context.Context, *dns.Msg) (*dns.Msg, error) { return nil, err }}
				return
			}
			out[i] = l.authoritySource(display(host), net.JoinHostPort(addr, "53"))
		})
	}
	wg.Wait()
	return out
}

func (l *lookup) authoritySource(label, addr string) source {
	return source{label: label, address: label + " (" + addr + ")", authoritative: true,
		exchange: func(ctx context.Context, q *dns.Msg) (*dns.Msg,
			error) {
			return exchange(ctx, l.dial, addr, q)
		}}
}

// addressOf returns an address of a name server, IPv4 before IPv6.
func (l *lookup) addressOf(ctx context.Context, host string) (string, error) {
	for _, t := range []uint16{dns.TypeA, dns.TypeAAAA} {
		r := l.askAny(ctx, question{name: host, qtype: t})
		if r.msg == nil {
			continue
		}
		// includes CNAME targets: some hosts use them despite RFC 2181 §10.3
		for _, rr := range r.msg.Answer {
			switch rr := rr.(type) {
			case *dns.A:
				return rr.A.String(), nil
			case *dns.AAAA:
				return rr.AAAA.String(), nil
			}
		}
	}
	return "", fmt.Errorf("dnscheck: name server %s has no address", host)
}

// exchange sends a query over UDP, and over TCP if UDP does not return a complete answer. UDP gets
// half of the time until ctx's deadline.
func exchange(ctx context.Context, dial DialFunc, addr string, q *dns.Msg) (*dns.Msg, error) {
	udp, cancel := ctx, context.CancelFunc(func() {})
	if deadline, ok := ctx.Deadline(); ok {
		udp, cancel = context.WithTimeout(ctx, time.Until(deadline)/2)
	}
	r, err := exchangeBy(udp, dial, "udp", addr, q)
	cancel()
	if err == nil && !r.Truncated {
		return r, nil
	}
	if ctx.Err() != nil || errors.Is(err, errPrivate) {
		return r, err
	}
	return exchangeBy(ctx, dial, "tcp", addr, q)
}

func exchangeBy(
	ctx context.Context, dial DialFunc, network, addr string, q *dns.Msg,
) (*dns.Msg, error) {
	conn, err := dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	c := &dns.Client{Net: network, Timeout: time.Minute} // ctx is done sooner
	r, _, err := c.ExchangeWithConnContext(ctx, q, &dns.Conn{Conn: conn, UDPSize: udpSize})
	if err != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return r, err
}

// publicDial connects only to public addresses. It checks the address of the actual connection.
func publicDial(ctx context.Context, network, address string) (net.Conn, error) {
	d := &net.Dialer{Control: func(_, address string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		if !rules.IsPublicAddr(ap.Addr()) {
			return errPrivate
		}
		return nil
	}}
	return d.DialContext(ctx, network, address)
}
