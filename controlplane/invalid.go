package controlplane

import (
	"errors"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

// InvalidBy converts the error of a rule to a KindInvalid *Error for the field at pointer.
func InvalidBy(pointer string, err error) error {
	if e, ok := errors.AsType[*rules.Error](err); ok {
		return Invalid(pointer, e.Code, e.Message, e.Fix)
	}
	return err
}

// isRule reports whether err is the error of a rule with the code.
func isRule(err error, code string) bool {
	e, ok := errors.AsType[*rules.Error](err)
	return ok && e.Code == code
}
