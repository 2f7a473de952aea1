package acme

import "github.com/dcvaas/terraform-provider-dcvaas/controlplane"

var _ controlplane.Judged = (*Error)(nil)

// Verdict returns e as a Verdict, the type that all packages share.
func (e *Error) Verdict() controlplane.Verdict {
	return controlplane.Verdict{Class: e.Class, CA: e.CA, Code: e.Code, Message: e.Message,
		Fix: e.Fix, RetryAt: e.RetryAt, Problem: e.Problem, Over: e.Over,
		Identifiers: e.Identifiers, FailedValidation: e.step == inChallenge,
		AccountUnusable: e.isAccountUnusable()}
}

// isAccountUnusable reports whether the CA rejects the account itself. At the steps of an order,
// other problems may concern only what the order requests. An account that the CA does not know has
// been registered again before.
func (e *Error) isAccountUnusable() bool {
	switch e.problemType {
	case "externalAccountRequired", "invalidContact", "unsupportedContact", "userActionRequired":
		return true
	}
	return e.Class == BadAccount && e.step == atAccount
}
