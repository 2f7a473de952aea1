package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
)

// dnsLimit is the name server that ours is compared with.
type dnsLimit struct {
	describe string
	peer     bool // an established name server, which the targets refer to
	start    func(b *bench, targets int) (*child, error)
}

// judge returns the target if it refers to this limit.
func (l dnsLimit) judge(t target) target {
	if !l.peer {
		return target{text: t.text + " of Knot"}
	}
	return t
}

// findDNSLimit returns Knot or NSD if one is installed, and otherwise a minimal Go server.
func findDNSLimit() dnsLimit {
	for _, p := range []struct {
		program, name string
		config        func(dir, port string) string
		args          func(config string) []string
	}{
		{"knotd", "Knot DNS", knotConfig, func(c string) []string { return []string{"-c", c} }},
		{"nsd", "NSD", nsdConfig, func(c string) []string { return []string{"-d", "-c", c} }},
	} {
		if path, err := exec.LookPath(p.program); err == nil {
			return dnsLimit{describe: p.name + ", a zone file with the same names and values",
				peer: true, start: func(b *bench, targets int) (*child, error) {
					return b.startPeer(path, targets, p.config, p.args)
				}}
		}
	}
	return dnsLimit{
		describe: "a minimal Go server that answers from a map, one packet per system call",
		start: func(b *bench, targets int) (*child, error) {
			return b.startChild("bare", targets, targets)
		}}
}

func knotConfig(dir, port string) string {
	return fmt.Sprintf(`server:
  rundir: %[1]q
  listen: 127.0.0.1@%[2]s
log:
  - target: stderr
    any: error
database:
  storage: %[1]q
zone:
  - domain: %[3]s
    storage: %[1]q
    file: zone
    zonefile-sync: -1
    journal-content: none
`, dir, port, benchZone)
}

func nsdConfig(dir, port string) string {
	return fmt.Sprintf(`server:
  ip-address: 127.0.0.1
  port: %[2]s
  username: ""
  chroot: ""
  database: ""
  zonesdir: %[1]q
  zonelistfile: "%[1]s/zone.list"
  xfrdfile: "%[1]s/xfrd.state"
  xfrdir: %[1]q
  pidfile: "%[1]s/nsd.pid"
  server-count: %[4]d
  reuseport: yes
  rrl-ratelimit: 0
  verbosity: 0
remote-control:
  control-enable: no
zone:
  name: %[3]s
  zonefile: zone
`, dir, port, benchZone, runtime.GOMAXPROCS(0))
}

// startPeer starts an established name server and returns when it answers.
func (b *bench) startPeer(
	path string, targets int, config func(dir, port string) string,
	args func(config string) []string,
) (*child, error) {
	dir, err := os.MkdirTemp(b.dir, "peer-")
	if err != nil {
		return nil, err
	}
	port, err := devstack.FreePort()
	if err != nil {
		return nil, err
	}
	if err := writeZoneFile(filepath.Join(dir, "zone"), targets); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "config")
	if err := os.WriteFile(file, []byte(config(dir, strconv.Itoa(port))), 0o644); err != nil {
		return nil, err
	}
	cmd := exec.Command(path, args(file)...)
	cmd.Stderr = b.log
	c := &child{cmd: cmd, addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
		end: func() { _ = cmd.Process.Signal(syscall.SIGTERM) }}
	if err := c.start(); err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(childPatience); !answersTXT(c.addr); {
		if time.Now().After(deadline) || b.ctx.Err() != nil {
			c.stop()
			return nil, fmt.Errorf("%s did not answer before the timeout", path)
		}
		time.Sleep(50 * time.Millisecond)
	}
	return c, nil
}

// answersTXT reports whether a server answers a TXT query for the first target.
func answersTXT(addr string) bool {
	conn, err := net.Dial("udp", addr)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(100 * time.Millisecond))
	buf := make([]byte, 1500)
	if _, err := conn.Write(packQuestion(targetLabel(0) + "." + benchZone)); err != nil {
		return false
	}
	n, err := conn.Read(buf)
	return err == nil && checkAnswer(buf[:n], false) == nil
}

func writeZoneFile(path string, targets int) error {
	var s strings.Builder
	fmt.Fprintf(&s,
		"$ORIGIN %s.\n@ 3600 SOA ns1 hostmaster 1 3600 600 604800 5\n@ 3600 NS ns1\nns1 3600 A 127.0.0.1\n", benchZone)
	for i := range targets {
		s.WriteString(targetLabel(i) + " 0 TXT " + targetValue(i) + "\n")
	}
	return os.WriteFile(path, []byte(s.String()), 0o644)
}

// serveBareDNS is the limit without a peer: a minimal Go server.
func serveBareDNS(targets, _ int) (addr string, stop func(), err error) {
	values := make(map[string][]string, targets)
	for i := range targets {
		values[string(packName(targetLabel(i)+"."+benchZone))] = []string{targetValue(i)}
	}
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return "", nil, err
	}
	_ = conn.SetReadBuffer(4 << 20)
	for range runtime.GOMAXPROCS(0) {
		go func() {
			in, out := make([]byte, 4096), make([]byte, 0, 4096)
			for {
				n, from, err := conn.ReadFromUDPAddrPort(in)
				if err != nil {
					return
				}
				end := dnsHeader
				for end < n && in[end] != 0 {
					end += 1 + int(in[end])
				}
				if end+5 > n {
					continue
				}
				if _, err := conn.WriteToUDPAddrPort(packTXT(out[:0], in[:end+5],
					values[string(in[dnsHeader:end+1])]), from); err != nil {
					return
				}
			}
		}()
	}
	return conn.LocalAddr().String(), func() { _ = conn.Close() }, nil
}
