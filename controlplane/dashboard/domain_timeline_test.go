package dashboard

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// A domain's timeline includes entries of its jobs and certificates, with the reason for waiting.
func TestTimelineOfWaitingJob(t *testing.T) {
	s := newSignedIn(t)
	d := s.add(s.org, "example.com")
	s.must(s.store.Audit(t.Context(),
		controlplane.AuditEntry{ID: controlplane.NewID(controlplane.PrefixEvent), OrgID: s.org.ID,
			Actor:      controlplane.System("worker"),
			Action:     controlplane.ActionJobWaiting,
			EntityType: "job", EntityID: controlplane.NewID(controlplane.PrefixJob),
			CreatedAt: time.Now(),
			Details: map[string]any{"domain_id": d.ID, "type": "start_issuance", "code": "ca-quota",
				"detail": "The CA takes no more orders for now.", "ca": "letsencrypt",
				"run_at": time.Now().Add(90 * time.Minute)}}))
	s.get("/domains/"+d.ID).want(http.StatusOK, "Job waiting DCVaaS",
		"The CA takes no more orders for now.", "Next retry: in 1 h")
}

// A CA's problem document is shown as text with the condition and the job that it caused.
func TestACMEProblem(t *testing.T) {
	s := newSignedIn(t)
	d := s.add(s.org, "example.com")
	page := "/domains/" + d.ID
	s.get(page).want(http.StatusOK).hasNot("CA error details")
	words := json.RawMessage(
		`{"type":"urn:ietf:params:acme:error:rejectedIdentifier","detail":"<script>no</script>"}`)
	s.change(d, func(d *controlplane.Domain) {
		d.SetCondition(controlplane.Condition{Type: controlplane.CertificateReady,
			Status: "false", Reason: "ca-rejected-identifier", Message: "It refuses the name.",
			ACME: words})
	})
	s.get(page).want(http.StatusOK, "CA error details",
		"urn:ietf:params:acme:error:rejectedIdentifier", "<script>no").
		has(`<details id="acme-CertificateReady"`).hasNot("<script>no", `"acme-DNSReady"`)

	j, err := s.store.OpenJob(t.Context(), d.OrgID, d.ID, "check")
	s.must(err)
	claim, err := s.store.ClaimJob(t.Context(), j.ID, j.Generation, "w", time.Minute, time.Now())
	s.must(err)
	s.must(s.store.InTx(t.Context(), func(tx *postgres.Tx) error {
		return tx.DeadLetterJob(t.Context(), claim, time.Now(), "ca-rejected-identifier",
			"It refuses the name.", words)
	}))
	s.get(page).want(http.StatusOK).has(`<details id="acme-` + j.ID + `"`)
}

// The fix for a compromised CSR key is in terms of the dashboard, not of the API.
func TestCompromisedCSRKey(t *testing.T) {
	s := newSignedIn(t)
	d := s.add(s.org, "example.com")
	s.issue(d)
	s.change(d, func(d *controlplane.Domain) {
		d.RenewAt = nil
		d.SetCondition(controlplane.Condition{Type: controlplane.CertificateReady,
			Status: "false", Reason: "revoked",
			Message: "The current certificate was revoked (keyCompromise).", Fix: "PATCH /api/x"})
		d.SetCondition(controlplane.Condition{Type: controlplane.RenewalOnTrack,
			Status: "false", Reason: "csr-key-compromised", Message: "The key is compromised.",
			Fix: "PATCH /api/x"})
	})
	s.get("/domains/"+d.ID).want(http.StatusOK, "The key is compromised.",
		"Send a CSR with another key", "No renewal scheduled").
		hasNot("to order a new one", "/api/x")
}

// After a change of options, the page shows the order that follows, and the timeline says why it
// was placed. With auto_issue off, the certificate can be requested.
func TestChangedOptions(t *testing.T) {
	s := newSignedIn(t)
	d := s.add(s.org, "example.com")
	s.issue(d)
	page := "/domains/" + d.ID
	on, off := true, false
	update := func(p lifecycle.DomainPatch) {
		_, err := s.life.UpdateDomain(t.Context(), controlplane.System("test"), s.org.ID, d.ID,
			0, p)
		s.must(err)
	}
	update(lifecycle.DomainPatch{Wildcard: &on})
	s.get(page).want(http.StatusOK, "New certificate for changed options",
		"A certificate with the changed options is being ordered.")
	s.must(s.store.Audit(t.Context(),
		controlplane.AuditEntry{ID: controlplane.NewID(controlplane.PrefixEvent), OrgID: s.org.ID,
			Actor: controlplane.System("worker"), Action: controlplane.ActionOrderCreated,
			EntityType: "domain", EntityID: d.ID, CreatedAt: time.Now(),
			Details: map[string]any{"reason": controlplane.ReasonOptionsChanged}}))
	s.get(page).want(http.StatusOK, "Order created DCVaaS", "New certificate for changed options")
	update(lifecycle.DomainPatch{AutoIssue: &off})
	s.get(page).want(http.StatusOK, "Certificate outdated",
		"The certificate was ordered with earlier options.", "Renew now")
}
