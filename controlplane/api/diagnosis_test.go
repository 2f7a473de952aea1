package api

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

func TestDiagnosis(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.newDomain(w.org, "diagnosis.example.com")

	a := w.do("GET", "/api/domains/"+d.ID+"/diagnosis", nil).is(200)
	before := w.rows(w.org) // with the token's last use
	if a.json["dnssec"] != "insecure" || len(a.json["causes"].([]any)) != 0 ||
		len(a.json["warnings"].([]any)) != 0 || len(a.json["caa"].([]any)) != 0 {
		t.Errorf("all is well: %s", a.body)
	}
	if got := a.json["delegation"].(map[string]any); got["code"] != "ok" || got["until"] != nil ||
		got["zone"] != nil || len(got["evidence"].([]any)) != 0 {
		t.Errorf("delegation %v", got)
	}

	until := time.Date(2030, 1, 2, 4, 4, 5, 0, time.FixedZone("", 3600))
	w.doctor.does(func(_ context.Context, domain, target string, wildcard bool,
		cas []controlplane.CAIdentity) (controlplane.Examination, error) {
		if domain != d.Name || target != w.service.DelegationOf(d).Target || wildcard ||
			len(cas) != 2 || cas[1].Name != "second" {
			t.Errorf("examined %s, %s, %v, %v", domain, target, wildcard, cas)
		}
		found := controlplane.Diagnosis{Code: controlplane.CauseNegativeCached,
			Summary: "s", Observed: "o", Expected: "e", Fix: "f", Zone: "example.com",
			DNSHost: "Cloudflare",
			Until:   until, CheckedAt: until,
			Evidence: []controlplane.Observation{{Source: "Cloudflare", Name: "n", Type: "CNAME",
				RCode: "NXDOMAIN"}, {Source: "ns1", Name: "n", Type: "CAA", Error: "timeout"}}}
		return controlplane.Examination{Delegation: found, DNSSEC: controlplane.DNSSECSecure,
			Causes:   []controlplane.Diagnosis{found},
			Warnings: []controlplane.Diagnosis{{Code: controlplane.CauseCAAForbids}},
			CAA: []controlplane.CAAFinding{{CA: "first", Allowed: true, Code: controlplane.CauseOK},
				{CA: "second", Code: controlplane.CauseCAAForbids,
					Identities: []string{"second.test"},
					FoundAt:    "example.com", Alias: "caa.test",
					Records: []string{`0 issue "first.test"`}, Add: []string{"x"}, Fix: "y"}}}, nil
	})
	a = w.do("GET", "/api/domains/DIAGNOSIS.example.com/diagnosis", nil).is(200)
	got := a.json["delegation"].(map[string]any)
	for field, want := range map[string]any{"code": "negative-cached", "summary": "s",
		"observed": "o", "expected": "e", "fix": "f", "zone": "example.com",
		"dns_host": "Cloudflare", "until": "2030-01-02T03:04:05Z",
		"checked_at": "2030-01-02T03:04:05Z"} {
		if got[field] != want {
			t.Errorf("%s is %v, want %v", field, got[field], want)
		}
	}
	evidence := got["evidence"].([]any)
	if one, two := evidence[0].(map[string]any),
		evidence[1].(map[string]any); one["rcode"] != "NXDOMAIN" || one["error"] != nil ||
		two["error"] != "timeout" {
		t.Errorf("evidence %v", evidence)
	}
	if caa := a.json["caa"].([]any)[1].(map[string]any); caa["code"] != "caa-forbids" ||
		caa["alias"] != "caa.test" || caa["add"].([]any)[0] != "x" ||
		caa["found_at"] != "example.com" {
		t.Errorf("caa %v", caa)
	}
	if a.json["causes"].([]any)[0].(map[string]any)["code"] != "negative-cached" ||
		a.json["warnings"].([]any)[0].(map[string]any)["code"] != "caa-forbids" {
		t.Errorf("causes and warnings of %s, want negative-cached and caa-forbids", a.body)
	}
	if w.rows(w.org) != before {
		t.Error("a look has changed a row")
	}

	w.doctor.does(func(context.Context, string, string, bool,
		[]controlplane.CAIdentity) (controlplane.Examination, error) {
		return controlplane.Examination{}, errors.New("dnscheck: secret")
	})
	if a := w.do("GET", "/api/domains/"+d.ID+"/diagnosis", nil).problem(500,
		"internal"); strings.Contains(a.body, "secret") {
		t.Errorf("sent: %s", a.body)
	}
}

// The diagnosis of several names says which of them fails and why, also if it is only that no CA
// may issue for all of them. The evidence is that of names that fail.
func TestDiagnosisOfSeveralNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do("POST", "/api/domains", map[string]any{"name": "several.test",
		"additional_names": []string{"*.other.test", "www.several.test", "a.test"}}).is(201)
	w.doctor.does(func(_ context.Context, domain, _ string, _ bool,
		_ []controlplane.CAIdentity) (controlplane.Examination, error) {
		found := controlplane.Diagnosis{Code: controlplane.CauseOK,
			Evidence: []controlplane.Observation{{Source: "r", Name: domain, Type: "TXT"}}}
		e := controlplane.Examination{DNSSEC: controlplane.DNSSECInsecure,
			CAA: []controlplane.CAAFinding{{CA: "first", Allowed: true, Code: controlplane.CauseOK}}}
		switch domain {
		case "www.several.test":
			found.Code, found.Fix = controlplane.CauseCNAMEMissing, "Create it."
			e.Causes = []controlplane.Diagnosis{found}
		case "other.test":
			e.CAA[0] = controlplane.CAAFinding{CA: "first", Code: controlplane.CauseCAAForbids}
			e.CAA = append(e.CAA, controlplane.CAAFinding{CA: "second", Allowed: true})
		}
		e.Delegation = found
		return e, nil
	})
	a := w.do("GET", "/api/domains/several.test/diagnosis", nil).is(200)
	var got []string
	for _, one := range a.json["names"].([]any) {
		n := one.(map[string]any)
		line := fmt.Sprint(n["name"], " ", n["ready"])
		for _, c := range n["causes"].([]any) {
			cause := c.(map[string]any)
			line += fmt.Sprint(" ", cause["code"], len(cause["evidence"].([]any)))
		}
		evidence := n["delegation"].(map[string]any)["evidence"].([]any)
		got = append(got, fmt.Sprint(line, " ", len(evidence)))
	}
	want := []string{"several.test true 0", "a.test true 0",
		"other.test false caa-forbids0 1", "www.several.test false cname-missing0 1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("names of the diagnosis (-want +got):\n%s", diff)
	}
	if causes := a.json["causes"].([]any); len(causes) != 2 {
		t.Errorf("causes of the certificate = %v, want two", causes)
	}
}

// A diagnosis that waits for DNS times out, and an organization has only a few in progress.
func TestDiagnosisIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.newDomain(w.org, "slow.example.com")
	path := "/api/domains/" + d.ID + "/diagnosis"
	slow := func(ctx context.Context, _, _ string, _ bool,
		_ []controlplane.CAIdentity) (controlplane.Examination, error) {
		<-ctx.Done()
		return controlplane.Examination{}, ctx.Err()
	}
	w.doctor.does(slow)
	limit := w.api.diagnoses.Timeout
	w.api.diagnoses.Timeout = 20 * time.Millisecond
	if a := w.do("GET", path, nil).problem(503,
		"diagnosis-timeout"); a.header.Get("Retry-After") == "" {
		t.Errorf("headers of diagnosis-timeout = %v, want Retry-After", a.header)
	}

	w.api.diagnoses.Timeout = limit
	began, release := make(chan struct{}), make(chan struct{})
	w.doctor.does(func(context.Context, string, string, bool,
		[]controlplane.CAIdentity) (controlplane.Examination, error) {
		began <- struct{}{}
		<-release
		return controlplane.Examination{
			Delegation: controlplane.Diagnosis{Code: controlplane.CauseOK},
			DNSSEC:     controlplane.DNSSECUnknown}, nil
	})
	ended := make(chan int)
	for range edge.DiagnosesOfOne {
		go func() { ended <- w.do("GET", path, nil).status }()
		<-began
	}
	if a := w.do("GET", path, nil).problem(429,
		"diagnosis-busy"); a.header.Get("Retry-After") != "2" || a.json["retry_at"] == nil {
		t.Errorf("diagnosis-busy = %v %s, want Retry-After 2 and retry_at", a.header, a.body)
	}
	w.do("GET", "/api/domains/"+d.ID, nil).is(200) // nothing else is held up
	theirs := w.newOrg("Other")
	e := w.newDomain(theirs, "other.example.com")
	other := as(w.newToken(theirs, lifecycle.NewToken{Scopes: controlplane.Scopes()}))
	go func() { ended <- w.do("GET", "/api/domains/"+e.ID+"/diagnosis", nil, other).status }()
	<-began
	close(release)
	for range edge.DiagnosesOfOne + 1 {
		if status := <-ended; status != 200 {
			t.Errorf("status %d", status)
		}
	}
	w.doctor.does(nil)
	w.do("GET", path, nil).is(200)
	for n := range edge.DiagnosesAtOnce { // every slot was released
		if _, ok := w.api.diagnoses.Gate.Enter(string(rune('a' + n))); !ok {
			t.Fatalf("Enter failed after %d diagnoses, want %d", n, edge.DiagnosesAtOnce)
		}
	}
	w.do("GET", path, nil).problem(429, "diagnosis-busy")
}
