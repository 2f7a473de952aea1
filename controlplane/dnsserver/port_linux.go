package dnsserver

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// newPort returns the fastest port for Linux.
func newPort(conn *net.UDPConn) port {
	raw, err := conn.SyscallConn()
	if err != nil {
		return newAnyPort(conn)
	}
	return newMmsgPort(conn, raw)
}

// mmsgPort calls recvmmsg(2) and sendmmsg(2) with headers that are created once. An answer is sent
// with the address and the control message of its question. (golang.org/x/net instead packs each
// header for each call and allocates two objects per message.)
//
// The calls never block, so they do not notify the scheduler, whose monitor thread would otherwise
// wake up 50,000 times per second.
type mmsgPort struct {
	conn *net.UDPConn
	raw  syscall.RawConn
	many bool // the socket is bound to all addresses of its family

	in, out   [batch]mmsghdr
	inV, outV [batch]unix.Iovec
	names     [batch]unix.RawSockaddrInet6 // large enough for both families
	controls  [batch][controlSize]byte
	inBytes   [batch][packetSize]byte
	outBytes  [batch][packetSize]byte

	received int // by the last read
	queued   int
	sent     int // of the queued ones
	errno    syscall.Errno
	recv     func(fd uintptr) bool // p.recvmmsg and p.sendmmsg, bound once
	send     func(fd uintptr) bool
}

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32 // octets of the message
}

func newMmsgPort(conn *net.UDPConn, raw syscall.RawConn) *mmsgPort {
	p := &mmsgPort{conn: conn, raw: raw, many: wantDestination(conn), received: batch}
	p.recv, p.send = p.recvmmsg, p.sendmmsg
	for i := range batch {
		p.inV[i].Base = &p.inBytes[i][0]
		p.inV[i].SetLen(packetSize)
		in, out := &p.in[i].hdr, &p.out[i].hdr
		in.Iov, out.Iov = &p.inV[i], &p.outV[i]
		in.SetIovlen(1)
		out.SetIovlen(1)
		in.Name = (*byte)(unsafe.Pointer(&p.names[i]))
		if p.many {
			in.Control = &p.controls[i][0]
		}
	}
	return p
}

func (p *mmsgPort) read() (int, error) {
	for i := range p.received { // the kernel has overwritten these
		h := &p.in[i].hdr
		h.Namelen = unix.SizeofSockaddrInet6
		if p.many {
			h.SetControllen(controlSize)
		}
	}
	p.received = 0
	if err := p.raw.Read(p.recv); err != nil {
		return 0, err
	}
	if p.errno != 0 {
		return 0, os.NewSyscallError("recvmmsg", p.errno)
	}
	return p.received, nil
}

func (p *mmsgPort) recvmmsg(fd uintptr) bool {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&p.in)),
			batch, unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			return false
		case 0:
			p.received = int(n)
		}
		p.errno = errno
		return true
	}
}

func (p *mmsgPort) message(i int) ([]byte, netip.AddrPort) {
	return p.inBytes[i][:p.in[i].n], p.from(i)
}

func (p *mmsgPort) from(i int) netip.AddrPort {
	name := &p.names[i]
	port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&name.Port))[:])
	switch name.Family {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4(
			(*unix.RawSockaddrInet4)(unsafe.Pointer(name)).Addr), port)
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16(name.Addr), port)
	}
	return netip.AddrPort{}
}

func (p *mmsgPort) buffer() []byte { return p.outBytes[p.queued][:0] }

func (p *mmsgPort) queue(i int, wire []byte) {
	v, h := &p.outV[p.queued], &p.out[p.queued].hdr
	v.Base = &wire[0]
	v.SetLen(len(wire))
	h.Name, h.Namelen = p.in[i].hdr.Name, p.in[i].hdr.Namelen
	control := p.source(i)
	h.Control = nil
	if len(control) > 0 {
		h.Control = &control[0]
	}
	h.SetControllen(len(control))
	p.queued++
}

// source returns the control message (ip(7), ipv6(7)) that sends an answer from the address that
// received the i-th message. It is the received control message without the interface, so that
// routing selects it. A link-local address keeps its interface.
func (p *mmsgPort) source(i int) []byte {
	control := p.controls[i][:p.in[i].hdr.Controllen]
	data := unix.CmsgLen(0)
	switch {
	case !p.many || len(control) < data+unix.SizeofInet4Pktinfo:
		return nil
	case p.names[i].Family == unix.AF_INET:
		clear(control[data : data+4])
	case len(control) >= data+unix.SizeofInet6Pktinfo &&
		!netip.AddrFrom16([16]byte(control[data:])).IsLinkLocalUnicast():
		clear(control[data+16 : data+20])
	}
	return control
}

func (p *mmsgPort) flush() {
	for p.sent < p.queued {
		if err := p.raw.Write(p.send); err != nil { // closed
			break
		}
	}
	p.queued, p.sent = 0, 0
}

func (p *mmsgPort) sendmmsg(fd uintptr) bool {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, fd,
			uintptr(unsafe.Pointer(&p.out[p.sent])), uintptr(p.queued-p.sent), unix.MSG_DONTWAIT, 0,
			0)
		switch errno {
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			return false
		case 0:
			p.sent += int(n)
		default:
			p.sent++ // skip the message that could not be sent
		}
		return true
	}
}

func (p *mmsgPort) later(i int) func([]byte) {
	to := p.from(i)
	if scope := p.names[i].Scope_id; to.Addr().Is6() && scope != 0 {
		to = netip.AddrPortFrom(to.Addr().WithZone(strconv.FormatUint(uint64(scope), 10)),
			to.Port())
	}
	control := append([]byte(nil), p.source(i)...)
	return func(wire []byte) {
		_, _, _ = p.conn.WriteMsgUDPAddrPort(wire, control, to) // may be lost, like any datagram
	}
}
