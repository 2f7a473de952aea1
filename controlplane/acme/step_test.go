package acme_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/acme"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
)

// TestSameProblemAtEachStep has a CA send one problem type at different steps. Only a failed
// challenge is the customer's DNS and a failed validation.
func TestSameProblemAtEachStep(t *testing.T) {
	t.Parallel()
	document := func(kind string) string {
		return fmt.Sprintf(
			`{"type":"%s%s","detail":"see https://ca.test/why","status":403}`, urn, kind)
	}
	at := func(path string) func(f *faulty, kind string) {
		return func(f *faulty, kind string) { f.answer(path, 0, 403, nil, document(kind)) }
	}
	// invalid makes the authorization and the order invalid, and states the problem in one of them.
	invalid := func(inChallenge, failedAuthorization bool) func(f *faulty, kind string) {
		return func(f *faulty, kind string) {
			var ended atomic.Bool
			problem := map[string]any{"type": urn + kind, "detail": "see https://ca.test/why"}
			f.rewrite(pathAuthz, func(n int, authz map[string]any, _ http.Header) {
				if !ended.Load() && !inChallenge || n == 1 || !failedAuthorization {
					return
				}
				authz["status"] = "invalid"
				for _, c := range authz["challenges"].([]any) {
					delete(c.(map[string]any), "error")
					if inChallenge {
						c.(map[string]any)["error"] = problem
					}
				}
			})
			end := func(_ int, order map[string]any, _ http.Header) {
				ended.Store(true)
				order["status"] = "invalid"
				if order["error"] = problem; inChallenge {
					delete(order, "error")
				}
			}
			f.rewrite(pathOrder, end)
			f.rewrite(pathFinalize, end)
		}
	}
	tests := map[string]struct {
		fault            func(f *faulty, kind string)
		kind             string
		class            acme.Class
		code             string
		failed, unusable bool
	}{
		"terms at newAccount": {at(pathAccount), "userActionRequired", acme.BadAccount, "ca-account",
			false, true},
		"external account at newAccount": {at(pathAccount), "externalAccountRequired",
			acme.BadAccount, "ca-account", false, true},
		"unauthorized at newAccount": {at(pathAccount), "unauthorized", acme.BadAccount,
			"ca-account", false, true},
		"malformed at newAccount": {at(pathAccount), "malformed", acme.BadAccount, "ca-account",
			false, true},
		"unknown at newAccount": {at(pathAccount), "new", acme.BadAccount, "ca-account", false, true},
		"unauthorized at newOrder": {at(pathNewOrder), "unauthorized", acme.BadAccount, "ca-account",
			false, false},
		"terms at newOrder": {at(pathNewOrder), "userActionRequired", acme.BadAccount, "ca-account",
			false, true},
		"malformed at newOrder": {at(pathNewOrder), "malformed", acme.Policy, "ca-malformed", false,
			false},
		"profile at newOrder": {at(pathNewOrder), "invalidProfile", acme.Policy, "ca-profile", false,
			false},
		"name at newOrder": {at(pathNewOrder), "rejectedIdentifier", acme.Policy,
			"ca-rejected-identifier", false, false},
		"dns at newOrder": {at(pathNewOrder), "dns", acme.FailedDNS, "ca-dns-lookup", false, false},
		"caa at finalize": {at(pathFinalize), "caa", acme.CAAForbids, "ca-caa", false, false},
		"dns in an order": {invalid(false, false), "dns", acme.FailedDNS, "ca-dns-lookup", false,
			false},
		"unauthorized in an order": {invalid(false, false), "unauthorized", acme.BadAccount,
			"ca-account", false, false},
		"unauthorized in an order with a failed authorization": {invalid(false, true),
			"unauthorized", acme.FailedDNS, "ca-unauthorized", true, false},
		"unauthorized in a challenge": {invalid(true, true), "unauthorized", acme.FailedDNS,
			"ca-unauthorized", true, false},
		"caa in a challenge": {invalid(true, true), "caa", acme.CAAForbids, "ca-caa", true, false},
		"unknown in a challenge": {invalid(true, true), "new", acme.Policy, "ca-malformed", true,
			false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, f := newFaultyWorld(t, devstack.CAConfig{})
			e := w.engine(t, nil)
			tt.fault(f, tt.kind)
			o := w.order(t, e, "step.example.com")
			_, err := e.Run(t.Context(), o, w.journal(o))
			got := wantError(t, err, tt.class, tt.code)
			v := got.Verdict()
			if !v.Over || v.FailedValidation != tt.failed || v.AccountUnusable != tt.unusable {
				t.Errorf("verdict = %+v, want Over, FailedValidation %v, AccountUnusable %v", v,
					tt.failed, tt.unusable)
			}
			if !strings.Contains(v.Message, "https://ca.test/why") {
				t.Errorf("Message = %q, want the CA's link", v.Message)
			}
		})
	}
}
