package program

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// ending is how a domain ends: with a certificate, in failure, or waiting.
type ending struct {
	by     string        // the CA that issued
	failed string        // code of the failure
	waits  string        // reason of the condition
	retry  bool          // the wait comes after a failure, which counts
	wait   time.Duration // at least
}

// wantEnding waits for the domain's end, and looks at everything that tells of it.
func (s *stack) wantEnding(id string, want ending, m misbehaviour) {
	s.t.Helper()
	switch {
	case want.by != "":
		d := s.waitActive(id)
		s.wantIssuer(d, want.by)
	case want.failed != "":
		s.wantFailure(id, want.failed, m)
	default:
		s.wantWait(id, want)
	}
	if m.acme != "" {
		s.wantProblem(id, m.acme)
	}
}

// wantIssuer looks at the certificate and at what the timeline says of how it came.
func (s *stack) wantIssuer(d *client.Domain, ca string) {
	s.t.Helper()
	cert, err := s.api.Certificate(s.t.Context(), d.CertificateId.MustGet())
	if err != nil {
		s.t.Fatal(err)
	}
	if cert.Ca != ca {
		s.t.Errorf("the certificate is of the %s CA", cert.Ca)
	}
	failed := s.timeline(d.Id, controlplane.ActionOrderFailed)
	if ca == "backup" && (len(failed) != 1 || failed[0]["ca"] != "primary" || failed[0]["code"] == "") {
		s.t.Errorf("the timeline says of the first order: %s", toJSON(failed))
	}
	if ca == "primary" && len(failed) > 0 {
		s.t.Errorf("the timeline tells of failed orders: %s", toJSON(failed))
	}
	if issued := s.timeline(d.Id, controlplane.ActionCertificateIssued); len(issued) != 1 || issued[0]["ca"] != ca {
		s.t.Errorf("the timeline says of the certificate: %s", toJSON(issued))
	}
}

// wantFailure waits until the domain is given up, and looks at what people are told.
func (s *stack) wantFailure(id, code string, m misbehaviour) {
	s.t.Helper()
	d := s.waitDomain(id, "in error", func(d *client.Domain) bool { return d.Status == client.DomainStatusError })
	c := conditionOf(d, client.ConditionTypeCertificateReady)
	if d.StatusReason != code || c.Reason != code || !strings.Contains(c.Message, m.details) || c.Fix == nil || c.NextCheckAt != nil {
		s.t.Errorf("the domain is in error for %s: %s", d.StatusReason, toJSON(c))
	}
	if m.acme != "" && (c.Acme == nil || !reflect.DeepEqual(*c.Acme, parsed(s.t, m.acme))) {
		s.t.Errorf("the condition does not show %s: %s", m.acme, toJSON(c))
	}
	job := s.latestJob(id, "start_issuance")
	if e, err := job.LastError.Get(); err != nil || job.Status != client.JobStatusFailed || job.Attempts != controlplane.MaxAttempts || e.Code != code || !strings.Contains(e.Detail, m.details) {
		s.t.Errorf("the job is %s", toJSON(job))
	}
	s.get(s.Env()["DCVAAS_ENDPOINT"]+"/problems/"+code, nil)
	if n := query[int](s, `SELECT count(*) FROM certificates WHERE domain_id = $1`, id); n != 0 {
		s.t.Errorf("%d certificates were stored", n)
	}
	if n := query[int](s, `SELECT count(*) FROM acme_orders WHERE domain_id = $1 AND step <> 'failed'`, id); n != 0 {
		s.t.Errorf("%d orders are open", n)
	}
	for action, n := range map[string]int{controlplane.ActionOrderCreated: 4, controlplane.ActionOrderFailed: 4, controlplane.ActionIssuanceFailed: 1} {
		got := s.timeline(id, action)
		if len(got) != n {
			s.t.Errorf("the timeline has %d of %s, not %d", len(got), action, n)
		}
		if action != controlplane.ActionOrderCreated && len(got) > 0 && got[0]["code"] != code {
			s.t.Errorf("the timeline says %s", toJSON(got[0]))
		}
	}
}

// wantWait waits until the domain's job is put off, and looks at until when.
func (s *stack) wantWait(id string, want ending) *client.Job {
	s.t.Helper()
	d := s.waitDomain(id, "waiting", func(d *client.Domain) bool {
		return conditionOf(d, client.ConditionTypeCertificateReady).Reason == want.waits
	})
	c := conditionOf(d, client.ConditionTypeCertificateReady)
	job := s.latestJob(id, "start_issuance")
	failures, reason := 0, want.waits
	if want.retry {
		failures, reason = 1, "retry"
	}
	if job.Status != client.JobStatusQueued || job.Reason != reason || job.Attempts != failures {
		s.t.Errorf("the job is %s", toJSON(job))
	}
	if c.Message == "" || c.Fix == nil || c.NextCheckAt == nil || !c.NextCheckAt.Equal(job.RunAt) {
		s.t.Errorf("the domain says %s, and the job runs at %s", toJSON(c), job.RunAt)
	}
	// A Retry-After has whole seconds; the answer is a moment old.
	if wait := job.RunAt.Sub(job.UpdatedAt); wait < want.wait-2*time.Second || wait > want.wait*3/2+time.Second {
		s.t.Errorf("it waits for %s, not for %s", wait, want.wait)
	}
	return job
}

// wantProblem looks for a problem document in the timeline, as the CA wrote it.
func (s *stack) wantProblem(id, document string) {
	s.t.Helper()
	failed := s.timeline(id, controlplane.ActionOrderFailed)
	if len(failed) == 0 || !reflect.DeepEqual(failed[0]["acme"], any(parsed(s.t, document))) {
		s.t.Errorf("the timeline does not show %s: %s", document, toJSON(failed))
	}
}

// parsed is a JSON object.
func parsed(t *testing.T, document string) map[string]any {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal([]byte(document), &object); err != nil {
		t.Fatal(err)
	}
	return object
}

// wantOrders looks at how often the CA was asked.
func (s *stack) wantOrders(u *unruly, name string, m misbehaviour) {
	s.t.Helper()
	if n := s.Primary.OrdersFor(name); n > max(m.orders, 1) {
		s.t.Errorf("the CA made %d orders, more than %d", n, max(m.orders, 1))
	}
	for asked, most := range m.asked {
		if n := u.requests(name, asked); n > most {
			s.t.Errorf("the CA was asked %d times for %s, more than %d", n, asked, most)
		}
	}
	for asked, most := range map[request]int{forAuthz: 40, forOrder: 40, forCertificate: 8} {
		if n := u.requests(name, asked); n > most {
			s.t.Errorf("the CA was asked %d times for %s, more than %d", n, asked, most)
		}
	}
}

// conditionOf returns one of the domain's conditions.
func conditionOf(d *client.Domain, kind client.ConditionType) client.Condition {
	for _, c := range d.Conditions {
		if c.Type == kind {
			return c
		}
	}
	return client.Condition{}
}

// timeline returns what the domain's history tells of an action, newest first.
func (s *stack) timeline(id, action string) []map[string]any {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.Env()["DCVAAS_ENDPOINT"]+"/api/domains/"+id+"/timeline?limit=200", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.Token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var list struct {
		Data []struct {
			Type string
			Data map[string]any
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("timeline: %s, %v", resp.Status, err)
	}
	var found []map[string]any
	for _, e := range list.Data {
		if e.Type == action {
			found = append(found, e.Data)
		}
	}
	return found
}
