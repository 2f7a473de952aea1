package controlplane

import (
	"cmp"
	"strings"
	"time"
)

// OrderStep is the progress of an order. The steps before an irreversible action (created, ordered,
// authorized, ready) are recorded before the action starts, so that another worker knows where to
// resume after a crash. The other steps are recorded when the order remains at them for longer. The
// constants are in order.
type OrderStep string

// The steps of an order (RFC 8555 §7.4).
const (
	// key and CSR are stored; the CA may or may not know of the order yet
	StepCreated OrderStep = "created"
	StepOrdered OrderStep = "ordered" // the order URL is stored
	// authorizations were read; the TXT values are known and stored
	StepAuthorized OrderStep = "authorized"
	StepPublished  OrderStep = "published" // all of our name servers answer the TXT values
	StepAccepted   OrderStep = "accepted"  // the CA was asked to validate
	StepReady      OrderStep = "ready"     // the CA has validated every authorization
	StepFinalized  OrderStep = "finalised" // the CSR was sent; the stored value keeps its spelling
	StepIssued     OrderStep = "issued"    // the certificate URL is stored; it can be downloaded
	StepStored     OrderStep = "stored"    // the certificate is stored; the order is over
	StepFailed     OrderStep = "failed"    // the order is over without a certificate
	// another CA is used, and this one is polled until the order expires
	StepSetAside OrderStep = "set-aside"
)

// SentCSR reports whether the CSR of an order at the step may have been sent: the CA can issue its
// certificate.
func (s OrderStep) SentCSR() bool {
	return s == StepReady || s == StepFinalized || s == StepIssued
}

// Over reports whether the order is over.
func (s OrderStep) Over() bool { return s == StepStored || s == StepFailed }

// Order is one ACME order as it is stored, with everything that is needed to resume it after a
// crash. The key is sealed with the order's ID as associated data.
type Order struct {
	ID       string
	OrgID    string
	DomainID string
	JobID    string
	CA       string // name in the configured list of CAs
	// Account at the CA, which the order keeps; empty means DefaultAccount
	Account string
	Step    OrderStep
	Names   []string // identifiers, in A-label form; a wildcard has the prefix "*."
	Target  string   // label in the validation zone that has the TXT values
	// Targets are the labels for the identifiers whose TXT values are not at Target.
	Targets        map[string]string
	KeyType        KeyType
	Profile        string // the CA's ACME profile; empty for its default
	PreferredChain string // common name of the requested root; empty for the CA's default
	// OptionsRevision of the domain that the order was placed for; 0 if it is unknown, because an
	// older version of the program placed it
	OptionsRevision int64
	Replaces        string // ARI certificate ID of the predecessor (RFC 9773 §5), or empty
	CSR             []byte // DER, PKCS#10
	SealedKey       []byte // empty if the customer sent the CSR
	OrderURL        string
	CertificateURL  string
	Values          []TXT // one per pending authorization
	ErrorCode       string
	ErrorDetail     string
	ResumeStep      OrderStep // that an order that is set aside had reached
	Polls           int       // of an order that is set aside
	CreatedAt       time.Time
	UpdatedAt       time.Time
	ExpiresAt       time.Time // according to the CA; zero if unknown
}

// TargetOf returns the label that has the TXT values for an identifier of the order. A wildcard has
// that of its base name.
func (o *Order) TargetOf(identifier string) string {
	return cmp.Or(o.Targets[strings.ToLower(strings.TrimPrefix(identifier, "*."))], o.Target)
}

// TXT is a TXT value in the validation zone.
type TXT struct {
	Target string // label, without the zone
	Value  string
}

// ByTarget returns the values of each target.
func ByTarget(values []TXT) map[string][]string {
	by := map[string][]string{}
	for _, v := range values {
		by[v.Target] = append(by[v.Target], v.Value)
	}
	return by
}

// IssuedChain is what a CA issued for an order: the PEM chain, leaf first.
type IssuedChain struct {
	ChainPEM []byte
	URL      string
}

// Challenge is one TXT value in the validation zone.
type Challenge struct {
	OrgID     string
	DomainID  string
	OrderID   string
	Target    string // label, without the zone
	Value     string
	ExpiresAt time.Time
}
