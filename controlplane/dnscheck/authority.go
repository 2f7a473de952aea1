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
					exchange: func(context.Context, string, *dns.Msg) (*dns.Msg, error) {
						return nil, err
					}}
				return
			}
			out[i] = l.authoritySource(display(host), net.JoinHostPort(addr, "53"))
		})
	}
	wg.Wait()
	return out
}

func (l *lookup) authoritySource(label, addr string) source {
	return serverSource(l.dial, label, addr)
}

// serverSource returns a name server at host:port as a source.
func serverSource(dial DialFunc, label, addr string) source {
	return source{label: label, address: label + " (" + addr + ")", authoritative: true,
		exchange: func(ctx context.Context, network string, q *dns.Msg) (*dns.Msg, error) {
			switch network {
			case overUDP:
				return exchangeUDP(ctx, dial, addr, q)
			case overTCP:
				return exchangeTCP(ctx, dial, addr, q)
			}
			return exchange(ctx, dial, addr, q)
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
	r, err := exchangeUDP(udp, dial, addr, q)
	cancel()
	if err == nil && !r.Truncated {
		return r, nil
	}
	if ctx.Err() != nil || errors.Is(err, errPrivate) {
		return r, err
	}
	return exchangeTCP(ctx, dial, addr, q)
}

// exchangeUDP sends a query over UDP, and again after half of the time until ctx's deadline,
// because a packet may be lost.
func exchangeUDP(
	ctx context.Context, dial DialFunc, addr string, q *dns.Msg,
) (*dns.Msg, error) {
	raw, err := q.Pack()
	if err != nil {
		return nil, err
	}
	conn, err := open(ctx, dial, overUDP, addr)
	if err != nil {
		return nil, err
	}
	defer conn.close()
	if deadline, ok := ctx.Deadline(); ok {
		again := time.AfterFunc(time.Until(deadline)/2, func() { _, _ = conn.Conn.Conn.Write(raw) })
		defer again.Stop()
	}
	r, err := conn.ask(q)
	for err == nil && r.Id != q.Id {
		r, err = conn.ReadMsg() // a forged answer, or one to an earlier query
	}
	return r, conn.reason(ctx, err)
}

// exchangeTCP sends a query over TCP.
func exchangeTCP(
	ctx context.Context, dial DialFunc, addr string, q *dns.Msg,
) (*dns.Msg, error) {
	conn, err := open(ctx, dial, overTCP, addr)
	if err != nil {
		return nil, err
	}
	defer conn.close()
	r, err := conn.ask(q)
	if err == nil && r.Id != q.Id {
		err = dns.ErrId
	}
	return r, conn.reason(ctx, err)
}

// connection is a connection to a name server until a context is done.
type connection struct {
	dns.Conn
	stop func() bool
}

func open(ctx context.Context, dial DialFunc, network, addr string) (*connection, error) {
	conn, err := dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	c := &connection{Conn: dns.Conn{Conn: conn, UDPSize: udpSize}}
	c.stop = context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	return c, nil
}

func (c *connection) close() {
	c.stop()
	_ = c.Close()
}

// ask sends a query and returns the first answer.
func (c *connection) ask(q *dns.Msg) (*dns.Msg, error) {
	if err := c.WriteMsg(q); err != nil {
		return nil, err
	}
	return c.ReadMsg()
}

// reason returns the error of an exchange: the context's, if that interrupted the connection.
func (c *connection) reason(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	if malformed, ok := errors.AsType[*dns.Error](err); ok {
		return fmt.Errorf("%w: %w", errUnreadable, malformed)
	}
	return err
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
