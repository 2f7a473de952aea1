package dnscheck

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

const (
	firstPoll   = 5 * time.Millisecond
	longestPoll = 250 * time.Millisecond
	pollTimeout = 500 * time.Millisecond // of one query; limits the delay of a lost packet
	// serversEvery is the interval between reads of the set while one of its servers is waited for.
	serversEvery = time.Second
)

// Servers returns the name servers that must serve a value, host:port.
type Servers func(context.Context) ([]string, error)

// WaitTXT returns when each of the servers (UDP) serves all of values as TXT records at name,
// possibly besides others. It reads the set of servers after the call, and again while it waits for
// one, so that it does not wait for a server that left the set. It repeats its queries until ctx is
// done. The error then wraps ctx's error and contains the last result of each server that does not
// serve the values. It also waits while the set is empty, because the values would be unchecked.
func WaitTXT(ctx context.Context, servers Servers, name string, values []string) error {
	if _, ok := dns.IsDomainName(name); !ok || name == "" {
		return fmt.Errorf("dnscheck: invalid domain name %q", name)
	}
	w := &txtWait{name: dns.Fqdn(name), values: values, asked: map[string]*askedServer{},
		results: make(chan result)}
	defer w.stop()
	for {
		list, err := servers(ctx)
		if err == nil {
			w.known = true
			w.follow(ctx, list)
		} else if ctx.Err() == nil {
			w.readError = err
		}
		for again := time.After(serversEvery); again != nil; {
			problem := w.problem()
			if problem == "" {
				return nil
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("dnscheck: TXT values at %s are not served: %s: %w",
					display(name), problem, context.Cause(ctx))
			case r := <-w.results:
				w.asked[r.server].problem = r.problem
			case <-again:
				again = nil
			}
		}
	}
}

// txtWait is a wait for the servers that are in the set now.
type txtWait struct {
	name    string
	values  []string
	results chan result
	asked   map[string]*askedServer

	known     bool  // the set was read
	readError error // the last of a read
}

// askedServer is a server that is queried. Its problem is empty when it serves the values.
type askedServer struct {
	problem string
	cancel  context.CancelFunc
	ended   chan struct{}
}

// result is that of one query.
type result struct{ server, problem string }

// follow starts queries to the servers of the list that are not queried yet, and ends those to
// others.
func (w *txtWait) follow(ctx context.Context, list []string) {
	for server, a := range w.asked {
		if !slices.Contains(list, server) {
			a.end()
			delete(w.asked, server)
		}
	}
	for _, server := range list {
		if w.asked[server] != nil {
			continue
		}
		ctx, cancel := context.WithCancel(ctx)
		a := &askedServer{problem: "did not answer yet", cancel: cancel, ended: make(chan struct{})}
		w.asked[server] = a
		go func() {
			defer close(a.ended)
			w.ask(ctx, server)
		}()
	}
}

func (a *askedServer) end() {
	a.cancel()
	<-a.ended
}

func (w *txtWait) stop() {
	for _, a := range w.asked {
		a.end()
	}
}

// problem returns why the values are not served by all servers, "" if they are.
func (w *txtWait) problem() string {
	if !w.known {
		return fmt.Sprintf("the set of name servers is unknown (%v)", w.readError)
	}
	if len(w.asked) == 0 {
		return "no name server is able to serve them"
	}
	var missing []string
	for server, a := range w.asked {
		if a.problem != "" {
			missing = append(missing, server+" "+a.problem)
		}
	}
	slices.Sort(missing)
	return strings.Join(missing, "; ")
}

// ask queries a server until it serves the values or ctx is done.
func (w *txtWait) ask(ctx context.Context, server string) {
	for pause := firstPoll; ; pause = min(pause*3/2, longestPoll) {
		problem, canceled := askTXT(ctx, server, w.name, w.values)
		if !canceled {
			select {
			case w.results <- result{server, problem}:
			case <-ctx.Done():
				return
			}
		}
		if problem == "" {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// askTXT sends one query. It returns "" if all values are served. canceled reports that ctx
// interrupted the query, so that the result does not concern the server.
func askTXT(
	ctx context.Context, server, name string, values []string,
) (problem string, canceled bool) {
	q := new(dns.Msg)
	q.SetQuestion(name, dns.TypeTXT)
	q.RecursionDesired = false
	q.SetEdns0(udpSize, false)
	bounded, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	start := time.Now()
	r, err := exchange(bounded, new(net.Dialer).DialContext, server, q)
	if err != nil {
		// A socket's deadline may pass just before ctx is done.
		var netErr net.Error
		short := errors.As(err, &netErr) && netErr.Timeout() && time.Since(start) < pollTimeout
		return "did not answer (" + err.Error() + ")", short || ctx.Err() != nil
	}
	if r.Rcode != dns.RcodeSuccess {
		return "answered " + dns.RcodeToString[r.Rcode], false
	}
	var have []string
	for _, rr := range (reply{msg: r}).records(dns.CanonicalName(name), dns.TypeTXT) {
		have = append(have, strings.Join(rr.(*dns.TXT).Txt, ""))
	}
	for _, v := range values {
		if !slices.Contains(have, v) {
			return fmt.Sprintf("serves %d values, but not %q", len(have), v), false
		}
	}
	return "", false
}
