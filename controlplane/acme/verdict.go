package acme

import "github.com/dcvaas/terraform-provider-dcvaas/controlplane"

var _ controlplane.Judged = (*Error)(nil)

// Verdict returns e as a Verdict, the type that all packages share.
func (e *Error) Verdict() controlplane.Verdict {
	return controlplane.Verdict{Class: e.Class, CA: e.CA, Code: e.Code, Message: e.Message,
		Fix: e.Fix, RetryAt: e.RetryAt, Problem: e.Problem, Over: e.Over,
		FailedValidation: e.step == inChallenge, AccountUnusable: e.isAccountUnusable()}
}

// isAccountUnusable reports whether the CA rejects the account itself. At the steps of an order,
// "unauthorized" and problems of the signature may concern only what the order requests.
func (e *Error) isAccountUnusable() bool {
	switch e.problemType {
	case "accountDoesNotExist", "externalAccountRequired", "invalidContact", "unsupportedContact",
		"userActionRequired":
		return true
	}
	return e.Class == BadAccount && e.step == atAccount
}
