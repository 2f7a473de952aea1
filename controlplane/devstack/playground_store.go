package devstack

import (
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/publicsuffix"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// playgroundNS are the name servers of every zone without NS records.
var playgroundNS = [...]string{"ns1.playground.test.", "ns2.playground.test."}

// playgroundStore stores the records. Names are canonical FQDNs. It is safe for concurrent use.
type playgroundStore struct {
	validation string // the validation zone, which is not served here
	ip         net.IP // address of the name servers
	now        func() time.Time
	changed    chan struct{} // has one signal if there were writes since the last read

	mu     sync.RWMutex
	names  map[string]map[uint16]*RecordSet
	below  map[string]int // number of names with records at or below a name (RFC 8020)
	serial uint32
}

func newPlaygroundStore(validation string, ip net.IP, now func() time.Time) *playgroundStore {
	return &playgroundStore{
		validation: validation, ip: ip, now: now, changed: make(chan struct{}, 1),
		names: map[string]map[uint16]*RecordSet{}, below: map[string]int{}, serial: 1,
	}
}

// set replaces a record set. Its arguments are user input.
func (s *playgroundStore) set(name, typ string, values []string, ttl int) (RecordSet, error) {
	fqdn, err := parseRecordName(name)
	if err != nil {
		return RecordSet{}, err
	}
	if dns.IsSubDomain(s.validation, fqdn) {
		return RecordSet{}, controlplane.Invalid("/name", "validation-zone",
			"Records in the validation zone can't be set here.",
			"Set only records of customers' domains; DCVaaS serves its own zone.")
	}
	t, err := parseRecordType(typ)
	if err != nil {
		return RecordSet{}, err
	}
	rrs, err := parseRecordSet(fqdn, t, values, ttl)
	if err != nil {
		return RecordSet{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if other, ok := s.collides(fqdn, t); ok {
		return RecordSet{}, &controlplane.Error{
			Kind: controlplane.KindConflict, Code: "cname-and-other-data",
			Message: "A " + other + " record exists at " + strings.TrimSuffix(fqdn, ".") +
				", and a CNAME must be the only record at its name (RFC 1034 §3.6.2).",
			Fix: "Remove the " + other + " record first.",
			Fields: []controlplane.FieldError{{Pointer: "/type", Code: "cname-and-other-data",
				Detail: "Conflicts with the " + other + " record."}},
		}
	}
	return *s.put(fqdn, t, rrs), nil
}

// remove deletes a record set, or all sets of a name if the type is empty.
func (s *playgroundStore) remove(name, typ string) (bool, error) {
	fqdn, err := parseRecordName(name)
	if err != nil {
		return false, err
	}
	var t uint16
	if typ != "" {
		if t, err = parseRecordType(typ); err != nil {
			return false, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found := false
	for have := range s.names[fqdn] {
		if t == 0 || have == t {
			s.drop(fqdn, have)
			found = true
		}
	}
	return found, nil
}

// list returns all record sets, sorted by name and type.
func (s *playgroundStore) list() []RecordSet {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]RecordSet, 0, len(s.names))
	for _, sets := range s.names {
		for _, set := range sets {
			out = append(out, *set)
		}
	}
	slices.SortFunc(out, func(a, b RecordSet) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return strings.Compare(a.Type, b.Type)
	})
	return out
}

// collides reports whether a record of type t at name would conflict with a CNAME, or is a CNAME
// that would conflict with another record. It returns the other record's type. s.mu is held.
func (s *playgroundStore) collides(name string, t uint16) (string, bool) {
	sets := s.names[name]
	if t != dns.TypeCNAME {
		_, ok := sets[dns.TypeCNAME]
		return "CNAME", ok
	}
	for have := range sets {
		if have != dns.TypeCNAME {
			return dns.TypeToString[have], true
		}
	}
	if s.apexOf(name) == name {
		return "SOA", true
	}
	return "", false
}

// put stores a record set. s.mu is held.
func (s *playgroundStore) put(name string, t uint16, rrs []dns.RR) *RecordSet {
	set := &RecordSet{
		Name: strings.TrimSuffix(name, "."), Type: dns.TypeToString[t],
		TTL:       int(rrs[0].Header().Ttl),
		UpdatedAt: s.now().UTC().Truncate(time.Second), rrs: rrs,
	}
	for _, rr := range rrs {
		set.Values = append(set.Values, recordValue(rr))
	}
	if s.names[name] == nil {
		s.names[name] = map[uint16]*RecordSet{}
		for n, more := name, true; more; n, more = parentName(n) {
			s.below[n]++
		}
	}
	s.names[name][t] = set
	s.touch()
	return set
}

// drop deletes a record set that exists. s.mu is held.
func (s *playgroundStore) drop(name string, t uint16) {
	delete(s.names[name], t)
	if len(s.names[name]) == 0 {
		delete(s.names, name)
		for n, more := name, true; more; n, more = parentName(n) {
			if s.below[n]--; s.below[n] == 0 {
				delete(s.below, n)
			}
		}
	}
	s.touch()
}

func (s *playgroundStore) touch() {
	s.serial++
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// apexOf returns the apex of a name's zone: the nearest name with NS records, otherwise the
// registrable domain, otherwise the root. s.mu is held.
func (s *playgroundStore) apexOf(name string) string {
	registrable := "."
	if d, err := publicsuffix.EffectiveTLDPlusOne(strings.TrimSuffix(name, ".")); err == nil {
		registrable = d + "."
	}
	for n, more := name, true; more && n != registrable; n, more = parentName(n) {
		if _, ok := s.names[n][dns.TypeNS]; ok {
			return n
		}
	}
	return registrable
}

// parentName returns the name without its first label. It returns false for the root.
func parentName(name string) (string, bool) {
	if name == "." {
		return "", false
	}
	i, end := dns.NextLabel(name, 0)
	if end {
		return ".", true
	}
	return name[i:], true
}
