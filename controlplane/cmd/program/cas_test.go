package program

import (
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/acme"
)

// TestConfiguredLimits tests that configured limits override the defaults of the CA's directory.
func TestConfiguredLimits(t *testing.T) {
	t.Parallel()
	const elsewhere = "https://ca.example.net/acme/directory"
	const week = 7 * 24 * time.Hour
	known, _ := acme.DefaultLimits(letsEncrypt)
	raised := known
	raised.NewOrdersPerAccount, raised.CertificatesPerRegisteredDomain = acme.Limit{Count: 10000,
		Per: 3 * time.Hour}, acme.Limit{Count: 500, Per: week}
	counted := known
	counted.ReplacesExempt, counted.FailedAuthorizations = false, acme.Limit{}
	for what, tt := range map[string]struct {
		directory, limits string
		want              *acme.Limits // nil: the defaults
	}{
		"no limits": {elsewhere, ``, nil},
		"one limit": {elsewhere,
			`,"limits":{"new_orders":"20/90m"}`,
			&acme.Limits{NewOrdersPerAccount: acme.Limit{Count: 20, Per: 90 * time.Minute}}},
		"all limits": {elsewhere,
			`,"limits":{"new_orders":"1/1s","per_registered_domain":"2/2h","per_name_set":"3/3d","failed_validations":"4/4m","pace":"5/500ms","replaces_exempt":true}`, &acme.Limits{NewOrdersPerAccount: acme.Limit{Count: 1, Per: time.Second}, CertificatesPerRegisteredDomain: acme.Limit{Count: 2, Per: 2 * time.Hour}, DuplicateCertificates: acme.Limit{Count: 3, Per: 72 * time.Hour}, FailedAuthorizations: acme.Limit{Count: 4, Per: 4 * time.Minute}, Pace: acme.Limit{Count: 5, Per: 500 * time.Millisecond}, ReplacesExempt: true}},
		"raised limits": {letsEncrypt,
			`,"limits":{"new_orders":"10000/3h","per_registered_domain":"500/7d"}`, &raised},
		"one removed, one changed": {letsEncrypt,
			`,"limits":{"failed_validations":"none","replaces_exempt":false}`, &counted},
	} {
		cas, err := ACMEConfig{CAs: `[{"name":"x","directory":"` + tt.directory + `"` + tt.limits +
			`}]`}.list()
		if err != nil || len(cas) != 1 {
			t.Errorf("%s: list() = %v, %v, want one CA", what, cas, err)
			continue
		}
		if got := cas[0].Limits; (got == nil) != (tt.want == nil) || got != nil &&
			*got != *tt.want {
			t.Errorf("%s: limits = %+v, want %+v", what, got, tt.want)
		}
	}
}

func TestInvalidLimits(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"300", "300/", "/3h", "0/3h", "-1/3h", "300/0s", "300/-1h",
		"300/3", "300/0d", "300/xd", "300/99999d", "many/3h", "300 / 3h", "None"} {
		_, err := ACMEConfig{
			CAs: `[{"name":"internal","directory":"https://ca.example.net/dir","eab_hmac":"hush","limits":{"per_name_set":"` + text + `"}}]`}.list()
		if err == nil || !strings.Contains(err.Error(), "internal: limits.per_name_set") ||
			strings.Contains(err.Error(), "hush") {
			t.Errorf("list() with per_name_set %q = %v, want an error that names the field and has no secrets", text, err)
		}
	}
	if _, err := (ACMEConfig{
		CAs: `[{"name":"x","directory":"https://ca.example.net/dir","limits":{"orders":"1/1h"}}]`}).list(); err == nil {
		t.Error("list() with an unknown limit succeeded, want an error")
	}
}
