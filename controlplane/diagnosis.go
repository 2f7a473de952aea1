package controlplane

import "time"

// The causes that the doctor distinguishes, by stable code.
const (
	CauseOK                     = "ok"
	CauseCNAMEMissing           = "cname-missing"
	CauseCNAMEMismatch          = "cname-mismatch"
	CauseCNAMEDoubledLabel      = "cname-doubled-label"
	CauseCNAMEProxied           = "cname-proxied"
	CauseCNAMEChainLoop         = "cname-chain-loop"
	CauseCNAMEChainTooLong      = "cname-chain-too-long"
	CauseCNAMEMultiple          = "cname-multiple"
	CauseTXTConflict            = "txt-conflict"
	CauseTXTOmitsCNAME          = "txt-omits-cname"
	CauseTXTLookupFailed        = "txt-lookup-failed"
	CauseTargetNotServed        = "target-not-served"
	CauseZoneNotFound           = "zone-not-found"
	CauseNameserversDisagree    = "nameservers-disagree"
	CauseNameserverInconsistent = "nameserver-inconsistent"
	CauseNameserverLame         = "nameserver-lame"
	CauseNameserverNoUDP        = "nameserver-no-udp"
	CauseNameserverNoTCP        = "nameserver-no-tcp"
	CauseNegativeCached         = "negative-cached"
	CauseDNSSECBogus            = "dnssec-bogus"
	CauseCAAForbids             = "caa-forbids"
	CauseCAALookupFailed        = "caa-lookup-failed"
	CauseResolverUnreachable    = "resolver-unreachable"
)

// IsCause reports whether a code is one of the doctor's causes: a misconfiguration in DNS, or
// resolvers or a validation zone that are unreachable.
func IsCause[T ~string](code T) bool {
	c, _ := CodeOf(code)
	return c.In&InDiagnosis != 0 && c.Code != CauseOK
}

// Diagnosis is one finding of a check of a domain, with what was found, what was expected, and how
// to fix it. For the delegation, it is the most likely cause.
type Diagnosis struct {
	Code    string `json:"code"` // CauseOK or one of the causes above
	Summary string `json:"summary"`
	// see Observed: at most 10 values of 255 characters
	Observed string `json:"observed"`
	Count    int    `json:"observed_count"` // of all values
	Expected string `json:"expected"`
	Fix      string `json:"fix"`
	// apex of the record's zone; empty if unknown
	Zone string `json:"zone,omitempty"`
	// operator of the zone's name servers, if it is known: "Cloudflare"
	DNSHost string `json:"dns_host,omitempty"`
	// when the cause ends automatically (CauseNegativeCached)
	Until     time.Time     `json:"until,omitzero"`
	CheckedAt time.Time     `json:"checked_at"` // no answer is older
	Evidence  []Observation `json:"evidence"`
}

// OK reports whether the delegation is verified.
func (d Diagnosis) OK() bool { return d.Code == CauseOK }

// Transient reports whether the check had no result, so that the previous one remains valid: the
// resolvers or the validation zone are unreachable.
func (d Diagnosis) Transient() bool {
	return d.Code == CauseResolverUnreachable || d.Code == CauseTargetNotServed
}

// Observation is one answer of a resolver or name server.
type Observation struct {
	Source string `json:"source"` // resolver URL, or name server with its address
	Name   string `json:"name"`   // the queried name
	Type   string `json:"type"`
	RCode  string `json:"rcode"` // "NOERROR", "NXDOMAIN" …; empty without a response
	// records in presentation form: MaxObserved at most, each shortened
	Answer []string `json:"answer"`
	Count  int      `json:"answer_count"` // of all records
	Error  string   `json:"error,omitempty"`
	// Path is the queried name, and the targets of the CNAMEs that the answer leads to from there.
	// It ends before a name with several CNAMEs.
	Path []string `json:"-"`
}

// CAIdentity is the identity of a CA in CAA records.
type CAIdentity struct {
	Name string // in the configured list
	// Identities are the issuer domain names that allow the CA (RFC 8659 §4.2), from caaIdentities
	// in the meta object of its directory (RFC 8555 §7.1.1). If it lists none, those known for
	// DirectoryURL are used. If these are unknown too, CAA records are not evaluated for this CA.
	Identities   []string
	DirectoryURL string
	// AccountURI is our account at the CA. Until the account exists, it is empty, and a record that
	// is bound to an account (RFC 8657 §3) does not allow the CA.
	AccountURI string
	// Accounts are all of our accounts at the CA, the one above first; empty if it is the only one.
	Accounts []AccountIdentity
}

// AccountIdentity is the identity of one of several accounts at a CA in CAA records.
type AccountIdentity struct {
	Name string
	URI  string // empty until the account exists
}

// NameCheck is a name whose DNS is checked as a CA does before it issues a certificate.
type NameCheck struct {
	Name     string // in A-label form, without a wildcard's "*."
	Target   string // of its CNAME, a full name
	Plain    bool   // the certificate has the name itself
	Wildcard bool   // the certificate has "*." with the name
}

// CAAFinding reports whether the CAA records of a domain allow one CA to issue its certificate (RFC
// 8659, RFC 8657).
type CAAFinding struct {
	CA      string `json:"ca"` // name in the configured list
	Allowed bool   `json:"allowed"`
	// ForbiddenAccounts are the names of our accounts at an allowed CA that the records do not
	// authorize.
	ForbiddenAccounts []string `json:"-"`
	// Code is CauseOK if and only if Allowed. Otherwise it is CauseCAAForbids, CauseCAALookupFailed
	// (CAs do not issue in this case either), or CauseResolverUnreachable: the result is unknown.
	Code       string   `json:"code"`
	Identities []string `json:"identities"` // issuer domain names of the CA
	// the name, at the domain or above, whose records apply; empty if no records exist
	FoundAt string `json:"found_at,omitempty"`
	// target of the CNAMEs from FoundAt, which has the records
	Alias string `json:"alias,omitempty"`
	// those records, MaxObserved at most, each shortened: `0 issue "letsencrypt.org"`
	Records []string `json:"records"`
	// records that would allow the CA: `example.com. CAA 0 issue "letsencrypt.org"`
	Add      []string `json:"add,omitempty"`
	Summary  string   `json:"summary"`
	Observed string   `json:"observed"`
	Count    int      `json:"observed_count"` // of all values
	Expected string   `json:"expected"`
	Fix      string   `json:"fix"`
}

// States of a domain's DNSSEC (RFC 4035 §4.3), as validating resolvers see it.
const (
	DNSSECSecure   = "secure"
	DNSSECInsecure = "insecure" // not signed, or not up to the root
	DNSSECBogus    = "bogus"
	DNSSECUnknown  = "unknown" // no validating resolver answered
)

// Examination is one check of everything that a CA checks in DNS.
type Examination struct {
	Delegation Diagnosis    `json:"delegation"` // with the evidence of the whole check
	CAA        []CAAFinding `json:"caa"`        // one for each CA, in the order of the request
	DNSSEC     string       `json:"dnssec"`
	// Causes are the findings that prevent every CA from issuing, the most likely first. If the
	// list is empty, an order may be started at one of Allowed.
	Causes []Diagnosis `json:"causes"`
	// Warnings are the findings that do not prevent the order: some CAs may not issue, so that a
	// failover to them would fail, or some of the zone's name servers fail where others answer.
	Warnings []Diagnosis `json:"warnings"`
	// Clear is for which of the name and its wildcard nothing at all was found.
	Clear Certified `json:"-"`
}

// OK reports whether DNS allows at least one CA to issue.
func (e Examination) OK() bool { return len(e.Causes) == 0 }

// Cause returns the most likely cause, or the delegation's diagnosis if nothing prevents issuance.
func (e Examination) Cause() Diagnosis {
	if e.OK() {
		return e.Delegation
	}
	return e.Causes[0]
}

// Transient reports whether the check had no result, so that the previous one remains valid.
func (e Examination) Transient() bool { return e.Cause().Transient() }

// Allowed returns the CAs that CAA records allow, in the order of the request. It does not consider
// the delegation.
func (e Examination) Allowed() []string {
	var names []string
	for _, f := range e.CAA {
		if f.Allowed {
			names = append(names, f.CA)
		}
	}
	return names
}
