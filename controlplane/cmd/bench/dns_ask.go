package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/ipv4"
)

// dnsAsker is a load generator.
type dnsAsker struct {
	describe string
	// prepare packs the queries, once for all rounds.
	prepare func(names []string) (any, error)
	// ask sends queries for a duration. With absent, every answer must be NXDOMAIN; otherwise,
	// every answer must have a record.
	ask func(ctx context.Context, addr string, questions any, length time.Duration,
		absent bool) (dnsResult, error)
}

type dnsResult struct {
	answers, lost int
	elapsed       time.Duration
}

const (
	askSockets = 8
	askWindow  = 32 // queries in flight from each socket
	askWait    = 500 * time.Millisecond
)

// findDNSAsker returns dnsperf if it is installed, because it uses less CPU, and otherwise our own
// load generator.
func findDNSAsker(dir string) dnsAsker {
	if path, err := exec.LookPath("dnsperf"); err == nil {
		return dnsperf(path, dir)
	}
	return dnsAsker{
		describe: fmt.Sprintf(
			"%d sockets of a Go program with %d queries in flight each, on the same processors",
			askSockets, askWindow),
		prepare: func(names []string) (any, error) {
			all := make([][]byte, len(names))
			for i, name := range names {
				all[i] = packQuestion(name)
			}
			return all, nil
		},
		ask: func(ctx context.Context, addr string, questions any, length time.Duration,
			absent bool) (dnsResult, error) {
			return askUDP(ctx, addr, questions.([][]byte), length, absent)
		},
	}
}

// askUDP sends queries from several sockets, each with a window of queries in flight.
func askUDP(
	ctx context.Context, addr string, questions [][]byte, length time.Duration, absent bool,
) (dnsResult, error) {
	var mu sync.Mutex
	var total dnsResult
	var errs []error
	start := time.Now()
	var wg sync.WaitGroup
	for i := range askSockets {
		wg.Go(func() {
			r, err := askSocket(ctx, addr, questions, i*len(questions)/askSockets,
				start.Add(length), absent)
			mu.Lock()
			defer mu.Unlock()
			total.answers += r.answers
			total.lost += r.lost
			errs = append(errs, err)
		})
	}
	wg.Wait()
	total.elapsed = time.Since(start)
	if err := errors.Join(errs...); err != nil {
		return total, err
	}
	if total.answers == 0 {
		return total, fmt.Errorf("%s sent no answers", addr)
	}
	return total, ctx.Err()
}

func askSocket(
	ctx context.Context, addr string, questions [][]byte, at int, end time.Time, absent bool,
) (r dnsResult, err error) {
	conn, err := net.Dial("udp", addr)
	if err != nil {
		return r, err
	}
	defer func() { _ = conn.Close() }()
	pc := ipv4.NewPacketConn(conn.(*net.UDPConn))
	out, in := make([]ipv4.Message, askWindow), make([]ipv4.Message, askWindow)
	for i := range in {
		in[i].Buffers = [][]byte{make([]byte, 1500)}
		out[i].Buffers = make([][]byte, 1)
	}
	for time.Now().Before(end) && ctx.Err() == nil {
		for i := range out {
			out[i].Buffers[0] = questions[at%len(questions)]
			at++
		}
		for sent := 0; sent < askWindow; {
			n, err := pc.WriteBatch(out[sent:], 0)
			if err != nil {
				return r, err
			}
			sent += n
		}
		_ = conn.SetReadDeadline(time.Now().Add(askWait))
		for got := 0; got < askWindow; {
			n, err := pc.ReadBatch(in[:askWindow-got], 0)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				r.lost += askWindow - got
				break
			}
			if err != nil {
				return r, err
			}
			for _, m := range in[:n] {
				if err := checkAnswer(m.Buffers[0][:m.N], absent); err != nil {
					return r, err
				}
			}
			got += n
			r.answers += n
		}
	}
	return r, nil
}

func checkAnswer(m []byte, absent bool) error {
	if len(m) < dnsHeader {
		return errors.New("truncated answer: missing header")
	}
	rcode, answers := m[3]&15, m[7]
	if absent && rcode != 3 || !absent && (rcode != 0 || answers == 0) {
		return fmt.Errorf("unexpected answer: rcode %d, %d records", rcode, answers)
	}
	return nil
}

var (
	dnsperfLines = regexp.MustCompile(
		`(?m)^\s*(Queries completed|Queries lost|Run time \(s\)|Response codes):\s+(.*)$`)
	firstNumber = regexp.MustCompile(`^[\d.]+`)
)

// dnsperf sends queries with DNS-OARC's dnsperf.
func dnsperf(path, dir string) dnsAsker {
	return dnsAsker{
		describe: "dnsperf (8 clients, 100 queries in flight), on the same processors",
		prepare: func(names []string) (any, error) {
			f, err := os.CreateTemp(dir, "questions-")
			if err != nil {
				return nil, err
			}
			_, err = f.WriteString(strings.Join(names, " TXT\n") + " TXT\n")
			return f.Name(), errors.Join(err, f.Close())
		},
		ask: func(ctx context.Context, addr string, questions any, length time.Duration,
			absent bool) (dnsResult, error) {
			host, port, err := net.SplitHostPort(addr)
			if err != nil {
				return dnsResult{}, err
			}
			seconds := strconv.FormatFloat(length.Seconds(), 'f', -1, 64)
			out, err := exec.CommandContext(ctx, path, "-s", host, "-p", port,
				"-d", questions.(string), "-l", seconds, "-e", "-q", "100", "-c", "8").Output()
			if err != nil {
				return dnsResult{}, fmt.Errorf("dnsperf: %w", err)
			}
			return readDNSPerf(string(out), pick(absent, "NXDOMAIN", "NOERROR"))
		},
	}
}

func readDNSPerf(out, rcode string) (r dnsResult, err error) {
	seconds, codes := 0.0, ""
	for _, m := range dnsperfLines.FindAllStringSubmatch(out, -1) {
		value := firstNumber.FindString(m[2])
		switch m[1] {
		case "Queries completed":
			r.answers, err = strconv.Atoi(value)
		case "Queries lost":
			r.lost, err = strconv.Atoi(value)
		case "Run time (s)":
			seconds, err = strconv.ParseFloat(value, 64)
		case "Response codes":
			codes = m[2]
		}
		if err != nil {
			return r, err
		}
	}
	r.elapsed = time.Duration(seconds * float64(time.Second))
	if r.answers == 0 || seconds == 0 || !strings.HasPrefix(codes, rcode+" ") ||
		strings.Contains(codes, ",") {
		return r, fmt.Errorf("dnsperf: expected only %s answers:\n%s", rcode, out)
	}
	return r, nil
}
