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
	CauseCAAForbids          = "caa-forbids"
	CauseCAALookupFailed     = "caa-lookup-failed"
	CauseResolverUnreachable = "resolver-unreachable"
)

// IsCause reports whether a code is one of the doctor's causes: a misconfiguration in DNS, or
// resolvers that are unreachable.
func IsCause[T ~string](code T) bool {
	c, _ := CodeOf(code)
	return c.In&InDiagnosis != 0 && c.Code != CauseOK
}

// Diagnosis is one thing that a look at a domain found, with what was seen, what was
// expected and how to mend it: for the delegation, the one most likely cause.
type Diagnosis struct {
	Code      string        `json:"code"` // CauseOK or one of the causes above
	Summary   string        `json:"summary"`
	Observed  string        `json:"observed"`       // see Observed: at most 10 values of 255 characters
	Count     int           `json:"observed_count"` // of all values
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
	RCode  string   `json:"rcode"`        // "NOERROR", "NXDOMAIN" …; empty where nothing was answered
	Answer []string `json:"answer"`       // records in presentation form: MaxObserved at most, each shortened
	Count  int      `json:"answer_count"` // of all records
	Error  string   `json:"error,omitempty"`
}

// CAIdentity is a CA as CAA records know it.
type CAIdentity struct {
	Name string // in the configured list
	// Identities are the issuer domain names that allow it (RFC 8659 §4.2), as its directory's
	// meta gives them in caaIdentities (RFC 8555 §7.1.1). Where there are none, those known
	// for DirectoryURL are taken; where none are known either, CAA does not judge this CA.
	Identities   []string
	DirectoryURL string
	// AccountURI is our account there. Where it is empty there is none yet, and a record that
	// is bound to an account (RFC 8657 §3) does not allow us.
	AccountURI string
}

// CAAFinding is whether the CAA records of a domain let one CA issue its certificate
// (RFC 8659, RFC 8657).
type CAAFinding struct {
	CA      string `json:"ca"` // name in the configured list
	Allowed bool   `json:"allowed"`
	// Code is CauseOK exactly where Allowed; else CauseCAAForbids, CauseCAALookupFailed (a CA
	// refuses then as well), or CauseResolverUnreachable: nothing was learned.
	Code       string   `json:"code"`
	Identities []string `json:"identities"`         // issuer domain names that were looked for
	FoundAt    string   `json:"found_at,omitempty"` // the name, at the domain or above, whose records count; empty: there are none
	Alias      string   `json:"alias,omitempty"`    // where the CNAMEs from FoundAt lead, and the records stand
	Records    []string `json:"records"`            // those records, MaxObserved at most, each shortened: `0 issue "letsencrypt.org"`
	Add        []string `json:"add,omitempty"`      // records that would allow it: `example.com. CAA 0 issue "letsencrypt.org"`
	Summary    string   `json:"summary"`
	Observed   string   `json:"observed"`
	Count      int      `json:"observed_count"` // of all values
	Expected   string   `json:"expected"`
	Fix        string   `json:"fix"`
}

// States of a domain's DNSSEC (RFC 4035 §4.3), as validating resolvers see it.
const (
	DNSSECSecure   = "secure"
	DNSSECInsecure = "insecure" // not signed, or not up to the root
	DNSSECBogus    = "bogus"
	DNSSECUnknown  = "unknown" // no validating resolver answered
)

// Examination is one look at everything that a CA will look at.
type Examination struct {
	Delegation Diagnosis    `json:"delegation"` // its evidence is that of the whole look
	CAA        []CAAFinding `json:"caa"`        // one for each CA, in the order in which they were given
	DNSSEC     string       `json:"dnssec"`
	// Causes are what keeps every CA from issuing, the most likely first; empty where an order
	// may be begun at one of Allowed.
	Causes []Diagnosis `json:"causes"`
	// Warnings are what keeps some of the CAs from issuing, while another may: a failover to
	// them would not work.
	Warnings []Diagnosis `json:"warnings"`
}

// OK reports whether at least one CA may issue, as far as DNS tells.
func (e Examination) OK() bool { return len(e.Causes) == 0 }

// Cause returns the most likely cause, or the delegation's diagnosis where all is well.
func (e Examination) Cause() Diagnosis {
	if e.OK() {
		return e.Delegation
	}
	return e.Causes[0]
}

// Transient reports whether nothing was learned, so that an earlier finding still stands.
func (e Examination) Transient() bool { return e.Cause().Transient() }

// Allowed returns the CAs that CAA lets issue, in the order in which they were given. It
// says nothing about the delegation.
func (e Examination) Allowed() []string {
	var names []string
	for _, f := range e.CAA {
		if f.Allowed {
			names = append(names, f.CA)
		}
	}
	return names
}
