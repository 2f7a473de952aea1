package acme

// step is the request to a CA, or the object in its response, that a problem document belongs to.
// The same problem type means different things at different steps: "unauthorized" is a failed
// challenge inside an authorization, and a rejected account everywhere else.
type step string

// The steps. At… is a request, in… is an object inside a response.
const (
	atDirectory     step = "directory"
	atNonce         step = "nonce"
	atAccount       step = "account" // newAccount, and reading the account
	atNewOrder      step = "new-order"
	atOrder         step = "order" // reading the order
	atAuthorization step = "authorization"
	atChallenge     step = "challenge" // asking the CA to validate
	inChallenge     step = "challenge-error"
	atFinalize      step = "finalize"
	inOrder         step = "order-error"
	atCertificate   step = "certificate"
	atRevocation    step = "revocation"
	atRenewalInfo   step = "renewal-info"
	atKeyChange     step = "key-change"
)

// isRead reports whether the request only reads an object. A refused read says nothing about the
// order: the object may not have reached the CA's replica yet.
func (s step) isRead() bool {
	switch s {
	case atOrder, atAuthorization, atCertificate, atRenewalInfo:
		return true
	}
	return false
}

// isOfOrder reports whether the request concerns an object of an order, which the CA may no longer
// have. The URLs of other requests are in the directory.
func (s step) isOfOrder() bool {
	switch s {
	case atOrder, atAuthorization, atChallenge, atFinalize, atCertificate:
		return true
	}
	return false
}
