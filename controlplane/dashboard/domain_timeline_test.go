package dashboard

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// A domain's history has what its jobs and certificates did, too, and says why one waits.
func TestTimelineTellsOfAWait(t *testing.T) {
	s := newSignedIn(t)
	d := s.add(s.org, "example.com")
	s.must(s.store.Audit(t.Context(), controlplane.AuditEntry{ID: controlplane.NewID(controlplane.PrefixEvent), OrgID: s.org.ID, Actor: controlplane.System("worker"),
		Action: controlplane.ActionJobWaiting, EntityType: "job", EntityID: controlplane.NewID(controlplane.PrefixJob), CreatedAt: time.Now(),
		Details: map[string]any{"domain_id": d.ID, "type": "start_issuance", "code": "ca-quota", "detail": "The CA takes no more orders for now.", "ca": "letsencrypt",
			"run_at": time.Now().Add(90 * time.Minute)}}))
	s.get("/domains/"+d.ID).want(http.StatusOK, "Work waits DCVaaS", "The CA takes no more orders for now.", "Next try: in 1 h")
}

// What a CA said stands below the condition and the job that it is the cause of, as text.
func TestTheCAsOwnWords(t *testing.T) {
	s := newSignedIn(t)
	d := s.add(s.org, "example.com")
	page := "/domains/" + d.ID
	s.get(page).want(http.StatusOK).hasNot("In the CA’s own words")
	words := json.RawMessage(`{"type":"urn:ietf:params:acme:error:rejectedIdentifier","detail":"<script>no</script>"}`)
	s.change(d, func(d *controlplane.Domain) {
		d.SetCondition(controlplane.Condition{Type: controlplane.CertificateReady, Status: "false", Reason: "ca-rejected-identifier", Message: "It refuses the name.", ACME: words})
	})
	s.get(page).want(http.StatusOK, "In the CA’s own words", "urn:ietf:params:acme:error:rejectedIdentifier", "<script>no").
		has(`<details id="acme-CertificateReady"`).hasNot("<script>no", `"acme-DNSReady"`)

	j, err := s.store.OpenJob(t.Context(), d.OrgID, d.ID, "check")
	s.must(err)
	claim, err := s.store.ClaimJob(t.Context(), j.ID, j.Generation, "w", time.Minute, time.Now())
	s.must(err)
	s.must(s.store.InTx(t.Context(), func(tx *postgres.Tx) error {
		return tx.DeadLetterJob(t.Context(), claim, time.Now(), "ca-rejected-identifier", "It refuses the name.", words)
	}))
	s.get(page).want(http.StatusOK).has(`<details id="acme-` + j.ID + `"`)
}

// The dashboard says in its own terms what mends a domain that is held back.
func TestACompromisedRequest(t *testing.T) {
	s := newSignedIn(t)
	d := s.add(s.org, "example.com")
	s.issue(d)
	s.change(d, func(d *controlplane.Domain) {
		d.RenewAt = nil
		d.SetCondition(controlplane.Condition{Type: controlplane.CertificateReady, Status: "false", Reason: "revoked", Message: "The current certificate was revoked (keyCompromise).", Fix: "PATCH /api/x"})
		d.SetCondition(controlplane.Condition{Type: controlplane.RenewalOnTrack, Status: "false", Reason: "csr-key-compromised", Message: "The key is compromised.", Fix: "PATCH /api/x"})
	})
	s.get("/domains/"+d.ID).want(http.StatusOK, "The key is compromised.", "Send a certificate request that was made with another key", "No renewal is planned").
		hasNot("to order a new one", "/api/x")
}
