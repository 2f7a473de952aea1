package controlplane

import "time"

// Causes that the doctor tells apart, by stable code (SPEC §1).
const (
	CauseOK                  = "ok"
	CauseCNAMEMissing        = "cname-missing"
	CauseCNAMEMismatch       = "cname-mismatch"
	CauseCNAMEDoubledLabel   = "cname-doubled-label"
	CauseCNAMEProxied        = "cname-proxied"
	CauseCNAMEChainLoop      = "cname-chain-loop"
	CauseCNAMEChainTooLong   = "cname-chain-too-long"
	CauseTXTConflict         = "txt-conflict"
	CauseZoneNotFound        = "zone-not-found"
	CauseNameserversDisagree = "nameservers-disagree"
	CauseNameserverLame      = "nameserver-lame"
	CauseNegativeCached      = "negative-cached"
	CauseDNSSECBogus         = "dnssec-bogus"
	CauseResolverUnreachable = "resolver-unreachable"
)

// Diagnosis is what a look at a domain's delegation found: the one most likely cause, with
// what was seen, what was expected and how to mend it.
type Diagnosis struct {
	Code      string        `json:"code"` // CauseOK or one of the causes above
	Summary   string        `json:"summary"`
	Observed  string        `json:"observed"`
	Expected  string        `json:"expected"`
	Fix       string        `json:"fix"`
	Zone      string        `json:"zone,omitempty"`     // apex of the zone that the record belongs in; empty if unknown
	DNSHost   string        `json:"dns_host,omitempty"` // who runs that zone's name servers, where recognised: "Cloudflare"
	Until     time.Time     `json:"until,omitzero"`     // when the cause ends by itself (CauseNegativeCached)
	CheckedAt time.Time     `json:"checked_at"`
	Evidence  []Observation `json:"evidence"`
}

// OK reports whether the delegation is right.
func (d Diagnosis) OK() bool { return d.Code == CauseOK }

// Transient reports whether nothing was learned, so that an earlier finding still stands.
func (d Diagnosis) Transient() bool { return d.Code == CauseResolverUnreachable }

// Observation is one answer, from one resolver or name server.
type Observation struct {
	Source string   `json:"source"` // resolver URL, or name server with its address
	Name   string   `json:"name"`   // what was asked
	Type   string   `json:"type"`
	RCode  string   `json:"rcode"`  // "NOERROR", "NXDOMAIN" …; empty where nothing was answered
	Answer []string `json:"answer"` // records in presentation form
	Error  string   `json:"error,omitempty"`
}
