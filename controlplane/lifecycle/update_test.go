package lifecycle_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// csr returns a request on P-384 for the names.
func csr(t *testing.T, names ...string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(t, err)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: names}, key)
	must(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

func TestUpdateDomainChangesWhatIsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.add("example.com", func(o *controlplane.Options) { o.Profile, o.Labels = "classic", map[string]string{"a": "b"} })
	wild, empty, kt := true, "", controlplane.KeyRSA2048
	got, err := w.UpdateDomain(t.Context(), alice, w.org, "example.com", d.Version, lifecycle.DomainPatch{Wildcard: &wild, Profile: &empty, KeyType: &kt})
	must(t, err)
	if !got.Wildcard || got.Profile != "" || got.KeyType != kt || got.Labels["a"] != "b" || !got.AutoIssue || got.Version != 2 {
		t.Errorf("%+v", got)
	}
	e := w.last(d.ID)
	if e.Action != controlplane.ActionDomainUpdated || e.Before["wildcard"] != false || e.After["wildcard"] != true || e.Before["profile"] != "classic" || e.After["profile"] != nil || e.Actor != alice {
		t.Errorf("%+v", e)
	}
	none := map[string]string{}
	if got, err := w.UpdateDomain(t.Context(), alice, w.org, d.ID, 0, lifecycle.DomainPatch{Labels: &none}); err != nil || len(got.Labels) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestUpdateAndDeleteRefuseAnotherVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.add("example.com")
	off := false
	for _, v := range []int64{d.Version + 1, 99, -1} {
		_, err := w.UpdateDomain(t.Context(), alice, w.org, d.ID, v, lifecycle.DomainPatch{AutoRenew: &off})
		wantError(t, "update", err, controlplane.KindPrecondition, "precondition-failed")
		wantError(t, "delete", w.DeleteDomain(t.Context(), alice, w.org, d.ID, v), controlplane.KindPrecondition, "precondition-failed")
	}
	if got := w.domain(d); got.Version != 1 || !got.AutoRenew {
		t.Errorf("%+v", got)
	}
	_, err := w.UpdateDomain(t.Context(), alice, w.org, "none.example.com", 0, lifecycle.DomainPatch{})
	wantError(t, "no such domain", err, controlplane.KindNotFound, "not-found")
	wantError(t, "no such domain", w.DeleteDomain(t.Context(), alice, w.org, "none.example.com", 0), controlplane.KindNotFound, "not-found")
	must(t, w.DeleteDomain(t.Context(), alice, w.org, "example.com", d.Version))
	if e := w.last(d.ID); e.Action != controlplane.ActionDomainDeleted || e.Before["name"] != "example.com" {
		t.Errorf("%+v", e)
	}
	if exists, _, err := w.Store.LookupTarget(t.Context(), d.Target, start); exists || err != nil {
		t.Errorf("the target is still there, %v", err)
	}
}

func TestUpdateDomainKeepsOptionsThatFitTogether(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.add("example.com", func(o *controlplane.Options) { o.CSRPEM = csr(t, "example.com") })
	if d.KeyType != controlplane.KeyEC384 {
		t.Errorf("the key type is not that of the request: %s", d.KeyType)
	}
	wild, none, rsa, other := true, "", controlplane.KeyRSA2048, csr(t, "example.com", "*.example.com")
	_, err := w.UpdateDomain(t.Context(), alice, w.org, d.ID, 0, lifecycle.DomainPatch{Wildcard: &wild})
	wantError(t, "a wildcard that the request lacks", err, controlplane.KindInvalid, "csr-names")
	_, err = w.UpdateDomain(t.Context(), alice, w.org, d.ID, 0, lifecycle.DomainPatch{KeyType: &rsa})
	wantError(t, "another key type", err, controlplane.KindInvalid, "key-type-mismatch")
	if got, err := w.UpdateDomain(t.Context(), alice, w.org, d.ID, 0, lifecycle.DomainPatch{Wildcard: &wild, CSRPEM: &other}); err != nil || !got.Wildcard {
		t.Errorf("both at once: %v", err)
	}
	if got, err := w.UpdateDomain(t.Context(), alice, w.org, d.ID, 0, lifecycle.DomainPatch{CSRPEM: &none, KeyType: &rsa}); err != nil || got.KeyType != rsa || got.CSRPEM != "" {
		t.Errorf("without the request: %v", err)
	}
	bad, unknown := controlplane.KeyType("x"), "nobody"
	_, err = w.UpdateDomain(t.Context(), alice, w.org, d.ID, 0, lifecycle.DomainPatch{KeyType: &bad, CA: &unknown})
	if e := wantError(t, "two wrong fields", err, controlplane.KindInvalid, "invalid-fields"); !slices.Equal(pointers(e), []string{"/key_type key-type-unknown", "/ca ca-unknown"}) {
		t.Errorf("%q", pointers(e))
	}
}

// What the domain says of its renewal follows auto_renew at once.
func TestSwitchingAutoRenewIsShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.active("example.com")
	wantCondition(t, d, controlplane.RenewalOnTrack, "true", "scheduled")
	for _, on := range []bool{false, true} {
		got, err := w.UpdateDomain(t.Context(), alice, w.org, d.ID, 0, lifecycle.DomainPatch{AutoRenew: &on})
		must(t, err)
		if on {
			wantCondition(t, got, controlplane.RenewalOnTrack, "true", "scheduled")
		} else {
			wantCondition(t, got, controlplane.RenewalOnTrack, "false", "auto-renew-off")
		}
	}
}

// A domain whose CNAME was seen and that waits to be told is told by auto_issue.
func TestSwitchingAutoIssueOnStartsTheIssuance(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.add("example.com", func(o *controlplane.Options) { o.AutoIssue = false })
	w.run(d, controlplane.JobDNSCheck)
	wantStatus(t, w.domain(d), controlplane.DomainPendingCNAME, "awaiting-issue")
	on := true
	_, err := w.UpdateDomain(t.Context(), alice, w.org, d.ID, 0, lifecycle.DomainPatch{AutoIssue: &on})
	must(t, err)
	w.run(d, controlplane.JobDNSCheck)
	w.run(d, controlplane.JobStartIssuance)
	wantStatus(t, w.domain(d), controlplane.DomainActive, "")
}
