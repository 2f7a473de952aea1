package controlplane

import "time"

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
	EndedAt      *time.Time // since when its removal is due; nil while its delegation lasts
}

// The time for the removal of a record at a host that does not respond or rejects the credentials.
const (
	RemovalFor = 7 * 24 * time.Hour
	// RemovalForOrganization is that of a deleted organization, whose credentials are kept for it.
	RemovalForOrganization = 24 * time.Hour
)

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
	Name     string      `json:"name"`
	Zone     string      `json:"zone"`
	Value    string      `json:"value"`
	Replaces []RecordSet `json:"replaces"`
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
