package controlplane

import (
	"strings"
	"time"
)

// RecordState is how far the creation of a record at a DNS host is.
type RecordState string

// The states of a record.
const (
	RecordPending RecordState = "pending" // to be created
	RecordCreated RecordState = "created"
	RecordPresent RecordState = "present" // it was there, and is never removed
	RecordFailed  RecordState = "failed"
	// RecordRemoving means that its removal may have reached the host.
	RecordRemoving RecordState = "removing"
)

// HostedRecord is a record that is created, or is to be, through a connection. It is stored before
// the host gets it.
type HostedRecord struct {
	HostRecord
	OrgID        string
	DelegationID string
	ConnectionID string
	JobID        string // of the last request
	State        RecordState
	Attempted    bool        // while pending or removing: a write may have reached the host
	Replaces     []RecordSet // what may be replaced, and then was
	Reason       string      // why it failed
	Detail       string
	Automatic    bool       // requested by a default: dropped if that changes before it exists
	EndedAt      *time.Time // since when its removal is due; nil while its delegation lasts
}

// The time for the removal of a record at a host that does not respond or rejects the credentials.
const (
	RemovalFor = 7 * 24 * time.Hour
	// RemovalForOrganization is that of a deleted organization, whose credentials are kept for it.
	RemovalForOrganization = 24 * time.Hour
)

// DefaultRecord is a delegation with a connection, its own or the default of a domain, and what is
// known of the record that is created through it.
type DefaultRecord struct {
	Name         string // of the delegation
	Target       string // label
	ConnectionID string

	// of the connection
	Connection   string // its name
	Status       ConnectionStatus
	StatusDetail string
	Unanswered   bool // its job waits for the DNS host to respond

	// of the record; empty if none was requested, through any connection
	State     RecordState
	Through   string // ID of its connection
	Reason    string // why it failed
	Detail    string
	UpdatedAt time.Time
	Ended     bool // it is to be removed: the name had a delegation before
}

// IsMissing reports whether the record has to be requested, after a failure again. One that exists
// is kept, through any connection, and its removal finds out that it is needed again.
func (r DefaultRecord) IsMissing() bool {
	switch r.State {
	case "", RecordFailed:
		return true
	case RecordPending:
		return r.Ended || r.Through != r.ConnectionID
	}
	return false
}

// Requested returns the record with the state that its request gives it.
func (r DefaultRecord) Requested() DefaultRecord {
	r.State, r.Through, r.Reason, r.Detail, r.Ended = RecordPending, r.ConnectionID, "", "", false
	return r
}

// Cause returns why the record does not exist yet, with a reason, a message, and a fix. ok is false
// if it exists: then only DNS says why it is not found.
func (r DefaultRecord) Cause() (s NameStatus, ok bool) {
	s.Name = r.Name
	switch {
	case r.State == RecordFailed && !r.Ended:
		s.Reason, s.Message = Reason(r.Reason), r.Detail
	case r.State != "" && r.State != RecordPending && !r.Ended:
		return NameStatus{}, false
	case r.Status == ConnectionInvalid:
		s.Reason = CodeConnectionInvalid
		s.Message = "The DNS connection " + r.Connection + " can't create the CNAME. " +
			r.StatusDetail
	default:
		s.Reason = ReasonApplyPending
		s.Message = "The CNAME is created through the DNS connection " + r.Connection + "."
		if r.Unanswered {
			s.Message += " The DNS host did not respond, and is called again automatically."
		}
	}
	s.Message, s.Fix = shorten(strings.TrimSpace(s.Message), maxNameText), FixOf(s.Reason)
	return s, true
}

// LeftReason is why a record stays at a DNS host although its delegation has ended.
type LeftReason string

// The reasons.
const (
	LeftChanged LeftReason = "changed"       // the name has other records
	LeftDenied  LeftReason = "not-permitted" // the host does not permit it, or lacks the zone
	LeftTimeout LeftReason = "timeout"       // it was not possible in time
	LeftMoved   LeftReason = "moved"         // another connection or zone has the record now
	LeftKept    LeftReason = "kept"          // the connection was deleted with records=keep
)

// RecordRequest is the request to create a record, with exactly the records that it may replace.
type RecordRequest struct {
	Name      string      `json:"name"`
	Zone      string      `json:"zone"` // empty: the job chooses it
	Value     string      `json:"value"`
	Replaces  []RecordSet `json:"replaces"`
	Automatic bool        `json:"automatic"` // see HostedRecord
}

// RecordResults are what the requests of a job have led to.
type RecordResults struct {
	Created int
	Present int
	Failed  []HostedRecord // the first MaxFailedRecords
	Removed int            // with those of other requests, whose delegations have ended
	Left    int            // that stay at the host although they were to be removed
}

// MaxFailedRecords is how many failed records the result of a job lists.
const MaxFailedRecords = 100

// RecordReason returns the code of a record that could not be created.
func RecordReason(kind HostErrorKind) string {
	switch kind {
	case HostConflict, HostChanged:
		return CodeDNSConflict
	case HostNoZone:
		return CodeNoZone
	case HostUnreachable:
		return CodeHostUnreachable
	}
	return CodeConnectionInvalid
}
