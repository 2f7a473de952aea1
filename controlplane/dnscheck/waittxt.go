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
	pollTimeout = 500 * time.Millisecond // of one question; a lost packet costs no more
)

// WaitTXT returns when every one of servers (host:port, UDP) answers all of values for TXT
// at name; others may stand beside them. It asks again and again until ctx ends: the error
// then wraps ctx's and names the servers that did not, and what each said last. No servers
// at all is an error, as nobody would have been asked.
func WaitTXT(ctx context.Context, servers []string, name string, values []string) error {
	if len(servers) == 0 {
		return errors.New("dnscheck: no name servers to wait for")
	}
	if _, ok := dns.IsDomainName(name); !ok || name == "" {
		return fmt.Errorf("dnscheck: %q is no domain name", name)
	}
	said := make([]string, len(servers)) // empty once it answers
	var wg sync.WaitGroup
	for i, server := range servers {
		wg.Go(func() { said[i] = waitServer(ctx, server, dns.Fqdn(name), values) })
	}
	wg.Wait()
	var missing []string
	for i, s := range said {
		if s != "" {
			missing = append(missing, servers[i]+" "+s)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("dnscheck: not all values for TXT at %s are answered: %s: %w", display(name), strings.Join(missing, "; "), context.Cause(ctx))
}

// waitServer returns "" when the server answers, and what it said last when ctx ends.
func waitServer(ctx context.Context, server, name string, values []string) string {
	said := "did not answer yet"
	for pause := firstPoll; ; pause = min(pause*3/2, longestPoll) {
		if ctx.Err() != nil {
			return said
		}
		last, cut := askTXT(ctx, server, name, values)
		if last == "" {
			return ""
		}
		if !cut {
			said = last
		}
		select {
		case <-ctx.Done():
			return said
		case <-time.After(pause):
		}
	}
}

// askTXT asks once. It returns "" where all values are answered, and whether ctx cut the
// question short, so that it says nothing about the server.
func askTXT(ctx context.Context, server, name string, values []string) (said string, cut bool) {
	q := new(dns.Msg)
	q.SetQuestion(name, dns.TypeTXT)
	q.RecursionDesired = false
	q.SetEdns0(udpSize, false)
	bounded, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	began := time.Now()
	r, err := exchange(bounded, new(net.Dialer).DialContext, server, q)
	if err != nil {
		// A socket's deadline may pass just before ctx says that it is done.
		var netErr net.Error
		short := errors.As(err, &netErr) && netErr.Timeout() && time.Since(began) < pollTimeout
		return "did not answer (" + err.Error() + ")", short || ctx.Err() != nil
	}
	if r.Rcode != dns.RcodeSuccess {
		return "said " + dns.RcodeToString[r.Rcode], false
	}
	var have []string
	for _, rr := range (reply{msg: r}).records(dns.CanonicalName(name), dns.TypeTXT) {
		have = append(have, strings.Join(rr.(*dns.TXT).Txt, ""))
	}
	for _, v := range values {
		if !slices.Contains(have, v) {
			return fmt.Sprintf("answers %d of other values, not %q", len(have), v), false
		}
	}
	return "", false
}
