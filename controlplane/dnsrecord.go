package controlplane

// RecordState is how far the creation of a record at a DNS host is.
type RecordState string

// The states of a record.
const (
	RecordPending RecordState = "pending" // to be created
	RecordCreated RecordState = "created"
	RecordPresent RecordState = "present" // it was there, and is never removed
	RecordFailed  RecordState = "failed"
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
	Attempted    bool        // while pending: a write may have reached the host
	Replaces     []RecordSet // what may be replaced, and then was
	Reason       string      // why it failed
	Detail       string
}

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
