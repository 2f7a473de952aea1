package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

const (
	noiseRequests = 20_000                 // per round, at most
	noisePause    = 50 * time.Millisecond  // of each goroutine after a rejection
	noiseSoon     = time.Millisecond       // of each goroutine after any other response
	noiseTurn     = 3 * time.Minute        // maximum duration of a round
	noiseReady    = 500 * time.Millisecond // until the initial streams are open
)

// noise is a new user with a free organization, whose program ignores Retry-After.
type noise struct {
	o      *operator
	ctx    context.Context
	cancel context.CancelFunc
	org    string
	number int
	cookie string    // of the dashboard's session
	tokens [2]string // two, because each can have half of the organization's streams
	http   *http.Client
	others []*http.Client // from client networks without an account
	done   sync.WaitGroup
	after  []func() // called after it has stopped

	sent, refused, failed atomic.Int64
	stopped               sync.Once
}

func (o *operator) newNoise() (*noise, error) {
	o.noises++
	n := &noise{o: o, number: o.noises}
	n.ctx, n.cancel = context.WithTimeout(o.b.ctx, noiseTurn)
	account := controlplane.GitHubAccount{ID: int64(1_000_000 + n.number),
		Login: fmt.Sprint("noisy-", n.number)}
	session, cookie, err := o.lifecycle.SignIn(n.ctx, controlplane.System("bench"),
		"bench", account)
	if err != nil {
		n.stop()
		return nil, err
	}
	n.org, n.cookie = session.OrgID, cookie
	for i := range n.tokens {
		if _, n.tokens[i], err = o.lifecycle.CreateToken(n.ctx, controlplane.System("bench"), nil,
			n.org, lifecycle.NewToken{Name: fmt.Sprint("noisy ", i),
				Scopes: controlplane.Scopes()}); err != nil {
			n.stop()
			return nil, err
		}
	}
	// Each round uses other addresses, so that it has full bursts.
	n.http = clientFrom(net.IPv4(127, 80, byte(n.number), 1))
	for i := range 4 {
		n.others = append(n.others, clientFrom(net.IPv4(127, 81, byte(n.number), byte(1+i))))
	}
	return n, nil
}

// clientFrom returns a client that connects from a loopback address. On Linux, all of 127.0.0.0/8
// are local addresses.
func clientFrom(ip net.IP) *http.Client {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: ip}, Timeout: 5 * time.Second}
	return &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext,
		MaxIdleConnsPerHost: 64}, Timeout: time.Minute,
		CheckRedirect: func(*http.Request,
			[]*http.Request) error {
			return http.ErrUseLastResponse
		}}
}

// stop stops the noise and deletes the organization.
func (n *noise) stop() {
	n.stopped.Do(func() {
		n.cancel()
		n.done.Wait()
		for _, f := range n.after {
			f()
		}
		for _, c := range append(n.others, n.http) {
			if c != nil {
				c.CloseIdleConnections()
			}
		}
		if n.org == "" {
			return
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(n.ctx), stopPatience)
		defer cancel()
		org, err := n.o.store.Organization(ctx, n.org)
		if err == nil {
			err = n.o.lifecycle.DeleteOrganization(ctx, controlplane.System("bench"), n.org,
				org.Name)
		}
		if err != nil {
			n.o.b.say("deleting the noisy organization: %v", err)
		}
	})
}

// repeat runs goroutines that call f repeatedly until the noise stops. f returns the status of a
// response, or 0 without a response.
func (n *noise) repeat(goroutines int, f func(i int) (status int)) {
	var next atomic.Int64
	for range goroutines {
		n.done.Go(func() {
			for n.ctx.Err() == nil && n.sent.Load() < noiseRequests {
				pause := noisePause
				if status := f(int(next.Add(1) - 1)); status != 0 &&
					status != http.StatusTooManyRequests {
					pause = noiseSoon
				}
				n.sleep(pause)
			}
		})
	}
}

func (n *noise) sleep(d time.Duration) {
	select {
	case <-n.ctx.Done():
	case <-time.After(d):
	}
}

// request is a request and its sender.
type request struct {
	method, path  string
	token, cookie string
	media         string // of body
	body          []byte
	stream        bool         // keep the response open until the noise stops
	from          *http.Client // nil: the organization's client
	into          any          // target for the JSON response; nil: not decoded
}

// do sends a request and returns the status of its response, or 0 without a response.
func (n *noise) do(q request) int {
	n.sent.Add(1)
	var body io.Reader
	if q.body != nil {
		body = bytes.NewReader(q.body)
	}
	r, err := http.NewRequestWithContext(n.ctx, q.method, "http://"+n.o.host()+q.path, body)
	if err != nil {
		n.failed.Add(1)
		return 0
	}
	if q.token != "" {
		r.Header.Set("Authorization", "Bearer "+q.token)
	}
	if q.cookie != "" {
		r.AddCookie(&http.Cookie{Name: controlplane.SessionCookie(false), Value: q.cookie})
	}
	if q.media != "" {
		r.Header.Set("Content-Type", q.media)
	}
	if q.stream {
		r.Header.Set("Accept", "text/event-stream")
	}
	from := q.from
	if from == nil {
		from = n.http
	}
	resp, err := from.Do(r)
	if err != nil {
		if n.ctx.Err() == nil {
			n.failed.Add(1)
		}
		return 0
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusTooManyRequests {
		n.refused.Add(1)
	}
	if q.into != nil && resp.StatusCode < 300 {
		_ = json.NewDecoder(resp.Body).Decode(q.into) // malformed responses are ignored
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// call sends JSON with the first token.
func (n *noise) call(method, path string, body, into any) int {
	q := request{method: method, path: path, token: n.tokens[0], into: into}
	if body != nil {
		q.media = "application/json"
		q.body, _ = json.Marshal(body) // maps and strings can always be encoded
	}
	return n.do(q)
}

// mustCall is like call, but returns an error unless the status is 2xx.
func (n *noise) mustCall(method, path string, body, into any) error {
	if status := n.call(method, path, body, into); status < 200 || status > 299 {
		return fmt.Errorf("noise: %s %s = %d, want 2xx", method, path, status)
	}
	return nil
}

// filled returns a text of at most size bytes: before, as many parts as fit, and after. part
// returns the part with a number.
func filled(size int, before string, part func(i int) string, after string) []byte {
	var b strings.Builder
	b.WriteString(before)
	for i := 0; ; i++ {
		p := part(i)
		if b.Len()+len(p)+len(after) > size {
			break
		}
		b.WriteString(p)
	}
	b.WriteString(after)
	return []byte(b.String())
}
