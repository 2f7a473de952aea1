package lifecycle_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// revoker is an issuer of real certificates that can revoke them.
type revoker struct {
	*issuer
	t *testing.T

	mu      sync.Mutex
	revoked []int    // reason codes of its revocations
	by      []string // the accounts that requested them
	err     error
}

func newRevoking(t *testing.T) (*world, *revoker) {
	t.Helper()
	r := &revoker{t: t}
	w := newWorld(t, func(c *lifecycle.Config) { r.issuer = c.Issuer.(*issuer); c.Issuer = r })
	return w, r
}

// Run implements lifecycle.Issuer.
func (r *revoker) Run(
	ctx context.Context, o *controlplane.Order, j controlplane.Journal,
) (*controlplane.Certificate, error) {
	cert, err := r.issuer.Run(ctx, o, j)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	public := any(key.Public())
	if request, err := x509.ParseCertificateRequest(o.CSR); err == nil {
		public = request.PublicKey
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: o.Names,
		NotBefore: cert.NotBefore, NotAfter: cert.NotAfter}
	der, err := x509.CreateCertificate(rand.Reader, leaf, leaf, public, key)
	cert.ChainPEM = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return cert, err
}

// Revoke implements lifecycle.Issuer.
func (r *revoker) Revoke(
	_ context.Context, der []byte, ca, account string, reason int,
) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := x509.ParseCertificate(der); err != nil || ca != "primary" {
		r.t.Errorf("Revoke(%x) at %s: %v", der, ca, err)
	}
	r.revoked, r.by = append(r.revoked, reason), append(r.by, account)
	return r.err
}

func (r *revoker) fails(err error) { r.mu.Lock(); defer r.mu.Unlock(); r.err = err }

func (r *revoker) codes() []int { r.mu.Lock(); defer r.mu.Unlock(); return slices.Clone(r.revoked) }

func (w *world) certificate(id string) *controlplane.Certificate {
	w.t.Helper()
	c, err := w.Store.Certificate(w.t.Context(), w.org, id)
	must(w.t, err)
	return c
}

// A revocation without replace orders nothing.
func TestRevokeCertificate(t *testing.T) {
	t.Parallel()
	w, ca := newRevoking(t)
	d := w.active("example.com")
	j, started, err := w.RevokeCertificate(t.Context(), alice, w.org, d.CertificateID,
		"cessationOfOperation", false)
	if err != nil || !started || j.Type != controlplane.JobRevocation ||
		j.Queue != controlplane.QueueCritical || j.CertificateID != d.CertificateID {
		t.Fatalf("RevokeCertificate = %+v, %v, %v, want a new critical revocation", j, started, err)
	}
	if e := w.last(d.CertificateID); e.Action != controlplane.ActionRevokeRequested ||
		e.Actor != alice || e.Details["reason"] != "cessationOfOperation" || e.DomainID() != d.ID {
		t.Errorf("last entry = %+v, want certificate.revoke_requested by alice", e)
	}
	if c := w.certificate(d.CertificateID); c.RevokedAt != nil {
		t.Error("the certificate is revoked before its job ran")
	}
	ran := w.run(d, controlplane.JobRevocation)
	wantJob(t, ran, controlplane.JobSucceeded, "", 0)
	if got := ca.codes(); !slices.Equal(got, []int{5}) {
		t.Errorf("reason codes at the CA = %v", got)
	}
	if c := w.certificate(d.CertificateID); c.RevokedAt == nil ||
		!c.RevokedAt.Equal(w.clock.Now()) || c.RevocationReason != "cessationOfOperation" {
		t.Errorf("certificate = %+v, want it revoked now", c)
	}
	if c := wantCondition(t, w.domain(d), controlplane.CertificateReady, "false",
		"revoked"); !strings.Contains(c.Fix, "/issue") {
		t.Errorf("CertificateReady = %+v, want a fix with the path of issue", c)
	}
	if e := w.last(d.CertificateID); e.Action != controlplane.ActionRevoked ||
		e.Actor.Type != controlplane.ActorSystem || e.Actor.RequestID != alice.RequestID {
		t.Errorf("last entry = %+v, want certificate.revoked by the system", e)
	}
	if n := w.jobs(d, controlplane.JobStartIssuance); n != 1 {
		t.Errorf("%d more certificates were ordered, want 0", n-1)
	}
	_, _, err = w.RevokeCertificate(t.Context(), alice, w.org, d.CertificateID,
		"cessationOfOperation", true)
	if e := wantError(t, "second revocation", err, controlplane.KindConflict,
		"certificate-revoked"); e.ExistingID != d.CertificateID {
		t.Errorf("RevokeCertificate of a revoked one: existing ID = %q, want %q", e.ExistingID,
			d.CertificateID)
	}
}

// Two requests give one revocation, with the last reason before its job ran.
func TestRevokeTwice(t *testing.T) {
	t.Parallel()
	w, ca := newRevoking(t)
	d := w.active("example.com")
	revoke := func(reason string, wantStarted bool) *controlplane.Job {
		t.Helper()
		j, started, err := w.RevokeCertificate(t.Context(), alice, w.org, d.CertificateID, reason,
			false)
		if err != nil || started != wantStarted {
			t.Errorf("RevokeCertificate(%s): started = %v, error %v", reason, started, err)
		}
		return j
	}
	first := revoke("superseded", true)
	for _, reason := range []string{"superseded", "unspecified", "unspecified"} {
		if j := revoke(reason, false); j.ID != first.ID {
			t.Errorf("RevokeCertificate(%s) returned another job", reason)
		}
	}
	if diff := cmp.Diff([]string{controlplane.ActionRevokeRequested,
		controlplane.ActionRevokeRequested}, w.events(d.CertificateID)); diff != "" {
		t.Errorf("events of the certificate (-want +got):\n%s", diff)
	}
	w.run(d, controlplane.JobRevocation)
	if got := ca.codes(); !slices.Equal(got, []int{0}) {
		t.Errorf("reason codes at the CA = %v", got)
	}
}

// With replace, or for a compromised key, one new certificate is ordered, and only for the current
// one.
func TestRevokeAndReplace(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		reason  string
		replace bool
	}{"requested": {"superseded", true}, "compromised": {"keyCompromise", false},
		"both": {"keyCompromise", true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, _ := newRevoking(t)
			d := w.active("example.com")
			for range 2 {
				_, _, err := w.RevokeCertificate(t.Context(), alice, w.org, d.CertificateID,
					tt.reason, tt.replace)
				must(t, err)
			}
			if n := w.jobs(d, controlplane.JobStartIssuance); n != 2 {
				t.Fatalf("%d new certificates were ordered, want 1", n-1)
			}
			w.run(d, controlplane.JobStartIssuance)
			w.run(d, controlplane.JobRevocation)
			now := w.domain(d)
			wantCondition(t, now, controlplane.CertificateReady, "true", "issued")
			old := w.certificate(d.CertificateID)
			if now.CertificateID == d.CertificateID || old.ReplacedBy != now.CertificateID ||
				old.RevokedAt == nil ||
				string(old.SealedKey) == string(w.certificate(now.CertificateID).SealedKey) {
				t.Errorf("previous certificate = %+v, want it revoked and replaced by one with another key", old)
			}

			// A previous certificate is only revoked.
			d = now
			w.clock.add(time.Hour)
			_, _, err := w.RequestIssue(t.Context(), alice, w.org, d.ID)
			must(t, err)
			w.run(d, controlplane.JobStartIssuance)
			_, _, err = w.RevokeCertificate(t.Context(), alice, w.org, d.CertificateID, tt.reason,
				tt.replace)
			must(t, err)
			if n := w.jobs(d, controlplane.JobStartIssuance); n != 3 {
				t.Errorf("%d certificates were ordered for a previous one, want 0", n-3)
			}
		})
	}
}

// If the customer has the key, the result depends on whether their CSR has the compromised key.
func TestRevokeWithoutKey(t *testing.T) {
	t.Parallel()
	w, ca := newRevoking(t)
	d := w.active("example.com", func(o *controlplane.Options) { o.CSRPEM = csr(t, "example.com") })
	if c := w.certificate(d.CertificateID); c.HasKey() {
		t.Fatal("the certificate of a CSR has a stored key")
	}
	_, _, err := w.RevokeCertificate(t.Context(), alice, w.org, d.CertificateID,
		"keyCompromise", true)
	wantError(t, "replace with the compromised key", err, controlplane.KindInvalid,
		"csr-key-compromised")
	if n := w.count(d.CertificateID, controlplane.ActionRevokeRequested); n != 0 {
		t.Errorf("%d audit entries of the rejected request, want 0", n)
	}
	_, _, err = w.RevokeCertificate(t.Context(), alice, w.org, d.CertificateID,
		"keyCompromise", false)
	must(t, err)
	w.run(d, controlplane.JobRevocation)
	if c := wantCondition(t, w.domain(d), controlplane.CertificateReady, "false",
		"revoked"); !strings.Contains(c.Fix, "csr_pem") {
		t.Errorf("CertificateReady = %+v, want a fix with csr_pem", c)
	}
	if n := w.jobs(d, controlplane.JobStartIssuance); n != 1 ||
		!slices.Equal(ca.codes(), []int{1}) {
		t.Errorf("%d orders with the compromised key, want 0; reason codes at the CA = %v", n-1,
			ca.codes())
	}

	// Other reasons do not affect the key, and another CSR has another key.
	other := w.active("other.example.com",
		func(o *controlplane.Options) { o.CSRPEM = csr(t, "other.example.com") })
	_, _, err = w.RevokeCertificate(t.Context(), alice, w.org, other.CertificateID,
		"superseded", true)
	must(t, err)
	request := csr(t, "other.example.com")
	_, err = w.UpdateDomain(t.Context(), alice, w.org, other.ID, 0,
		lifecycle.DomainPatch{CSRPEM: &request})
	must(t, err)
	_, _, err = w.RevokeCertificate(t.Context(), alice, w.org, other.CertificateID,
		"keyCompromise", true)
	must(t, err)
	if n := w.jobs(other, controlplane.JobStartIssuance); n != 2 {
		t.Errorf("%d new certificates were ordered, want 1", n-1)
	}
}

func TestRevokeIsRejected(t *testing.T) {
	t.Parallel()
	w, ca := newRevoking(t)
	d := w.active("example.com")
	other := w.organization(10)
	for name, call := range map[string]struct {
		org, id, reason, code string
		kind                  controlplane.Kind
	}{
		"another organization": {other, d.CertificateID, "superseded",
			"not-found", controlplane.KindNotFound},
		"unknown certificate": {w.org, "crt_none", "superseded",
			"not-found", controlplane.KindNotFound},
		"no reason": {w.org, d.CertificateID, "",
			"revocation-reason-unknown", controlplane.KindInvalid},
		"reason of a CA": {w.org, d.CertificateID, "cACompromise",
			"revocation-reason-unknown", controlplane.KindInvalid},
	} {
		_, _, err := w.RevokeCertificate(t.Context(), alice, call.org, call.id, call.reason, true)
		wantError(t, name, err, call.kind, call.code)
	}
	if n := w.jobs(d, controlplane.JobRevocation); n != 0 || len(ca.codes()) != 0 {
		t.Errorf("%d jobs and the reason codes %v at the CA, want none", n, ca.codes())
	}
	if got := value[string](w, `SELECT revocation_requested FROM certificates`); got != "" {
		t.Errorf("requested reason = %q, want none", got)
	}
}

// A failed revocation is retried, and the domain does not change.
func TestRevocationThatFailsLeavesTheDomain(t *testing.T) {
	t.Parallel()
	w, ca := newRevoking(t)
	d := w.active("example.com")
	_, _, err := w.RevokeCertificate(t.Context(), alice, w.org, d.CertificateID,
		"superseded", false)
	must(t, err)
	before := w.domain(d)
	ca.fails(verdictOf(controlplane.VerdictAccount))
	for n := 1; n <= controlplane.MaxAttempts; n++ {
		if j := w.runDue(d, controlplane.JobRevocation); j.Attempts != n ||
			j.LastErrorCode != "ca-account" {
			t.Errorf("revocation = %+v, want %d failures with ca-account", j, n)
		}
	}
	wantJob(t, w.job(d, controlplane.JobRevocation), controlplane.JobFailed,
		"dead-lettered", controlplane.MaxAttempts)
	if now := w.domain(d); toJSON(now.Conditions) != toJSON(before.Conditions) ||
		now.Status != before.Status || w.certificate(d.CertificateID).RevokedAt != nil {
		t.Errorf("domain = %+v, want it unchanged, with a valid certificate", now)
	}
	ca.fails(nil)
	_, started, err := w.RestartJob(t.Context(), alice, w.org,
		w.job(d, controlplane.JobRevocation).ID)
	if err != nil || !started {
		t.Fatalf("RestartJob: started = %v, error %v, want true", started, err)
	}
	w.run(d, controlplane.JobRevocation)
	if w.certificate(d.CertificateID).RevokedAt == nil {
		t.Error("the certificate is not revoked after the restart")
	}
	if jobs, _, err := w.Store.ListJobs(t.Context(), w.org,
		postgres.JobFilter{DomainID: d.ID, Type: controlplane.JobRevocation,
			Limit: 10}); err != nil || len(jobs) != 1 {
		t.Errorf("ListJobs = %d jobs, %v, want 1", len(jobs), err)
	}
}

// A CA that rejects our account when a certificate is revoked, or when an order that was set aside
// is polled, gets no new orders: the account is unusable. A rejection that may concern only what
// was requested changes nothing, whether for one domain or for many.
func TestAccountIsRejectedElsewhere(t *testing.T) {
	t.Parallel()
	rejects := func(certain bool) verdict {
		v := refuses(controlplane.VerdictAccount)
		v.AccountUnusable = certain
		return v
	}
	revocations := func(t *testing.T, v verdict) *world {
		w, ca := newRevoking(t)
		ca.fails(v)
		var domains []*controlplane.Domain
		for i := range controlplane.AccountEvidence {
			domains = append(domains, w.active(string(rune('a'+i))+"-domain.com"))
		}
		for _, d := range domains {
			_, _, err := w.RevokeCertificate(t.Context(), alice, w.org, d.CertificateID,
				"superseded", false)
			must(t, err)
			w.run(d, controlplane.JobRevocation)
		}
		return w
	}
	polls := func(t *testing.T, v verdict) *world {
		w := newWorld(t)
		w.aside("aside.com")
		w.ca.collect(func(*controlplane.Order) (*controlplane.Certificate, error) {
			return nil, v
		})
		w.ca.answer(nil)
		w.collect(1)
		return w
	}
	for name, tt := range map[string]struct {
		by   func(*testing.T, verdict) *world
		v    verdict
		want string // the CA of the next order
	}{
		"revocation":                           {revocations, rejects(true), "backup"},
		"revocations, maybe by other accounts": {revocations, rejects(false), "primary"},
		"poll":                                 {polls, rejects(true), "backup"},
		"poll, maybe only the order":           {polls, rejects(false), "primary"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := tt.by(t, tt.v)
			accounts, err := w.Store.CAAccounts(t.Context())
			if unusable := len(accounts) == 1 && accounts[0].Unusable; err != nil ||
				unusable != (tt.want == "backup") {
				t.Errorf("CAAccounts = %+v, %v, want the account unusable: %v", accounts, err,
					tt.want == "backup")
			}
			d := w.issuing("next.com")
			wantJob(t, w.run(d, controlplane.JobStartIssuance), controlplane.JobSucceeded, "", 0)
			if got := w.ca.runs(); got[len(got)-1] != tt.want {
				t.Errorf("next order at %s, want %s", got[len(got)-1], tt.want)
			}
		})
	}
}
