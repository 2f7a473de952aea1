package lifecycle

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// checkOptions validates a domain's options, and sets the key type from the CSR if there is a CSR.
// It adds every invalid field to e. A CSR is checked only if newCSR is set: the rules may have
// changed since it was stored. checkNames checks the additional names.
func (s *Service) checkOptions(
	name string, o *controlplane.Options, keyTypeChosen, newCSR bool, e *controlplane.Error,
) {
	add := func(pointer, code, detail string) {
		e.Fields = append(e.Fields, controlplane.FieldError{Pointer: pointer, Code: code,
			Detail: detail})
	}
	check := func(pointer string, err error) {
		if invalid, ok := errors.AsType[*rules.Error](err); ok {
			add(pointer, invalid.Code, invalid.Error())
		}
	}
	if o.KeyType == "" {
		o.KeyType = rules.DefaultKeyType
	}
	check("/key_type", rules.CheckKeyType(string(o.KeyType)))
	names := controlplane.CertificateNames(name, *o)
	ofNames := "/name"
	if len(o.AdditionalNames) > 0 {
		ofNames = "/additional_names"
	}
	check(ofNames, rules.CheckNames(names, o.Profile))
	if o.IssuePartial && o.CSRPEM != "" {
		check("/issue_partial", rules.PartialWithCSR())
	}
	if o.CSRPEM != "" && name != "" && newCSR {
		_, kt, err := controlplane.ValidateCSR(o.CSRPEM, names)
		switch {
		case err != nil:
			e.Fields = append(e.Fields, controlplane.AsError(err).Fields...)
			if fix := controlplane.AsError(err).Fix; e.Fix == "" {
				e.Fix = fix
			}
		case keyTypeChosen && o.KeyType != kt:
			check("/key_type", rules.KeyTypeMismatch(string(o.KeyType), string(kt)))
		default:
			o.KeyType = kt
		}
	}
	if o.Profile != "" {
		check("/profile", rules.CheckProfile(o.Profile))
	}
	if o.PreferredChain != "" {
		check("/preferred_chain", rules.CheckPreferredChain(o.PreferredChain))
	}
	if cas := s.Issuer.CAs(); o.CA != "" && !slices.Contains(cas, o.CA) {
		add("/ca", "ca-unknown", "The CA must be one of: "+strings.Join(cas, ", ")+".")
	}
	if err := rules.CheckLabelCount(len(o.Labels)); err != nil {
		check("/labels", err)
		return
	}
	for _, k := range slices.Sorted(maps.Keys(o.Labels)) {
		check("/labels/"+pointerEscape(k), rules.CheckLabelKey(k))
		check("/labels/"+pointerEscape(k), rules.CheckLabelValue(o.Labels[k]))
	}
}

// invalid returns e if it has invalid fields, completed from the first of them and from the catalog
// of codes. Otherwise it returns nil.
func invalid(e *controlplane.Error) error {
	if len(e.Fields) == 0 {
		return nil
	}
	e.Kind, e.Code, e.Message = controlplane.KindInvalid, e.Fields[0].Code, e.Fields[0].Detail
	if len(e.Fields) > 1 {
		e.Code, e.Message, e.Fix = "invalid-fields", fmt.Sprintf("%d fields are invalid.",
			len(e.Fields)), ""
	}
	e.Fix = cmp.Or(e.Fix, controlplane.FixOf(e.Code))
	return e
}

// pointerEscape returns a key as a part of a JSON pointer (RFC 6901 §3). It shortens the key to 64
// bytes, because callers choose it.
func pointerEscape(s string) string {
	if len(s) > 64 {
		s = strings.ToValidUTF8(s[:64], "") + "…"
	}
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(s)
}
