package postgres_test

import (
	"errors"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// issuanceOf returns the Issuance of a certificate for the claim's order.
func (d *db) issuanceOf(c *postgres.Claim, o *controlplane.Order) postgres.Issuance {
	d.t.Helper()
	dom := *c.Domain
	cert := newCertificate(o)
	dom.Status, dom.CertificateID, dom.ExpiresAt = controlplane.DomainActive, cert.ID,
		&cert.NotAfter
	return postgres.Issuance{Domain: &dom, Certificate: cert, Replaces: c.Domain.CertificateID,
		Order: o,
		Watch: postgres.RenewalWatch{Draw: 0.5, CheckAt: start, RehearseAt: start,
			RehearseEvery: time.Hour, WarnAt: start},
		Entry:  d.happened(controlplane.ActionCertificateIssued, "domain", dom.ID, nil),
		Result: map[string]any{"certificate_id": cert.ID}}
}

// An issuance is written completely or not at all.
func TestConcludeIssuance(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before func(d *db, c *postgres.Claim)
		want   bool
	}{
		"unchanged": {func(*db, *postgres.Claim) {}, true},
		"the domain changed": {func(d *db,
			_ *postgres.Claim) {
			d.exec(`UPDATE domains SET version = version + 1`)
		}, false},
		"another worker has claimed it": {func(d *db,
			_ *postgres.Claim) {
			d.exec(`UPDATE jobs SET claimed_by = 'other'`)
		}, false},
		"the domain was deleted": {func(d *db, c *postgres.Claim) {
			d.must(d.DeleteDomain(d.t.Context(), d.org, c.Domain.ID))
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			_, j := d.add(d.org, "example.com")
			claim := d.claim(j, "w")
			o := d.order(claim)
			o.Values, o.CertificateURL = txtAt(o, "a"), "https://ca.example/cert/1"
			d.must(d.PublishChallenges(t.Context(), claim, o, start.Add(time.Hour), start))
			k := d.issuanceOf(claim, o)
			c.before(d, claim)
			if ended, err := d.ConcludeIssuance(t.Context(), claim, k, start); err != nil ||
				ended != c.want {
				t.Fatalf("ConcludeIssuance = %v, %v, want %v", ended, err, c.want)
			}
			if n := value[int](d,
				`SELECT (SELECT count(*) FROM certificates) + (SELECT count(*) FROM audit_logs WHERE id = $1)`, k.Entry.ID); n != 0 != c.want {
				t.Errorf("%d rows of certificate and log", n)
			}
			if !c.want {
				return
			}
			n := value[int](d,
				`SELECT count(*) FROM domains d JOIN jobs j ON j.domain_id = d.id JOIN acme_orders o ON o.domain_id = d.id
				WHERE d.certificate_id = $1 AND d.status = 'active' AND d.claimed_by = '' AND d.renewal_draw = 0.5 AND d.version = $2 AND j.status = 'succeeded'
				AND o.step = 'stored' AND o.certificate_url = $3 AND NOT EXISTS (SELECT FROM challenges)`, k.Certificate.ID, claim.Domain.Version+1, o.CertificateURL)
			if n != 1 {
				t.Error("not all was written")
			}
		})
	}
}

// Under the domain's lock the same is written, and nothing for a worker that does not hold the job.
func TestConcludeIssuanceUnderLock(t *testing.T) {
	t.Parallel()
	d := open(t)
	dom, j := d.add(d.org, "example.com")
	claim := d.claim(j, "w")
	o := d.order(claim)
	conclude := func(c *postgres.Claim) error {
		return d.InTx(t.Context(), func(tx *postgres.Tx) error {
			if _, err := tx.LockDomain(t.Context(), d.org, dom.ID); err != nil {
				return err
			}
			return tx.ConcludeIssuance(t.Context(), c, d.issuanceOf(claim, o), start)
		})
	}
	other := *claim
	other.Worker = "other"
	if err := conclude(&other); !errors.Is(err, postgres.ErrClaimLost) {
		t.Errorf("ConcludeIssuance by a worker without the job = %v, want ErrClaimLost", err)
	}
	d.must(conclude(claim))
	if err := conclude(claim); !errors.Is(err, postgres.ErrClaimLost) {
		t.Errorf("ConcludeIssuance for the second time = %v, want ErrClaimLost", err)
	}
	if n := value[int](d,
		`SELECT count(*) FROM certificates c JOIN domains d ON d.certificate_id = c.id WHERE d.renewal_draw = 0.5`); n != 1 {
		t.Errorf("%d certificates are current", n)
	}
}

// A job is followed by another only if the domain's slot for it is free.
func TestConcludeFollowed(t *testing.T) {
	t.Parallel()
	for _, taken := range []bool{false, true} {
		d := open(t)
		dom, j := d.add(d.org, "example.com")
		claim := d.claim(j, "w")
		if taken {
			_, _, err := d.AddJob(t.Context(), newJob(dom, controlplane.JobRenewal))
			d.must(err)
		}
		next, changed := newJob(dom, controlplane.JobStartIssuance), *claim.Domain
		changed.Status = controlplane.DomainIssuing
		k := postgres.Conclusion{Domain: &changed,
			Outcome: postgres.Completed(map[string]any{"next_job_id": next.ID}),
			Entries: []controlplane.AuditEntry{d.happened(controlplane.ActionDNSVerified,
				"domain", dom.ID, nil)}}
		if ended, err := d.ConcludeFollowed(t.Context(), claim, k, next, start); err != nil ||
			ended == taken {
			t.Fatalf("taken %v: %v, %v", taken, ended, err)
		}
		want := 1
		if taken {
			want = 0
		}
		if n := value[int](d,
			`SELECT count(*) FROM jobs n JOIN domains d ON d.id = n.domain_id JOIN jobs j ON j.domain_id = d.id AND j.id = $2
			WHERE n.id = $1 AND n.status = 'queued' AND d.status = 'issuing' AND d.claimed_by = '' AND j.status = 'succeeded' AND j.result ->> 'next_job_id' = n.id`,
			next.ID, j.ID); n != want {
			t.Errorf("taken %v: %d followed", taken, n)
		}
		if n := value[int](d, `SELECT count(*) FROM audit_logs WHERE id = $1`,
			k.Entries[0].ID); n != want {
			t.Errorf("taken %v: %d entries", taken, n)
		}
	}
}
