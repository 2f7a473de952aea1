package webhook

import (
	"bytes"
	"cmp"
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
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/publicnet"
)

const (
	userAgent = "DCVaaS-Webhooks/1"
	// timeout limits an attempt, from the DNS lookup to the last stored byte.
	timeout = 20 * time.Second
	// keptBody and keptHeader limit the stored part of a response.
	keptBody   = 4 << 10
	keptHeader = 1 << 10
	maxHeaders = 64 << 10
)

// Config configures a Poster. The zero value posts to the public Internet.
type Config struct {
	Loopback bool           // also allows this machine, without TLS; for development
	Timeout  time.Duration  // of an attempt; default 20 s
	Roots    *x509.CertPool // default: the system's
	Resolver *net.Resolver  // default net.DefaultResolver
	Allowed  func(netip.Addr) bool
	Now      func() time.Time // default time.Now
}

// Poster makes delivery attempts. It is safe for concurrent use.
type Poster struct {
	client   *http.Client
	loopback bool
	timeout  time.Duration
	now      func() time.Time
}

// New returns a Poster. It ignores the environment's proxy settings, because a proxy would connect
// to unchecked addresses, and it does not reuse connections.
func New(c Config) *Poster {
	c.Timeout = cmp.Or(c.Timeout, timeout)
	if c.Allowed == nil {
		c.Allowed = publicnet.Allowed(c.Loopback)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Poster{
		loopback: c.Loopback, timeout: c.Timeout, now: c.Now,
		client: &http.Client{
			Transport: &http.Transport{
				DialContext:            publicnet.NewDialer(c.Resolver, c.Allowed).DialContext,
				TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.Roots},
				DisableKeepAlives:      true,
				DisableCompression:     true,
				MaxResponseHeaderBytes: maxHeaders,
			},
			CheckRedirect: func(*http.Request,
				[]*http.Request) error {
				return http.ErrUseLastResponse
			},
		},
	}
}

// Post implements lifecycle.Poster.
func (p *Poster) Post(ctx context.Context, m controlplane.Message) controlplane.Attempt {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	a := controlplane.Attempt{At: m.At, RequestHeaders: headers(m)}
	start := time.Now()
	p.post(ctx, m, &a)
	a.Duration = time.Since(start).Truncate(time.Millisecond)
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
		a.Error = "Invalid URL."
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
	// After the timeout, the end of the body may still be readable: the receiver notices the
	// canceled request and finishes normally.
	a.Error = failure(resp.StatusCode, ctx.Err() != nil)
	a.RetryAfter = p.retryAfter(resp)
}

// failure returns the reason why a response does not count as delivered, or "". Only the status and
// the timeout count; a truncated body does not matter.
func failure(code int, late bool) string {
	switch {
	case code >= 300 && code < 400:
		return fmt.Sprintf("HTTP status %d: redirects are not followed.", code)
	case code < 200 || code > 299:
		return fmt.Sprintf("HTTP status %d: only 200 to 299 count as delivered.", code)
	case late:
		return "The response timed out."
	}
	return ""
}

// retryAfter returns how long a busy receiver asks not to be contacted (RFC 9110 §10.2.3), or 0
// without such a header.
func (p *Poster) retryAfter(resp *http.Response) time.Duration {
	if resp.StatusCode != http.StatusTooManyRequests &&
		resp.StatusCode != http.StatusServiceUnavailable {
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

// keep returns headers for display, each truncated. It omits Set-Cookie, which may contain
// credentials.
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

// text returns s as Postgres can store it: valid UTF-8 without U+0000.
func text(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
