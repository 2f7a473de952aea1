package lifecycle_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

func TestAddDomain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.add("Bücher.Example.")
	if d.Name != "xn--bcher-kva.example" || d.KeyType != controlplane.KeyEC256 || d.Version != 1 {
		t.Errorf("AddDomain(Bücher.Example.) = %+v, want xn--bcher-kva.example with key type ec256 at version 1", d)
	}
	wantStatus(t, d, controlplane.DomainPendingCNAME, "cname-unchecked")
	records, err := w.Delegations(w.org, []string{"BÜCHER.example"})
	must(t, err)
	record := records[0]
	if want := w.DelegationOf(d); record != want ||
		record.Name != "_acme-challenge.xn--bcher-kva.example" ||
		!strings.HasSuffix(record.Target, "."+zone) || len(record.Target) != 32+1+len(zone) {
		t.Errorf("Delegations(BÜCHER.example) = %+v, want %+v", record, want)
	}
	c := wantCondition(t, d, controlplane.DNSReady, "unknown", "cname-unchecked")
	if !strings.Contains(c.Fix, record.Name+" CNAME "+record.Target) || c.NextCheckAt == nil ||
		!c.NextCheckAt.Equal(start) {
		t.Errorf("DNSReady = %+v, want a fix with the record and a check due now", c)
	}
	wantCondition(t, d, controlplane.CertificateReady, "false", "not-issued")
	j := w.job(d, controlplane.JobDNSCheck)
	if j.Queue != controlplane.QueueCritical || !j.RunAt.Equal(start) || j.RequestID != "req-1" {
		t.Errorf("job = %+v, want a critical one of req-1, due now", j)
	}
	if e := w.last(d.ID); e.Action != controlplane.ActionDomainCreated || e.Actor != alice ||
		e.After["name"] != d.Name || !e.CreatedAt.Equal(start) {
		t.Errorf("last entry = %+v, want domain.created by alice", e)
	}
	if diff := cmp.Diff(d, w.domain(d), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("stored domain (-returned +stored):\n%s", diff)
	}
}

func TestAddDomainListsEveryInvalidField(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	labels := map[string]string{"bad key": "x", "a/b~": "y", "long": strings.Repeat("v", 256),
		"good": "v"}
	_, err := w.AddDomain(t.Context(), alice, w.org,
		lifecycle.NewDomain{Name: "*.example.com",
			Options: controlplane.Options{KeyType: "dsa", Profile: "No Profile",
				CA: "nobody", Labels: labels, CSRPEM: "x"}})
	e := wantError(t, "all fields invalid", err, controlplane.KindInvalid, "invalid-fields")
	want := []string{"/name name-wildcard", "/key_type not-one-of",
		"/profile profile-invalid", "/ca ca-unknown",
		"/labels/a~1b~0 label-key-invalid", "/labels/bad key label-key-invalid",
		"/labels/long too-long"}
	if !slices.Equal(pointers(e), want) {
		t.Errorf("AddDomain: invalid fields = %q, want %q", pointers(e), want)
	}
	if n := value[int](w,
		`SELECT (SELECT count(*) FROM domains) + (SELECT sum(domain_count) FROM organizations)`); n != 0 {
		t.Errorf("%d domains were stored, want 0", n)
	}
	_, err = w.AddDomain(t.Context(), alice, w.org,
		lifecycle.NewDomain{Name: "example.com", Options: controlplane.Options{CSRPEM: "no PEM"}})
	if e := wantError(t, "malformed CSR", err, controlplane.KindInvalid,
		"csr-malformed"); !slices.Equal(pointers(e), []string{"/csr_pem csr-malformed"}) ||
		!strings.Contains(e.Fix, "BEGIN CERTIFICATE REQUEST") {
		t.Errorf("AddDomain(CSR without PEM): error = %+v, want only /csr_pem, with a fix that names the PEM header", e)
	}
	many := map[string]string{}
	for i := range 65 {
		many[fmt.Sprint("k", i)] = ""
	}
	_, err = w.AddDomain(t.Context(), alice, w.org,
		lifecycle.NewDomain{Name: "example.com", Options: controlplane.Options{Labels: many}})
	wantError(t, "65 labels", err, controlplane.KindInvalid, "too-many")
}

func TestAddDomainRejectsDuplicatesAndMoreThanThePlan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.org = w.organization(1)
	d := w.add("example.com")
	_, err := w.AddDomain(t.Context(), alice, w.org, lifecycle.NewDomain{Name: "www.example.com"})
	if e := wantError(t, "beyond the plan", err, controlplane.KindForbidden,
		"plan-limit"); !strings.Contains(e.Message, "1 domains, and 1 are in use") {
		t.Errorf("AddDomain beyond the plan: message = %q, want the limit and the number in use",
			e.Message)
	}
	w.exec(`UPDATE organizations SET domain_limit = 5`)
	_, err = w.AddDomain(t.Context(), alice, w.org, lifecycle.NewDomain{Name: "EXAMPLE.com."})
	if e := wantError(t, "twice", err, controlplane.KindConflict,
		"domain-exists"); e.ExistingID != d.ID {
		t.Errorf("AddDomain(EXAMPLE.com.): existing ID = %q, want %q", e.ExistingID, d.ID)
	}
	_, err = w.AddDomain(t.Context(), alice, "org_none", lifecycle.NewDomain{Name: "example.com"})
	wantError(t, "unknown organization", err, controlplane.KindNotFound, "not-found")
}

// A CNAME still works after its domain was deleted and added again, and another organization never
// gets its target.
func TestTargetSurvivesDeletion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.add("example.com")
	must(t, w.DeleteDomain(t.Context(), alice, w.org, first.ID, 0))
	if again := w.add("example.com"); again.Target != first.Target || again.ID == first.ID {
		t.Errorf("target of the domain added again = %s, want %s", again.Target, first.Target)
	}
	if other, err := w.Delegations(w.organization(1), []string{"example.com"}); err != nil ||
		strings.HasPrefix(other[0].Target, first.Target) {
		t.Errorf("Delegations in another organization = %+v, %v, want a target other than %s",
			other, err, first.Target)
	}
	_, err := w.Delegations(w.org, []string{"com"})
	wantError(t, "public suffix", err, controlplane.KindInvalid, "name-public-suffix")
}

func TestCreateOrganization(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, in := range map[string]struct {
		in   lifecycle.NewOrganization
		code string
	}{
		"no name": {lifecycle.NewOrganization{Name: " ", Tier: controlplane.TierFree},
			"name-invalid"},
		"too long": {lifecycle.NewOrganization{Name: strings.Repeat("ü", 201),
			Tier: controlplane.TierFree}, "too-long"},
		"unknown tier": {lifecycle.NewOrganization{Name: "x", Tier: "gold"}, "tier-unknown"},
	} {
		_, err := w.CreateOrganization(t.Context(), alice, in.in)
		wantError(t, name, err, controlplane.KindInvalid, in.code)
	}
	o, err := w.CreateOrganization(t.Context(), alice,
		lifecycle.NewOrganization{Name: " " + strings.Repeat("ü", 199),
			Tier: controlplane.TierFree})
	must(t, err)
	w.org = o.ID
	if e := w.last(o.ID); e.Action != controlplane.ActionOrgCreated || e.After["tier"] != "free" {
		t.Errorf("last entry = %+v, want organization.created with the tier free", e)
	}
}

func TestNewNamesMissingConfig(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, c := range map[string]lifecycle.Config{
		"Store":     {Zone: zone, TargetKey: make([]byte, 16)},
		"Zone":      {Store: w.Store, TargetKey: make([]byte, 16)},
		"TargetKey": {Store: w.Store, Zone: zone, TargetKey: make([]byte, 15)},
	} {
		if _, err := lifecycle.New(c); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("New without %s: error = %v, want one that names it", name, err)
		}
	}
}
