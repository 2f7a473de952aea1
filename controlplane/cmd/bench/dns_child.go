package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/dnsserver"
)

// childFlag makes bench run as a name server for another bench: -child KIND TARGETS LIVE. It prints
// its address and runs until its standard input is closed.
const childFlag = "-child"

// runChild implements main of such a process. is reports whether this process is one.
func runChild(args []string, stdin io.Reader, stdout, stderr io.Writer) (code int, is bool) {
	if len(args) == 0 || args[0] != childFlag {
		return 0, false
	}
	if err := serveChild(args[1:], stdin, stdout); err != nil {
		_, _ = fmt.Fprintln(stderr, "bench: name server:", err)
		return 1, true
	}
	return 0, true
}

func serveChild(args []string, stdin io.Reader, stdout io.Writer) error {
	if len(args) != 3 {
		return errors.New("-child requires KIND, TARGETS, and LIVE")
	}
	targets, err1 := strconv.Atoi(args[1])
	live, err2 := strconv.Atoi(args[2])
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	serve := serveOurs
	if args[0] == "bare" {
		serve = serveBareDNS
	}
	addr, stop, err := serve(targets, live)
	if err != nil {
		return err
	}
	defer stop()
	if _, err := fmt.Fprintln(stdout, addr); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, stdin)
	return err
}

// serveOurs runs our server as the program does, except for its source.
func serveOurs(targets, live int) (addr string, stop func(), err error) {
	s, err := dnsserver.New(dnsserver.Config{Zone: benchZone, Listen: []string{"127.0.0.1:0"},
		Source: numberedSource{targets, live},
		NameServers: []dnsserver.NameServer{{Host: "ns1." + benchZone,
			IPv4: netip.MustParseAddr("127.0.0.1")}},
		RateLimit: 100, RateLimitExempt: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"),
			netip.MustParsePrefix("::1/128")},
		Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
	if err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), childPatience)
	defer cancel()
	if err := s.Start(ctx); err != nil {
		return "", nil, err
	}
	stop = func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = s.Stop(ctx)
	}
	for !s.Ready() {
		if ctx.Err() != nil {
			stop()
			return "", nil, errors.New("the zone was not loaded before the timeout")
		}
		time.Sleep(5 * time.Millisecond)
	}
	return s.Addr(), stop, nil
}

// numberedSource is a zone of numbered targets, of which the first have a pending challenge. It
// sends one target at a time, as the store does.
type numberedSource struct{ targets, live int }

// Follow implements dnsserver.Source.
func (n numberedSource) Follow(ctx context.Context, f dnsserver.Feed) error {
	expires := time.Now().Add(24 * time.Hour)
	snap := f.StartSnapshot()
	for i := range n.targets {
		label := targetLabel(i)
		snap.Target(label)
		if i < n.live {
			snap.Challenge(dnsserver.Challenge{Label: label, Value: targetValue(i),
				ExpiresAt: expires})
		}
	}
	snap.Commit()
	<-ctx.Done()
	return ctx.Err()
}

// Lookup implements dnsserver.Source.
func (numberedSource) Lookup(context.Context, string) (bool, []dnsserver.Challenge, error) {
	return false, nil, nil
}

// childPatience is the time limit for loading a zone.
const childPatience = 2 * time.Minute

// child is a name server that runs as a process or a process group.
type child struct {
	cmd  *exec.Cmd
	addr string
	end  func() // requests its exit
	done chan struct{}
}

// startChild starts bench as a name server and returns when it answers.
func (b *bench) startChild(kind string, targets, live int) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, childFlag, kind, strconv.Itoa(targets), strconv.Itoa(live))
	cmd.Stderr = b.log
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c := &child{cmd: cmd, end: func() { _ = stdin.Close() }}
	if err := c.start(); err != nil {
		return nil, err
	}
	told := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(stdout).ReadString('\n')
		told <- strings.TrimSpace(line)
	}()
	select {
	case c.addr = <-told:
	case <-time.After(childPatience):
	case <-b.ctx.Done():
	}
	if c.addr == "" {
		c.stop()
		return nil, fmt.Errorf("the name server %q did not start", kind)
	}
	return c, b.ctx.Err()
}
