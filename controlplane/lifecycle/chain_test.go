package lifecycle_test

import (
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// A certificate with another chain than the preferred one is stored, and the domain says so until
// the preference or the certificate changes.
func TestChainNotOfferedIsShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	chain := "No Such Root"
	d := w.issuing("example.com", func(o *controlplane.Options) { o.PreferredChain = chain })
	missing := &controlplane.ChainNotOffered{Wanted: chain,
		Offered: []string{"ISRG Root X1", "Root\x00 YE"}}
	w.ca.lacks(missing)
	w.run(d, controlplane.JobStartIssuance)
	shown := func() controlplane.Condition {
		return w.domain(d).Condition(controlplane.CertificateReady)
	}
	wantStatus(t, w.domain(d), controlplane.DomainActive, "")
	first := shown()
	if first.Status != controlplane.ConditionTrue ||
		first.Reason != controlplane.ReasonChainNotOffered || first.Expected != chain ||
		first.Observed != "ISRG Root X1, Root YE" || first.ObservedCount != 2 ||
		!strings.Contains(first.Message, "primary offers no chain to the root No Such Root.") ||
		!strings.Contains(first.Fix, "ISRG Root X1, Root YE") {
		t.Errorf("CertificateReady = %+v, want the chains that the CA offers", first)
	}
	if s := w.domain(d).Summary(w.clock.Now()); s.State != controlplane.SummaryActive ||
		!strings.Contains(s.Cause, "No Such Root") {
		t.Errorf("Summary = %+v, want active, with the root", s)
	}

	labels := map[string]string{"a": "b"}
	if _, err := w.UpdateDomain(t.Context(), alice, w.org, d.ID, 0,
		lifecycle.DomainPatch{Labels: &labels}); err != nil ||
		shown().Reason != controlplane.ReasonChainNotOffered {
		t.Errorf("CertificateReady after a change of labels = %+v, %v, want it kept", shown(), err)
	}
	none := ""
	if _, err := w.UpdateDomain(t.Context(), alice, w.org, d.ID, 0,
		lifecycle.DomainPatch{PreferredChain: &none}); err != nil {
		t.Fatal(err)
	}
	if c := shown(); c.Reason != controlplane.ReasonIssued || c.Fix != "" ||
		!strings.HasPrefix(first.Message, c.Message) ||
		!c.LastCheckedAt.Equal(*first.LastCheckedAt) {
		t.Errorf("CertificateReady without a preference = %+v, want issued", c)
	}

	other := w.issuing("other.example.com", func(o *controlplane.Options) { o.PreferredChain = chain })
	w.ca.lacks(&controlplane.ChainNotOffered{Wanted: chain, Offered: []string{"X1"}, Unread: true})
	w.run(other, controlplane.JobStartIssuance)
	if c := w.domain(other).Condition(controlplane.CertificateReady); !strings.Contains(c.Message,
		"or its chains could not be downloaded.") || !strings.Contains(c.Fix, "next renewal") {
		t.Errorf("CertificateReady after a failed download = %+v, want it to say so", c)
	}
	w.ca.lacks(nil)
	w.clock.add(61 * day)
	_, err := w.Sweep(t.Context())
	must(t, err)
	w.run(other, controlplane.JobRenewal)
	if c := w.domain(other).Condition(controlplane.CertificateReady); c.Reason !=
		controlplane.ReasonIssued || c.Observed != "" {
		t.Errorf("CertificateReady after the renewal = %+v, want issued", c)
	}
}

// A CSR that older rules accepted does not block other changes, and goes to the CA.
func TestStoredCSRIsNotJudgedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.issuing("example.com", func(o *controlplane.Options) { o.CSRPEM = csr(t, "example.com") })
	stored := strings.Replace(pssRequest(t, "example.com"), "-----BEGIN", "\ufeff-----BEGIN", 1)
	w.exec("UPDATE domains SET csr_pem = $2, key_type = 'rsa2048' WHERE id = $1", d.ID, stored)
	labels := map[string]string{"a": "b"}
	if _, err := w.UpdateDomain(t.Context(), alice, w.org, d.ID, 0,
		lifecycle.DomainPatch{Labels: &labels}); err != nil {
		t.Errorf("UpdateDomain(labels) = %v, want no error about the stored CSR", err)
	}
	_, err := w.UpdateDomain(t.Context(), alice, w.org, d.ID, 0,
		lifecycle.DomainPatch{CSRPEM: &stored})
	wantError(t, "the same CSR again", err, controlplane.KindInvalid, "csr-signature")
	w.run(d, controlplane.JobStartIssuance)
	wantStatus(t, w.domain(d), controlplane.DomainActive, "")
	if o := w.ca.order(len(w.ca.runs()) - 1); o.KeyType != controlplane.KeyRSA2048 {
		t.Errorf("key type of the order = %s, want that of the stored CSR", o.KeyType)
	}
}

func TestAddDomainChecksWhatCAsAccept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, code := range map[string]string{"co.uk": "name-public-suffix",
		"nas.lan": "name-unknown-tld", "1.2.3.4.5.6.7.8.9.example.com": "name-too-many-labels",
		"github.io": "", "1.2.3.4.5.6.7.8.example.com": ""} {
		_, err := w.AddDomain(t.Context(), alice, w.org, lifecycle.NewDomain{Name: name})
		if code == "" && err != nil || code != "" && !controlplane.HasCode(err, code) {
			t.Errorf("AddDomain(%s) = %v, want the code %q", name, err, code)
		}
	}
	out, err := w.AddDomains(t.Context(), alice, w.org, []lifecycle.NewDomain{
		{Name: "nas.lan"}, {Name: "blogspot.com"},
		{Name: "rsa.example.com", Options: controlplane.Options{KeyType: "rsa3072"}},
		{Name: "pss.example.com",
			Options: controlplane.Options{CSRPEM: pssRequest(t, "pss.example.com")}}})
	must(t, err)
	for i, code := range []string{"name-unknown-tld", "", "", "csr-signature"} {
		if code == "" && out[i].Err != nil || code != "" && !controlplane.HasCode(out[i].Err, code) {
			t.Errorf("AddDomains: result %d = %v, want the code %q", i, out[i].Err, code)
		}
	}
}
