package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const (
	userAgent = "DCVaaS-Webhooks/1"
	// timeout bounds an attempt from the look-up of the host to the last byte that is kept.
	timeout = 20 * time.Second
	// keptBody and keptHeader are how much of an answer is kept.
	keptBody   = 4 << 10
	keptHeader = 1 << 10
	maxHeaders = 64 << 10
)

// Config is what a Poster is made of. The zero value posts to the public Internet.
type Config struct {
	Loopback bool           // also to this machine, and without TLS there; for development
	Timeout  time.Duration  // of an attempt; 20 s where zero
	Roots    *x509.CertPool // the system's where nil
	Resolver *net.Resolver  // net.DefaultResolver where nil
	Allowed  func(netip.Addr) bool
	Now      func() time.Time // time.Now where nil
}

// Poster makes attempts. It is safe for concurrent use.
type Poster struct {
	client   *http.Client
	loopback bool
	timeout  time.Duration
	now      func() time.Time
}

// New returns a Poster. It goes through no proxy, whatever the environment says, since a proxy
// would connect to addresses that nobody has looked at; and it keeps no connection.
func New(c Config) *Poster {
	if c.Timeout == 0 {
		c.Timeout = timeout
	}
	if c.Allowed == nil {
		c.Allowed = isAllowed(c.Loopback)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Poster{
		loopback: c.Loopback, timeout: c.Timeout, now: c.Now,
		client: &http.Client{
			Transport: &http.Transport{
				DialContext:            newDialer(c.Resolver, c.Allowed).DialContext,
				TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.Roots},
				DisableKeepAlives:      true,
				DisableCompression:     true,
				MaxResponseHeaderBytes: maxHeaders,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Post implements lifecycle.Poster.
func (p *Poster) Post(ctx context.Context, m controlplane.Message) controlplane.Attempt {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	a := controlplane.Attempt{At: m.At, RequestHeaders: headers(m)}
	began := time.Now()
	p.post(ctx, m, &a)
	a.Duration = time.Since(began).Truncate(time.Millisecond)
	return a
}

func (p *Poster) post(ctx context.Context, m controlplane.Message, a *controlplane.Attempt) {
	// The rules may have changed since the address was stored.
	if err := controlplane.CheckWebhookURL(m.URL, p.loopback); err != nil {
		a.Error = controlplane.AsError(err).Message
		return
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, m.URL, bytes.NewReader(m.Body))
	if err != nil {
		a.Error = "The address cannot be read as a URL."
		return
	}
	for name, value := range a.RequestHeaders {
		r.Header.Set(name, value)
	}
	resp, err := p.client.Do(r)
	if err != nil {
		a.Error = describe(err)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	a.StatusCode = resp.StatusCode
	a.ResponseHeaders = keep(resp.Header)
	body, _ := io.ReadAll(io.LimitReader(resp.Body, keptBody))
	a.ResponseBody = text(string(body))
	// Where the time is up, the end of the body may still be read: a receiver that sees us go
	// hangs up in good order, and its last bytes cross our own goodbye.
	a.Error = verdict(resp.StatusCode, ctx.Err() != nil)
	a.RetryAfter = p.retryAfter(resp)
}

// verdict says why an answer does not count, "" where it does. The status is the receiver's
// word: a body that is cut short takes nothing from it, unless it is late.
func verdict(code int, late bool) string {
	switch {
	case code >= 300 && code < 400:
		return fmt.Sprintf("It answered %d, a redirect, which is not followed.", code)
	case code < 200 || code > 299:
		return fmt.Sprintf("It answered %d; only 200 to 299 count.", code)
	case late:
		return "The answer did not end in time."
	}
	return ""
}

// retryAfter returns how long a receiver that is busy wants to be left alone (RFC 9110
// §10.2.3), 0 where it does not say.
func (p *Poster) retryAfter(resp *http.Response) time.Duration {
	if resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusServiceUnavailable {
		return 0
	}
	value := strings.TrimSpace(resp.Header.Get("Retry-After"))
	if n, err := strconv.Atoi(value); err == nil {
		const most = 1 << 30 // seconds; beyond any bound, and within a Duration
		return time.Duration(min(max(n, 0), most)) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(at.Sub(p.now()), 0)
	}
	return 0
}

// keep returns headers as they are shown, each cut to its beginning. Set-Cookie is nobody's
// business here.
func keep(h http.Header) map[string]string {
	out := make(map[string]string, len(h))
	for name, values := range h {
		if name == "Set-Cookie" {
			continue
		}
		out[strings.ToLower(text(name))] = text(beginning(strings.Join(values, ", "), keptHeader))
	}
	return out
}

func beginning(s string, most int) string { return s[:min(len(s), most)] }

// text returns s as Postgres takes it: valid UTF-8 without U+0000.
func text(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
