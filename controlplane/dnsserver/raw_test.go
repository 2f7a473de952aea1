package dnsserver

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// raw sends octets and returns the answer, or nil if none arrives within a second.
func raw(t *testing.T, network, addr string, pkt []byte) *dns.Msg {
	t.Helper()
	conn, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if network == "tcp" {
		pkt = append(binary.BigEndian.AppendUint16(nil, uint16(len(pkt))), pkt...)
	}
	if _, err := conn.Write(pkt); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(time.Second))
	if network == "tcp" {
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		return readTCP(conn)
	}
	buf := make([]byte, 4096)
	n, err := conn.Read(buf)
	if err != nil {
		return nil
	}
	m := new(dns.Msg)
	if err := m.Unpack(buf[:n]); err != nil {
		t.Fatal(err)
	}
	return m
}

// readTCP reads one message, or returns nil at the end.
func readTCP(r io.Reader) *dns.Msg {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil
	}
	buf := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(r, buf); err != nil {
		return nil
	}
	m := new(dns.Msg)
	if m.Unpack(buf) != nil {
		return nil
	}
	return m
}
