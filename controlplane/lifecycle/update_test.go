package lifecycle_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// csr returns a CSR for the names with a P-384 key.
func csr(t *testing.T, names ...string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(t, err)
	der, err := x509.CreateCertificateRequest(rand.Reader,
		&x509.CertificateRequest{DNSNames: names}, key)
	must(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

// pssRequest returns a CSR that is signed with RSASSA-PSS.
func pssRequest(t *testing.T, name string) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		DNSNames: []string{name}, SignatureAlgorithm: x509.SHA256WithRSAPSS}, key)
	must(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

func TestUpdateDomainChangesTheGivenOptions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.add("example.com", func(o *controlplane.Options) {
		o.Profile,
			o.Labels = "classic", map[string]string{"a": "b"}
	})
	wild, empty, kt := true, "", controlplane.KeyRSA2048
	got, err := w.UpdateDomain(t.Context(), alice, w.org, "example.com", d.Version,
		lifecycle.DomainPatch{Wildcard: &wild, Profile: &empty, KeyType: &kt})
	must(t, err)
	if !got.Wildcard || got.Profile != "" || got.KeyType != kt || got.Labels["a"] != "b" ||
		!got.AutoIssue || got.Version != 2 {
		t.Errorf("UpdateDomain = %+v, want the changed options at version 2", got)
	}
	e := w.last(d.ID)
	if e.Action != controlplane.ActionDomainUpdated || e.Before["wildcard"] != false ||
		e.After["wildcard"] != true || e.Before["profile"] != "classic" ||
		e.After["profile"] != nil || e.Actor != alice {
		t.Errorf("last entry = %+v, want domain.updated by alice with the changes", e)
	}
	none := map[string]string{}
	if got, err := w.UpdateDomain(t.Context(), alice, w.org, d.ID, 0,
		lifecycle.DomainPatch{Labels: &none}); err != nil || len(got.Labels) != 0 {
		t.Errorf("UpdateDomain(no labels) = %+v, %v, want no labels", got, err)
	}
}

func TestUpdateAndDeleteRejectAnotherVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.add("example.com")
	off := false
	for _, v := range []int64{d.Version + 1, 99, -1} {
		_, err := w.UpdateDomain(t.Context(), alice, w.org, d.ID, v,
			lifecycle.DomainPatch{AutoRenew: &off})
		wantError(t, "update", err, controlplane.KindPrecondition, "precondition-failed")
		wantError(t, "delete", w.DeleteDomain(t.Context(), alice, w.org, d.ID, v),
			controlplane.KindPrecondition, "precondition-failed")
	}
	if got := w.domain(d); got.Version != 1 || !got.AutoRenew {
		t.Errorf("domain = %+v, want it unchanged", got)
	}
	_, err := w.UpdateDomain(t.Context(), alice, w.org, "none.example.com", 0,
		lifecycle.DomainPatch{})
	wantError(t, "unknown domain", err, controlplane.KindNotFound, "not-found")
	wantError(t, "unknown domain", w.DeleteDomain(t.Context(), alice, w.org, "none.example.com", 0),
		controlplane.KindNotFound, "not-found")
	must(t, w.DeleteDomain(t.Context(), alice, w.org, "example.com", d.Version))
	if e := w.last(d.ID); e.Action != controlplane.ActionDomainDeleted ||
		e.Before["name"] != "example.com" {
		t.Errorf("last entry = %+v, want domain.deleted with its name", e)
	}
	if exists, _, err := w.Store.LookupTarget(t.Context(), d.Target, start); exists || err != nil {
		t.Errorf("LookupTarget after the deletion: found, error %v", err)
	}
}

func TestUpdateDomainValidatesOptionsTogether(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.add("example.com", func(o *controlplane.Options) { o.CSRPEM = csr(t, "example.com") })
	if d.KeyType != controlplane.KeyEC384 {
		t.Errorf("key type = %s, want that of the CSR", d.KeyType)
	}
	wild, none, rsa, other := true, "", controlplane.KeyRSA2048,
		csr(t, "example.com", "*.example.com")
	_, err := w.UpdateDomain(t.Context(), alice, w.org, d.ID, 0,
		lifecycle.DomainPatch{Wildcard: &wild})
	wantError(t, "wildcard missing in the CSR", err, controlplane.KindInvalid, "csr-names")
	_, err = w.UpdateDomain(t.Context(), alice, w.org, d.ID, 0,
		lifecycle.DomainPatch{KeyType: &rsa})
	wantError(t, "another key type", err, controlplane.KindInvalid, "key-type-mismatch")
	if got, err := w.UpdateDomain(t.Context(), alice, w.org, d.ID, 0,
		lifecycle.DomainPatch{Wildcard: &wild, CSRPEM: &other}); err != nil || !got.Wildcard {
		t.Errorf("UpdateDomain(CSR and key type): %v", err)
	}
	if got, err := w.UpdateDomain(t.Context(), alice, w.org, d.ID, 0,
		lifecycle.DomainPatch{CSRPEM: &none, KeyType: &rsa}); err != nil || got.KeyType != rsa ||
		got.CSRPEM != "" {
		t.Errorf("UpdateDomain(no CSR): %v", err)
	}
	bad, unknown := controlplane.KeyType("x"), "nobody"
	_, err = w.UpdateDomain(t.Context(), alice, w.org, d.ID, 0,
		lifecycle.DomainPatch{KeyType: &bad, CA: &unknown})
	if e := wantError(t, "two invalid fields", err, controlplane.KindInvalid,
		"invalid-fields"); !slices.Equal(pointers(e),
		[]string{"/key_type not-one-of", "/ca ca-unknown"}) {
		t.Errorf("invalid fields = %q, want /key_type and /ca", pointers(e))
	}
}

// The condition of the renewal follows auto_renew at once.
func TestAutoRenewIsShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.active("example.com")
	wantCondition(t, d, controlplane.RenewalOnTrack, "true", "scheduled")
	for _, on := range []bool{false, true} {
		got, err := w.UpdateDomain(t.Context(), alice, w.org, d.ID, 0,
			lifecycle.DomainPatch{AutoRenew: &on})
		must(t, err)
		if on {
			wantCondition(t, got, controlplane.RenewalOnTrack, "true", "scheduled")
		} else {
			wantCondition(t, got, controlplane.RenewalOnTrack, "false", "auto-renew-off")
		}
	}
}

// Setting auto_issue starts the issuance of a domain with a verified CNAME.
func TestAutoIssueStartsTheIssuance(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.add("example.com", func(o *controlplane.Options) { o.AutoIssue = false })
	w.run(d, controlplane.JobDNSCheck)
	wantStatus(t, w.domain(d), controlplane.DomainPendingCNAME, "awaiting-issue")
	on := true
	_, err := w.UpdateDomain(t.Context(), alice, w.org, d.ID, 0,
		lifecycle.DomainPatch{AutoIssue: &on})
	must(t, err)
	w.run(d, controlplane.JobDNSCheck)
	w.run(d, controlplane.JobStartIssuance)
	wantStatus(t, w.domain(d), controlplane.DomainActive, "")
}
