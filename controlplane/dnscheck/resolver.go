package dnscheck

import (
	"bytes"
	"cmp"
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

// errUnreadable means that a resolver's answer is not a DNS message or contains a malformed record.
// CAs cannot parse such an answer either.
var errUnreadable = errors.New("malformed answer")

// httpStatusError is an HTTP status of a resolver other than 200.
type httpStatusError int

func (e httpStatusError) Error() string { return fmt.Sprintf("returned HTTP %d", int(e)) }

func resolverSource(client *http.Client, r Resolver) source {
	return source{label: cmp.Or(r.Name, r.URL), address: r.URL,
		exchange: func(ctx context.Context, _ string, q *dns.Msg) (*dns.Msg, error) {
			return askDoH(ctx, client, r.URL, q)
		}}
}

// askDoH queries by POST, so that no HTTP cache answers instead of the resolver, and with the ID 0
// (RFC 8484 §4.1).
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
		_, _ = io.CopyN(io.Discard, resp.Body, 4096) // allows reuse of the connection
		return nil, httpStatusError(resp.StatusCode)
	}
	if t, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil ||
		t != dnsMessageType {
		return nil, fmt.Errorf("dnscheck: %s returned the content type %q", url,
			resp.Header.Get("Content-Type"))
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
		return nil, fmt.Errorf("dnscheck: %s returned a message that is not a response", url)
	}
	if m.Rcode == dns.RcodeRefused {
		return nil, fmt.Errorf("dnscheck: %s answered REFUSED", url)
	}
	return m, nil
}
