package api

import (
	"context"
	"maps"
	"strings"
	"sync"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

const keySecret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTAxMjM="

// hosts is a fake of customers' DNS hosts. The zero value accepts all credentials.
type hosts struct {
	mu   sync.Mutex
	test func(credentials string) error
	has  map[string][]controlplane.RecordSet // by name
}

// Servers of credentials that the fake does not accept.
const (
	rejecting = "rejecting.example.com" // after the connection was created
	slow      = "slow.example.com"      // does not respond within the test
)

func (h *hosts) does(test func(credentials string) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.test = test
}

// Test implements lifecycle.DNSHosts.
func (h *hosts) Test(ctx context.Context, a controlplane.HostAccess) error {
	h.mu.Lock()
	test := h.test
	h.mu.Unlock()
	if strings.Contains(string(a.Credentials), slow) {
		<-ctx.Done()
		return ctx.Err()
	}
	if test == nil {
		return nil
	}
	return test(string(a.Credentials))
}

// Zones implements lifecycle.DNSHosts.
func (h *hosts) Zones(_ context.Context, a controlplane.HostAccess) ([]string, error) {
	if strings.Contains(string(a.Credentials), rejecting) {
		return nil, hostError(controlplane.HostInvalid, "The key is unknown.")("")
	}
	return []string{"example.com", "example.org"}, h.Test(context.Background(), a)
}

// Records implements lifecycle.DNSHosts.
func (h *hosts) Records(
	_ context.Context, _ controlplane.HostAccess, _, name string,
) ([]controlplane.RecordSet, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.has[name], nil
}

// Create implements lifecycle.DNSHosts.
func (h *hosts) Create(
	_ context.Context, _ controlplane.HostAccess, r controlplane.HostRecord,
	_ []controlplane.RecordSet,
) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.has == nil {
		h.has = map[string][]controlplane.RecordSet{}
	}
	h.has[r.Name] = []controlplane.RecordSet{{Name: r.Name, Type: "CNAME",
		Values: []string{r.Value + "."}}}
	return "", nil
}

// Remove implements lifecycle.DNSHosts.
func (h *hosts) Remove(
	_ context.Context, _ controlplane.HostAccess, r controlplane.HostRecord,
) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if found := h.has[r.Name]; len(found) != 1 || !found[0].Is(r.Value) {
		return &controlplane.HostError{Kind: controlplane.HostChanged, Found: found,
			Message: "Not the record."}
	}
	delete(h.has, r.Name)
	return nil
}

func credentials() map[string]any {
	return map[string]any{"server": "ns1.example.com", "key_name": "dcvaas",
		"key_secret": keySecret, "zones": []any{"Example.com", "example.org"}}
}

func newConnection() lifecycle.NewConnection {
	return lifecycle.NewConnection{Type: controlplane.ConnectionRFC2136, Name: "estate",
		Credentials: []byte(`{"server":"ns1.example.com","key_name":"dcvaas","key_secret":"` +
			keySecret + `","zones":["example.com"]}`)}
}

func changed(m map[string]any, key string, value any) map[string]any {
	m = maps.Clone(m)
	m[key] = value
	return m
}

func hostError(kind controlplane.HostErrorKind, message string) func(string) error {
	return func(string) error { return &controlplane.HostError{Kind: kind, Message: message} }
}
