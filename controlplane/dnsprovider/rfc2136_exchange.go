package dnsprovider

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/publicnet"
)

// fudge is the difference of clocks that a server may accept, in seconds (RFC 8945 §10).
const fudge = 300

// exchange is a TCP connection to a name server.
type exchange struct {
	*nameServer
	conn net.Conn
}

func (s *nameServer) dial(ctx context.Context) (*exchange, error) {
	conn, err := s.dialer.DialContext(ctx, "tcp", s.credentials.Server)
	if err != nil {
		return nil, s.unreachable(err)
	}
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		_ = conn.Close()
		return nil, s.unreachable(err)
	}
	context.AfterFunc(ctx, func() { _ = conn.Close() })
	return &exchange{s, conn}, nil
}

func (c *exchange) close() { _ = c.conn.Close() }

// unreachable returns the error of a server without a usable response.
func (s *nameServer) unreachable(err error) error {
	e := &controlplane.HostError{Kind: controlplane.HostUnreachable, Err: err}
	var lookup *net.DNSError
	var network net.Error
	switch {
	case errors.Is(err, publicnet.ErrNotPublic):
		e.Kind = controlplane.HostInvalid
		e.Message = "The name server is not on the public Internet, so no connection was made."
	case errors.As(err, &lookup) && lookup.IsNotFound:
		e.Message = "The name server's host name does not exist in DNS."
	case errors.As(err, &lookup):
		e.Message = "The DNS lookup of the name server's host name failed."
	case errors.Is(err, syscall.ECONNREFUSED):
		e.Message = "The name server refuses connections over TCP."
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		e.Message = "The name server did not respond in time."
	default:
		e.Message = "The connection to the name server failed."
	}
	return e
}

// send signs a message, and returns the response. A response is accepted only if the server has
// signed it, too, with the same key. Without that, only errors are.
func (c *exchange) send(m *dns.Msg) (*dns.Msg, error) {
	key := dns.Fqdn(c.credentials.KeyName)
	m.SetTsig(key, c.credentials.Algorithm+".", fudge, c.now().Unix())
	// A new Conn for each message: it would sign the next one with the MAC of the previous one.
	wire := &dns.Conn{Conn: c.conn, TsigSecret: map[string]string{key: c.credentials.KeySecret}}
	if err := wire.WriteMsg(m); err != nil {
		return nil, c.unreachable(err)
	}
	r, err := wire.ReadMsg()
	if r == nil || r.Id != m.Id || !r.Response {
		return nil, c.unreachable(err)
	}
	signature := r.IsTsig()
	if signature != nil && signature.Error != dns.RcodeSuccess {
		return nil, c.rejected(signature)
	}
	switch {
	case err == nil && signature != nil:
		return r, nil
	case errors.Is(err, dns.ErrTime):
		return nil, &controlplane.HostError{Kind: controlplane.HostInvalid,
			Message: "The name server's clock differs too much from the time."}
	case err != nil:
		return nil, &controlplane.HostError{Kind: controlplane.HostInvalid, Err: err,
			Message: "The name server's response is not signed with the key."}
	case r.Rcode == dns.RcodeSuccess:
		return nil, &controlplane.HostError{Kind: controlplane.HostInvalid,
			Message: "The name server does not sign its responses: it does not support TSIG."}
	}
	return r, nil
}

// rejected returns the error of a request whose signature the server did not accept (RFC 8945
// §5.2).
func (c *exchange) rejected(signature *dns.TSIG) error {
	e := &controlplane.HostError{Kind: controlplane.HostInvalid}
	switch signature.Error {
	case dns.RcodeBadKey:
		e.Message = "The name server does not know the key " + c.credentials.KeyName +
			" with the algorithm " + c.credentials.Algorithm + "."
	case dns.RcodeBadSig:
		e.Message = "The secret of the key " + c.credentials.KeyName +
			" differs from the name server's."
	case dns.RcodeBadTime:
		e.Message = "The name server's clock differs too much from the time" + skew(signature,
			c.now()) + "."
	default:
		e.Message = fmt.Sprintf("The name server rejects the signature (TSIG error %d).",
			signature.Error)
	}
	return e
}

// skew describes by how much the server's clock, in a response to a time that it rejects, differs
// from now.
func skew(signature *dns.TSIG, now time.Time) string {
	raw, err := hex.DecodeString(signature.OtherData)
	if err != nil || len(raw) != 6 {
		return ""
	}
	at := time.Unix(int64(binary.BigEndian.Uint64(append([]byte{0, 0}, raw...))), 0) // 48 bits
	return fmt.Sprintf(": by %s", at.Sub(now).Abs().Round(time.Second))
}

// update sends an update, and returns its response code: success, or one of expected.
func (c *exchange) update(m *dns.Msg, expected []int) (int, error) {
	zone := strings.TrimSuffix(m.Question[0].Name, ".")
	r, err := c.send(m)
	if err != nil {
		return 0, err
	}
	e := &controlplane.HostError{Kind: controlplane.HostInvalid}
	switch {
	case r.Rcode == dns.RcodeSuccess, slices.Contains(expected, r.Rcode):
		return r.Rcode, nil
	case r.Rcode == dns.RcodeRefused:
		e.Message = "The name server does not permit the key to update the zone " + zone + "."
	case r.Rcode == dns.RcodeNotAuth, r.Rcode == dns.RcodeNotZone:
		e.Kind = controlplane.HostNoZone
		e.Message = "The name server is not the primary server of the zone " + zone +
			", or does not permit the key to update it."
	case r.Rcode == dns.RcodeNotImplemented:
		e.Message = "The name server does not support dynamic updates."
	default:
		e.Kind = controlplane.HostUnreachable
		e.Message = "The name server responded with " + dns.RcodeToString[r.Rcode] +
			" to an update of the zone " + zone + "."
	}
	return 0, e
}
