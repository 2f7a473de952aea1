package soak

import "time"

// manner is how a CA treats one order. The zero value does everything immediately.
type manner struct {
	validates time.Duration // from the challenge's POST to the result
	lags      time.Duration // how much longer that takes for the name lagging
	lagging   string
	known     string        // the name whose authorization is valid from an earlier order
	issues    time.Duration // from the CSR to the certificate
	pause     time.Duration // Retry-After of pending and processing objects; none if 0
	// how long after its creation an object is missing on the replica that is read: the order and
	// its authorizations, and later the certificate
	lag time.Duration
	// how long after the CSR was accepted the order is still reported as ready
	stale time.Duration
}

// validated is the result of a validation, known before it is shown.
type validated struct {
	at      time.Time
	status  string
	problem any
}

// settle moves the order to the state that it has at now. The caller holds the lock.
func (a *ca) settle(o *order, now time.Time) {
	for _, p := range o.proofs {
		if p.result == nil || now.Before(p.result.at) {
			continue
		}
		p.status, p.problem = p.result.status, p.result.problem
		p.result = nil
		if p.status == "invalid" {
			o.status, o.problem = "invalid", p.problem
			a.tally.failed++
			a.limits.failed(now, o.account, p.name)
		}
	}
	if o.status == "pending" && !now.Before(o.expires) {
		o.status = "invalid"
	}
	if o.status == "pending" && o.validated() {
		o.status = "ready"
	}
	if o.status == "processing" && !now.Before(o.issuedAt) {
		o.status = "valid"
	}
}

// validated reports whether all authorizations are valid.
func (o *order) validated() bool {
	for _, p := range o.proofs {
		if p.status != "valid" {
			return false
		}
	}
	return true
}

// isMissing reports whether a replica does not have an object yet that was created at a time.
func (o *order) isMissing(created, now time.Time) bool {
	return now.Before(created.Add(o.manner.lag))
}
