package program

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// outcome is what a test expects for a domain: a certificate, a failure, or a delay.
type outcome struct {
	by     string        // the CA that issues
	failed string        // code of the failure
	waits  string        // reason of the delay, in the condition
	wait   time.Duration // minimum delay
}

// wantOutcome waits for the outcome and checks everything that reports it.
func (s *stack) wantOutcome(id string, want outcome, m misbehavior) {
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

// wantIssuer checks the CA of the domain's certificate, and the timeline of its issuance.
func (s *stack) wantIssuer(d *client.Domain, ca string) {
	s.t.Helper()
	cert, err := s.api.Certificate(s.t.Context(), d.CertificateId.MustGet())
	if err != nil {
		s.t.Fatal(err)
	}
	if cert.Ca != ca {
		s.t.Errorf("CA of the certificate = %s, want %s", cert.Ca, ca)
	}
	failed := append(s.timeline(d.Id, controlplane.ActionOrderFailed),
		s.timeline(d.Id, controlplane.ActionOrderSetAside)...)
	if ca == "backup" && (len(failed) != 1 || failed[0]["ca"] != "primary" ||
		failed[0]["code"] == "") {
		s.t.Errorf("failed orders in the timeline = %s, want one at the primary CA", toJSON(failed))
	}
	if ca == "primary" && len(failed) > 0 {
		s.t.Errorf("failed orders in the timeline = %s, want none", toJSON(failed))
	}
	if issued := s.timeline(d.Id, controlplane.ActionCertificateIssued); len(issued) != 1 ||
		issued[0]["ca"] != ca {
		s.t.Errorf("issued certificates in the timeline = %s, want one from the %s CA",
			toJSON(issued), ca)
	}
}

// wantFailure waits until issuance has failed permanently, and checks everything that reports it.
func (s *stack) wantFailure(id, code string, m misbehavior) {
	s.t.Helper()
	d := s.waitDomain(id, "in error",
		func(d *client.Domain) bool { return d.Status == client.DomainStatusError })
	c := conditionOf(d, client.ConditionTypeCertificateReady)
	entry, _ := controlplane.CodeOf(code)
	followed := entry.Actor != controlplane.PartyCustomer // by another job
	if d.StatusReason != code || c.Reason != code || !strings.Contains(c.Message, m.details) ||
		c.Fix == nil || (c.NextCheckAt != nil) != followed {
		s.t.Errorf("domain in error: reason %s, condition %s, want %s with %q and a fix, followed: %v",
			d.StatusReason, toJSON(c), code, m.details, followed)
	}
	if m.acme != "" && (c.Acme == nil || !reflect.DeepEqual(*c.Acme, parsed(s.t, m.acme))) {
		s.t.Errorf("condition = %s, want the problem %s", toJSON(c), m.acme)
	}
	job := s.latestJob(id, "start_issuance")
	if e, err := job.LastError.Get(); err != nil || job.Status != client.JobStatusFailed ||
		job.Attempts != controlplane.MaxAttempts || e.Code != code ||
		!strings.Contains(e.Detail, m.details) {
		s.t.Errorf("job = %s, want failed after %d attempts with %s and %q", toJSON(job),
			controlplane.MaxAttempts, code, m.details)
	}
	s.get(s.Env()["DCVAAS_ENDPOINT"]+"/problems/"+code, nil)
	if n := query[int](s, `SELECT count(*) FROM certificates WHERE domain_id = $1`, id); n != 0 {
		s.t.Errorf("stored certificates = %d, want 0", n)
	}
	if n := query[int](s,
		`SELECT count(*) FROM acme_orders WHERE domain_id = $1 AND step <> 'failed'`, id); n != 0 {
		s.t.Errorf("open orders = %d, want 0", n)
	}
	for action, n := range map[string]int{controlplane.ActionOrderCreated: 4,
		controlplane.ActionOrderFailed: 4, controlplane.ActionIssuanceFailed: 1} {
		got := s.timeline(id, action)
		most := n
		if action != controlplane.ActionIssuanceFailed {
			most += s.repeatedRuns(id)
		}
		if len(got) < n || len(got) > most {
			s.t.Errorf("events %s in the timeline = %d, want %d", action, len(got), n)
		}
		if action != controlplane.ActionOrderCreated && len(got) > 0 && got[0]["code"] != code {
			s.t.Errorf("event %s in the timeline = %s, want code %s", action, toJSON(got[0]), code)
		}
	}
}

// repeatedRuns returns how many runs of the domain's issuance may be no attempts: those that ended
// with a wait, for an account that the fault of another domain has made unusable, or with a lost
// claim.
func (s *stack) repeatedRuns(id string) int {
	s.t.Helper()
	return query[int](s, `SELECT count(*) FROM jobs WHERE domain_id = $1 AND type = 'start_issuance' AND generation > 1`, id)
}

// wantWait waits until the domain's job is deferred, and checks the delay. It reads the domain and
// the job again while a run of the job changes them.
func (s *stack) wantWait(id string, want outcome) *client.Job {
	s.t.Helper()
	s.waitDomain(id, "waiting", func(d *client.Domain) bool {
		return conditionOf(d, client.ConditionTypeCertificateReady).Reason == want.waits
	})
	var c client.Condition
	var job *client.Job
	s.eventually("the job to wait for "+want.waits, func() error {
		before := s.latestJob(id, "start_issuance")
		d, err := s.api.Domain(s.t.Context(), id)
		if err != nil {
			return err
		}
		c, job = conditionOf(d, client.ConditionTypeCertificateReady), s.latestJob(id, "start_issuance")
		if c.Reason != want.waits || job.Status != client.JobStatusQueued ||
			!job.UpdatedAt.Equal(before.UpdatedAt) {
			return fmt.Errorf("the condition is %s, the job %s", toJSON(c), toJSON(job))
		}
		return nil
	})
	if job.Reason != want.waits || job.Attempts != 0 {
		s.t.Errorf("job = %s, want reason %s and no failures", toJSON(job), want.waits)
	}
	if c.Message == "" || c.Fix == nil || c.NextCheckAt == nil || !c.NextCheckAt.Equal(job.RunAt) {
		s.t.Errorf("condition = %s, want a message, a fix, and the next check at %s", toJSON(c),
			job.RunAt)
	}
	// Retry-After has whole seconds, and the response is a moment old.
	if wait := job.RunAt.Sub(job.UpdatedAt); wait < want.wait-2*time.Second || wait > want.wait*3/2+
		time.Second {
		s.t.Errorf("delay of the job = %s, want about %s", wait, want.wait)
	}
	return job
}

// wantProblem checks that the timeline contains the CA's problem document unchanged.
func (s *stack) wantProblem(id, document string) {
	s.t.Helper()
	failed := s.timeline(id, controlplane.ActionOrderFailed)
	if len(failed) == 0 || !reflect.DeepEqual(failed[0]["acme"], any(parsed(s.t, document))) {
		s.t.Errorf("failed orders in the timeline = %s, want the problem %s", toJSON(failed),
			document)
	}
}

// parsed returns the JSON object in the document.
func parsed(t *testing.T, document string) map[string]any {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal([]byte(document), &object); err != nil {
		t.Fatal(err)
	}
	return object
}

// wantOrders checks the number of orders and requests at the CA.
func (s *stack) wantOrders(u *unruly, d *client.Domain, m misbehavior) {
	s.t.Helper()
	name, repeated := d.Name, s.repeatedRuns(d.Id)
	if n := s.Primary.OrdersFor(name); n > max(m.orders, 1)+repeated {
		s.t.Errorf("orders for %s at the CA = %d, want at most %d", name, n, max(m.orders, 1))
	}
	for asked, most := range m.asked {
		if n := u.requests(name, asked); n > most+repeated {
			s.t.Errorf("requests for %s at the CA = %d, want at most %d", asked, n, most)
		}
	}
	for asked, most := range map[request]int{forAuthz: 40, forOrder: 40, forCertificate: 12} {
		if n := u.requests(name, asked); n > most {
			s.t.Errorf("requests for %s at the CA = %d, want at most %d", asked, n, most)
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

// timeline returns the data of the events of an action in the domain's timeline, newest first.
func (s *stack) timeline(id, action string) []map[string]any {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet,
		s.Env()["DCVAAS_ENDPOINT"]+"/api/domains/"+id+"/timeline?limit=200", nil)
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
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil ||
		resp.StatusCode != http.StatusOK {
		s.t.Fatalf("GET timeline of %s = %s, %v, want 200", id, resp.Status, err)
	}
	var found []map[string]any
	for _, e := range list.Data {
		if e.Type == action {
			found = append(found, e.Data)
		}
	}
	return found
}
