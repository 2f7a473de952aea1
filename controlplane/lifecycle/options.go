package lifecycle

import (
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

var (
	labelKey    = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$`)
	profileName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)
)

// checkOptions makes sure that a domain's options make sense together, and takes the key
// type from the certificate request where there is one. It adds every wrong field to e.
func (s *Service) checkOptions(name string, o *controlplane.Options, keyTypeChosen bool, e *controlplane.Error) {
	add := func(pointer, code, detail string) {
		e.Fields = append(e.Fields, controlplane.FieldError{Pointer: pointer, Code: code, Detail: detail})
	}
	if o.KeyType == "" {
		o.KeyType = controlplane.KeyEC256
	}
	if !o.KeyType.Valid() {
		add("/key_type", "key-type-unknown", "The key type is one of ec256, ec384, rsa2048, rsa4096.")
	}
	if o.CSRPEM != "" && name != "" {
		_, kt, err := controlplane.ValidateCSR(o.CSRPEM, controlplane.CertificateNames(name, o.Wildcard))
		switch {
		case err != nil:
			e.Fields = append(e.Fields, controlplane.AsError(err).Fields...)
			if fix := controlplane.AsError(err).Fix; e.Fix == "" {
				e.Fix = fix
			}
		case keyTypeChosen && o.KeyType != kt:
			add("/key_type", "key-type-mismatch", fmt.Sprintf("The certificate request has a key of type %s. Leave key_type out, or send a request with a key of type %s.", kt, o.KeyType))
		default:
			o.KeyType = kt
		}
	}
	if o.Profile != "" && !profileName.MatchString(o.Profile) {
		add("/profile", "profile-invalid", "A profile is a CA's word such as classic, tlsserver or shortlived.")
	}
	if o.PreferredChain != strings.TrimSpace(o.PreferredChain) {
		add("/preferred_chain", "chain-invalid", "The name of a root neither begins nor ends with white space.")
	}
	if cas := s.Issuer.CAs(); o.CA != "" && !slices.Contains(cas, o.CA) {
		add("/ca", "ca-unknown", "The CA is one of: "+strings.Join(cas, ", ")+".")
	}
	if len(o.Labels) > 64 {
		add("/labels", "labels-too-many", "A domain has at most 64 labels.")
		return
	}
	keys := make([]string, 0, len(o.Labels))
	for k := range o.Labels {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		if !labelKey.MatchString(k) {
			add("/labels/"+pointerEscape(k), "label-key-invalid", "A label's key has 1 to 63 letters, digits and . _ / -, and begins and ends with a letter or digit.")
		}
		if len(o.Labels[k]) > 255 {
			add("/labels/"+pointerEscape(k), "label-value-too-long", "A label's value has at most 255 bytes.")
		}
	}
}

// invalid returns e where fields were found wrong, filled in from the first of them.
func invalid(e *controlplane.Error) error {
	if len(e.Fields) == 0 {
		return nil
	}
	e.Kind, e.Code, e.Message = controlplane.KindInvalid, e.Fields[0].Code, e.Fields[0].Detail
	if len(e.Fields) > 1 {
		e.Code, e.Message = "invalid-fields", fmt.Sprintf("%d fields are wrong.", len(e.Fields))
	}
	if e.Fix == "" || len(e.Fields) > 1 {
		e.Fix = "Correct the fields that errors lists."
	}
	return e
}

// pointerEscape writes a key as part of a JSON pointer (RFC 6901 §3), cut at 64 bytes, as it
// is one that a caller made up.
func pointerEscape(s string) string {
	if len(s) > 64 {
		s = strings.ToValidUTF8(s[:64], "") + "…"
	}
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(s)
}
