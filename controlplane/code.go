package controlplane

import "slices"

// Code is the entry of one stable code in the catalog: why a request is rejected, what the
// doctor found, why a condition has its status, or why a job waits or failed. The problem pages
// of the API, the defaults of problem documents, the dashboard, and the doctor read it.
type Code struct {
	Code  string
	Title string // a noun phrase
	Cause string // what it means
	Fix   string // an imperative; stands in where an error states no fix
	Actor Party  // who applies the fix
	In    Place  // where the code appears

	DashboardFix string // replaces every fix on the dashboard; empty where theirs suit it
	Pending      bool   // as a reason: nothing is wrong, the state is part of the normal course
	// Resumes says that the service continues once the fix is applied. After other fixes, work that
	// has stopped must be requested again.
	Resumes bool
}

// Party is who acts on a code or an alert.
type Party uint8

// The parties.
const (
	PartyCustomer Party = iota // who sends the request, or manages the domain's DNS
	PartyService               // no one: the service continues automatically
	PartyOperator              // who runs the installation
	PartyCA                    // the CA; the service continues automatically when the CA allows it
	PartyNone                  // no one, because nothing is wrong or pending
)

// Name returns the party as the API names it.
func (p Party) Name() string {
	return [...]string{PartyCustomer: "customer", PartyService: "service", PartyOperator: "operator",
		PartyCA: "ca", PartyNone: "none"}[p]
}

// String returns the answer to the question who acts.
func (p Party) String() string {
	switch p {
	case PartyService:
		return "No one: the service continues automatically"
	case PartyOperator:
		return "The operator of the installation"
	case PartyCA:
		return "No one: the service continues automatically when the CA allows it"
	case PartyNone:
		return "No one"
	}
	return "You"
}

// Place is a set of places where a code appears.
type Place uint8

// The places.
const (
	InProblem   Place = 1 << iota // a problem document, or an entry of its errors
	InCondition                   // a condition's reason, or a domain's status_reason
	InJob                         // a job's reason or last_error
	InDiagnosis                   // a diagnosis of the doctor
)

// Names returns the places, as people read them.
func (p Place) Names() []string {
	var names []string
	for _, one := range []struct {
		place Place
		name  string
	}{
		{InProblem, "problem documents"},
		{InCondition, "conditions and status_reason of domains"},
		{InJob, "reason and last_error of jobs"},
		{InDiagnosis, "diagnoses of domains"},
	} {
		if p&one.place != 0 {
			names = append(names, one.name)
		}
	}
	return names
}

// appearIn returns codes with In set to the given places where they state none.
func appearIn(in Place, codes []Code) []Code {
	for i := range codes {
		if codes[i].In == 0 {
			codes[i].In = in
		}
	}
	return codes
}

// Codes returns the catalog.
func Codes() []Code {
	return slices.Concat(requestCodes, fieldCodes, objectCodes, delegationCodes, issuanceCodes,
		peopleCodes, webhookCodes, connectionCodes)
}

var codesByName = indexCodes(Codes())

func indexCodes(codes []Code) map[string]Code {
	index := make(map[string]Code, len(codes))
	for _, c := range codes {
		index[c.Code] = c
	}
	return index
}

// CodeOf returns the entry of a code. ok is false where the catalog has none.
func CodeOf[T ~string](code T) (c Code, ok bool) {
	c, ok = codesByName[string(code)]
	return c, ok
}

// noAction starts every fix that requires no action.
const noAction = "No action needed."

// FixOf returns the fix of a code, "" where the catalog has no such code.
func FixOf[T ~string](code T) string {
	return codesByName[string(code)].Fix
}
