package program

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/acme"
)

// caLimits are a CA's limits in DCVAAS_CAS. Each is COUNT/TIME, such as "300/3h" or "50/7d", or
// "none". Omitted limits default to acme.DefaultLimits of the directory. For most directories, that
// means no limit until the CA rejects an order.
type caLimits struct {
	// of each account, including failed ones
	NewOrders string `json:"new_orders,omitempty"`
	// certificates for one registered domain and its subdomains
	PerRegisteredDomain string `json:"per_registered_domain,omitempty"`
	// certificates for exactly the same names
	PerNameSet        string `json:"per_name_set,omitempty"`
	FailedValidations string `json:"failed_validations,omitempty"` // of one name
	// all orders, including those that the others do not count
	Pace string `json:"pace,omitempty"`
	// ReplacesExempt: renewals that name their predecessor (RFC 9773 §5) count only toward
	// FailedValidations and Pace.
	ReplacesExempt *bool `json:"replaces_exempt,omitempty"`
}

// of returns the limits of the CA with the directory. Its error names the field.
func (l *caLimits) of(directory string) (*acme.Limits, error) {
	if l == nil {
		return nil, nil
	}
	limits, _ := acme.DefaultLimits(directory)
	for _, f := range []struct {
		name, text string
		into       *acme.Limit
	}{
		{"new_orders", l.NewOrders, &limits.NewOrdersPerAccount},
		{"per_registered_domain", l.PerRegisteredDomain, &limits.CertificatesPerRegisteredDomain},
		{"per_name_set", l.PerNameSet, &limits.DuplicateCertificates},
		{"failed_validations", l.FailedValidations, &limits.FailedAuthorizations},
		{"pace", l.Pace, &limits.Pace},
	} {
		if f.text == "" {
			continue
		}
		var ok bool
		if *f.into, ok = parseLimit(f.text); !ok {
			return nil, fmt.Errorf("limits.%s: %w", f.name, errLimit(f.text))
		}
	}
	if l.ReplacesExempt != nil {
		limits.ReplacesExempt = *l.ReplacesExempt
	}
	return &limits, nil
}

func errLimit(text string) error {
	return fmt.Errorf(
		"invalid limit %q: expected COUNT/TIME, such as 300/3h or 50/7d, or none", text)
}

// parseLimit parses a limit such as "300/3h", "50/7d", or "none".
func parseLimit(text string) (acme.Limit, bool) {
	if text == "none" {
		return acme.Limit{}, true
	}
	count, per, _ := strings.Cut(text, "/")
	n, err := strconv.Atoi(count)
	if err != nil || n < 1 {
		return acme.Limit{}, false
	}
	d, err := rules.ParseDuration(per)
	return acme.Limit{Count: n, Per: d}, err == nil && d > 0 && d <= 10*365*24*time.Hour
}
