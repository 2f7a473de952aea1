package dnscheck

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"

	"github.com/miekg/dns"
)

const dnsMessageType = "application/dns-message" // RFC 8484 §6

// errUnreadable is that a resolver's answer is no DNS message, or has a record that is
// malformed in itself. CAs cannot read that either.
var errUnreadable = errors.New("its answer cannot be read")

// httpStatusError is a resolver's HTTP status that is not 200.
type httpStatusError int

func (e httpStatusError) Error() string { return fmt.Sprintf("it answered HTTP %d", int(e)) }

func resolverSource(client *http.Client, r Resolver) source {
	s := source{label: r.Name, address: r.URL, exchange: func(ctx context.Context, q *dns.Msg) (*dns.Msg, error) {
		return askDoH(ctx, client, r.URL, q)
	}}
	if s.label == "" {
		s.label = r.URL
	}
	return s
}

// askDoH asks by POST, so that no cache on the way answers in the resolver's place, and
// with the id 0 (RFC 8484 §4.1).
func askDoH(ctx context.Context, client *http.Client, url string, q *dns.Msg) (*dns.Msg, error) {
	q.Id = 0
	raw, err := q.Pack()
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", dnsMessageType)
	req.Header.Set("Accept", dnsMessageType)
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		_, _ = io.CopyN(io.Discard, resp.Body, 4096) // the connection can be used again
		return nil, httpStatusError(resp.StatusCode)
	}
	if t, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || t != dnsMessageType {
		return nil, fmt.Errorf("dnscheck: %s answered with the type %q", url, resp.Header.Get("Content-Type"))
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, math.MaxUint16+1))
	if err != nil {
		return nil, err
	}
	m := new(dns.Msg)
	if err := m.Unpack(body); err != nil {
		return nil, fmt.Errorf("%w: %w", errUnreadable, err)
	}
	if !m.Response || m.Id != 0 {
		return nil, errors.New("dnscheck: " + url + " did not send a response")
	}
	if m.Rcode == dns.RcodeRefused {
		return nil, errors.New("dnscheck: " + url + " refuses to answer us")
	}
	return m, nil
}
