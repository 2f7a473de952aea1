package controlplane

import (
	"time"
)

// OrderStep is how far an order has come. Those before what cannot be undone (created, ordered,
// authorized, ready) are recorded before it is begun, so a killed worker's successor knows
// where to go on; the others where the order stays at them for longer. They are in order.
type OrderStep string

// The steps of an order (RFC 8555 §7.4).
const (
	StepCreated    OrderStep = "created"    // key and CSR are stored; the CA may or may not know of the order yet
	StepOrdered    OrderStep = "ordered"    // the order URL is stored
	StepAuthorized OrderStep = "authorized" // authorizations were read; the TXT values are known and stored
	StepPublished  OrderStep = "published"  // every name server of ours answers the TXT values
	StepAccepted   OrderStep = "accepted"   // the CA was told to validate
	StepReady      OrderStep = "ready"      // the CA has validated every authorization
	StepFinalized  OrderStep = "finalised"  // the CSR was sent; the stored value keeps its spelling
	StepIssued     OrderStep = "issued"     // the certificate URL is stored; it can be downloaded
	StepStored     OrderStep = "stored"     // the certificate is ours; the order is over
	StepFailed     OrderStep = "failed"     // the order is over without a certificate
)

// Over reports whether nothing more happens to an order at this step.
func (s OrderStep) Over() bool { return s == StepStored || s == StepFailed }

// Order is one ACME order, as recorded. Everything that is needed to go on with it after a
// crash is here; the key is sealed with the order's id as associated data.
type Order struct {
	ID             string
	OrgID          string
	DomainID       string
	JobID          string
	CA             string // name in the configured list of CAs
	Step           OrderStep
	Names          []string // identifiers, in A-label form; a wildcard begins "*."
	Target         string   // label of the validation zone at which the TXT values stand
	KeyType        KeyType
	Profile        string // the CA's ACME profile; empty asks for none
	PreferredChain string // common name of the wanted root; empty takes the CA's default
	Replaces       string // ARI certificate id of the predecessor (RFC 9773 §5), or empty
	CSR            []byte // DER, PKCS#10
	SealedKey      []byte // empty where the customer sent the CSR
	OrderURL       string
	CertificateURL string
	Values         []string // TXT values, one per authorization that is still to be proved
	ErrorCode      string
	ErrorDetail    string
	CreatedAt      time.Time
	UpdatedAt      time.Time
	ExpiresAt      time.Time // by the CA's word; zero if it gave none
}

// IssuedChain is what a CA handed out for an order: the PEM chain, leaf first.
type IssuedChain struct {
	ChainPEM []byte
	URL      string
}

// Account is an account at a CA (RFC 8555 §7.3). There is one per CA and environment,
// shared by all workers; its key is sealed with the directory URL as associated data.
type Account struct {
	ID           string
	DirectoryURL string
	Email        string
	URL          string // the kid; empty until registered
	SealedKey    []byte
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

// Challenge is one TXT value that the validation zone answers at a target.
type Challenge struct {
	OrgID     string
	DomainID  string
	OrderID   string
	Target    string // label, without the zone
	Value     string
	ExpiresAt time.Time
}
