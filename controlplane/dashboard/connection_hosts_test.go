package dashboard

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"
	"sync"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

const connectionSecret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTAxMjM="

// dnsHosts is a fake of customers' DNS hosts. The zero value accepts all credentials, and has the
// zones in them.
type dnsHosts struct {
	mu  sync.Mutex
	err error                               // of every call
	has map[string][]controlplane.RecordSet // by name
}

func (h *dnsHosts) fails(err error) { h.mu.Lock(); defer h.mu.Unlock(); h.err = err }

func (h *dnsHosts) sets(name string, sets ...controlplane.RecordSet) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.has == nil {
		h.has = map[string][]controlplane.RecordSet{}
	}
	h.has[name] = sets
}

// Test implements lifecycle.DNSHosts.
func (h *dnsHosts) Test(context.Context, controlplane.HostAccess) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}

// Zones implements lifecycle.DNSHosts.
func (h *dnsHosts) Zones(ctx context.Context, a controlplane.HostAccess) ([]string, error) {
	var c controlplane.RFC2136Credentials
	_ = json.Unmarshal(a.Credentials, &c)
	return c.Zones, h.Test(ctx, a)
}

// Records implements lifecycle.DNSHosts.
func (h *dnsHosts) Records(
	_ context.Context, _ controlplane.HostAccess, _, name string,
) ([]controlplane.RecordSet, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.has[name], h.err
}

// Create implements lifecycle.DNSHosts.
func (h *dnsHosts) Create(
	_ context.Context, _ controlplane.HostAccess, r controlplane.HostRecord,
	replace []controlplane.RecordSet,
) (string, error) {
	h.mu.Lock()
	found := h.has[r.Name]
	h.mu.Unlock()
	if !controlplane.SameRecords(found, replace) {
		return "", &controlplane.HostError{Kind: controlplane.HostConflict, Found: found,
			Message: "Other records."}
	}
	h.sets(r.Name, controlplane.RecordSet{Name: r.Name, Type: "CNAME",
		Values: []string{r.Value + "."}})
	return "", nil
}

// Remove implements lifecycle.DNSHosts.
func (h *dnsHosts) Remove(
	_ context.Context, _ controlplane.HostAccess, r controlplane.HostRecord,
) error {
	h.sets(r.Name)
	return nil
}

// hosts returns the DNS hosts of the site.
func (s *site) hosts() *dnsHosts { return s.life.DNSHosts.(*dnsHosts) }

// connection adds a DNS connection with zones.
func (s *site) connection(
	org *controlplane.Organization, name string, zones ...string,
) *controlplane.Connection {
	s.t.Helper()
	credentials, err := json.Marshal(controlplane.RFC2136Credentials{Server: "ns1.example.net",
		KeyName: "dcvaas", KeySecret: connectionSecret, Zones: zones})
	s.must(err)
	c, err := s.life.CreateConnection(s.t.Context(), controlplane.System("test"), org.ID,
		lifecycle.NewConnection{Type: controlplane.ConnectionRFC2136, Name: name,
			Credentials: credentials})
	s.must(err)
	return c
}

// newCredentials is the form of a DNS connection.
func newCredentials(p tenant) url.Values {
	return url.Values{"name": {"another"}, "server": {"ns2.example.net"}, "key_name": {"other"},
		"key_algorithm": {controlplane.HMACSHA512}, "key_secret": {connectionSecret},
		"zones": {p.domain.Name + "\nexample.org"}}
}

// otherCredentials is the form that replaces those of a connection.
func otherCredentials(p tenant) url.Values {
	form := newCredentials(p)
	form.Del("name")
	return form
}

// plan returns the ID of the plan of the domain's records.
func (p tenant) plan() string {
	p.owner.t.Helper()
	plan, err := p.owner.life.PlanRecords(p.owner.t.Context(), p.org.ID, p.connection,
		p.owner.life.RecordsOf(p.domain))
	p.owner.must(err)
	return plan.ID()
}

// runApply runs the open job of a connection.
func (s *site) runApply(c *controlplane.Connection) {
	s.t.Helper()
	j, err := s.store.OpenConnectionJob(s.t.Context(), c.OrgID, c.ID)
	s.must(err)
	s.must(s.life.RunJob(s.t.Context(), j.ID, j.Generation))
}

func txt(name string) controlplane.RecordSet {
	return controlplane.RecordSet{Name: name, Type: "TXT", Values: []string{`"left over"`}}
}

// withoutSecret checks that a page does not contain the secret.
func (a response) withoutSecret() response {
	a.t.Helper()
	if strings.Contains(a.body, connectionSecret[:20]) {
		a.t.Error("the page contains the secret of the key")
	}
	return a
}
