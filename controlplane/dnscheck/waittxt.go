package dnscheck

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	firstPoll   = 5 * time.Millisecond
	longestPoll = 250 * time.Millisecond
	pollTimeout = 500 * time.Millisecond // of one query; limits the delay of a lost packet
)

// WaitTXT returns when each of servers (host:port, UDP) serves all of values as TXT records at
// name, possibly besides others. It repeats its queries until ctx is done. The error then wraps
// ctx's error and contains the last result of each server that does not serve them. Without servers
// it returns an error, because the values would be unchecked.
func WaitTXT(ctx context.Context, servers []string, name string, values []string) error {
	if len(servers) == 0 {
		return errors.New("dnscheck: no name servers to wait for")
	}
	if _, ok := dns.IsDomainName(name); !ok || name == "" {
		return fmt.Errorf("dnscheck: invalid domain name %q", name)
	}
	problems := make([]string, len(servers)) // empty for servers that serve the values
	var wg sync.WaitGroup
	for i, server := range servers {
		wg.Go(func() { problems[i] = waitServer(ctx, server, dns.Fqdn(name), values) })
	}
	wg.Wait()
	var missing []string
	for i, s := range problems {
		if s != "" {
			missing = append(missing, servers[i]+" "+s)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("dnscheck: TXT values at %s are not served: %s: %w", display(name),
		strings.Join(missing, "; "), context.Cause(ctx))
}

// waitServer returns "" when the server serves the values, or its last problem when ctx is done.
func waitServer(ctx context.Context, server, name string, values []string) string {
	problem := "did not answer yet"
	for pause := firstPoll; ; pause = min(pause*3/2, longestPoll) {
		if ctx.Err() != nil {
			return problem
		}
		last, canceled := askTXT(ctx, server, name, values)
		if last == "" {
			return ""
		}
		if !canceled {
			problem = last
		}
		select {
		case <-ctx.Done():
			return problem
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
