package lifecycle_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

func TestAddDomain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.add("Bücher.Example.")
	if d.Name != "xn--bcher-kva.example" || d.KeyType != controlplane.KeyEC256 || d.Version != 1 {
		t.Errorf("%+v", d)
	}
	wantStatus(t, d, controlplane.DomainPendingCNAME, "cname-unchecked")
	record, err := w.Delegation(w.org, "BÜCHER.example")
	must(t, err)
	if want := w.DelegationOf(d); record != want || record.Name != "_acme-challenge.xn--bcher-kva.example" || !strings.HasSuffix(record.Target, "."+zone) || len(record.Target) != 32+1+len(zone) {
		t.Errorf("%+v, want %+v", record, want)
	}
	c := wantCondition(t, d, controlplane.DNSReady, "unknown", "cname-unchecked")
	if !strings.Contains(c.Fix, record.Name+" CNAME "+record.Target) || c.NextCheckAt == nil || !c.NextCheckAt.Equal(start) {
		t.Errorf("%+v", c)
	}
	wantCondition(t, d, controlplane.CertificateReady, "false", "not-issued")
	j := w.job(d, controlplane.JobDNSCheck)
	if j.Queue != controlplane.QueueCritical || !j.RunAt.Equal(start) || j.RequestID != "req-1" {
		t.Errorf("%+v", j)
	}
	if e := w.last(d.ID); e.Action != controlplane.ActionDomainCreated || e.Actor != alice || e.After["name"] != d.Name || !e.CreatedAt.Equal(start) {
		t.Errorf("%+v", e)
	}
	if got := w.domain(d); got.Name != d.Name || got.Target != d.Target || toJSON(got.Conditions) != toJSON(d.Conditions) || !got.CheckSince.Equal(start) {
		t.Errorf("stored\n%s\nreturned\n%s", toJSON(got), toJSON(d))
	}
}

func TestAddDomainNamesEveryWrongField(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	labels := map[string]string{"bad key": "x", "a/b~": "y", "long": strings.Repeat("v", 256), "good": "v"}
	_, err := w.AddDomain(t.Context(), alice, w.org, lifecycle.NewDomain{Name: "*.example.com", Options: controlplane.Options{KeyType: "dsa", Profile: "No Profile", CA: "nobody", Labels: labels, CSRPEM: "x"}})
	e := wantError(t, "all wrong", err, controlplane.KindInvalid, "invalid-fields")
	want := []string{"/name name-wildcard", "/key_type key-type-unknown", "/profile profile-invalid", "/ca ca-unknown",
		"/labels/a~1b~0 label-key-invalid", "/labels/bad key label-key-invalid", "/labels/long label-value-too-long"}
	if !slices.Equal(pointers(e), want) {
		t.Errorf("%q, want %q", pointers(e), want)
	}
	if n := value[int](w, `SELECT (SELECT count(*) FROM domains) + (SELECT sum(domain_count) FROM organizations)`); n != 0 {
		t.Error("something was stored")
	}
	_, err = w.AddDomain(t.Context(), alice, w.org, lifecycle.NewDomain{Name: "example.com", Options: controlplane.Options{CSRPEM: "no PEM"}})
	if e := wantError(t, "a bad request", err, controlplane.KindInvalid, "csr-malformed"); !slices.Equal(pointers(e), []string{"/csr_pem csr-malformed"}) || !strings.Contains(e.Fix, "BEGIN CERTIFICATE REQUEST") {
		t.Errorf("%+v", e)
	}
	many := map[string]string{}
	for i := range 65 {
		many[fmt.Sprint("k", i)] = ""
	}
	_, err = w.AddDomain(t.Context(), alice, w.org, lifecycle.NewDomain{Name: "example.com", Options: controlplane.Options{Labels: many}})
	wantError(t, "65 labels", err, controlplane.KindInvalid, "labels-too-many")
}

func TestAddDomainTwiceAndBeyondThePlan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.org = w.organization(1)
	d := w.add("example.com")
	_, err := w.AddDomain(t.Context(), alice, w.org, lifecycle.NewDomain{Name: "www.example.com"})
	if e := wantError(t, "beyond the plan", err, controlplane.KindForbidden, "plan-limit"); !strings.Contains(e.Message, "1 domains, and 1 are in use") {
		t.Errorf("%s", e.Message)
	}
	w.exec(`UPDATE organizations SET domain_limit = 5`)
	_, err = w.AddDomain(t.Context(), alice, w.org, lifecycle.NewDomain{Name: "EXAMPLE.com."})
	if e := wantError(t, "twice", err, controlplane.KindConflict, "domain-exists"); e.ExistingID != d.ID {
		t.Errorf("%+v", e)
	}
	_, err = w.AddDomain(t.Context(), alice, "org_none", lifecycle.NewDomain{Name: "example.com"})
	wantError(t, "no such organization", err, controlplane.KindNotFound, "not-found")
}

// A CNAME goes on working after its domain was deleted and added again, and no other
// organization ever gets its target.
func TestTargetOutlivesDeletion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.add("example.com")
	must(t, w.DeleteDomain(t.Context(), alice, w.org, first.ID, 0))
	if again := w.add("example.com"); again.Target != first.Target || again.ID == first.ID {
		t.Errorf("%s, was %s", again.Target, first.Target)
	}
	if other, err := w.Delegation(w.organization(1), "example.com"); err != nil || strings.HasPrefix(other.Target, first.Target) {
		t.Errorf("%+v, %v", other, err)
	}
	_, err := w.Delegation(w.org, "com")
	wantError(t, "a public suffix", err, controlplane.KindInvalid, "name-public-suffix")
}

func TestCreateOrganization(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for what, in := range map[string]struct {
		in   lifecycle.NewOrganization
		code string
	}{
		"no name":      {lifecycle.NewOrganization{Name: " ", Tier: controlplane.TierFree}, "name-invalid"},
		"too long":     {lifecycle.NewOrganization{Name: strings.Repeat("ü", 201), Tier: controlplane.TierFree}, "name-invalid"},
		"unknown tier": {lifecycle.NewOrganization{Name: "x", Tier: "gold"}, "tier-unknown"},
	} {
		_, err := w.CreateOrganization(t.Context(), alice, in.in)
		wantError(t, what, err, controlplane.KindInvalid, in.code)
	}
	o, err := w.CreateOrganization(t.Context(), alice, lifecycle.NewOrganization{Name: " " + strings.Repeat("ü", 200), Tier: controlplane.TierFree})
	must(t, err)
	w.org = o.ID
	if e := w.last(o.ID); e.Action != controlplane.ActionOrgCreated || e.After["tier"] != "free" {
		t.Errorf("%+v", e)
	}
}

func TestNewNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for what, c := range map[string]lifecycle.Config{
		"Store":     {Zone: zone, TargetKey: make([]byte, 16)},
		"Zone":      {Store: w.Store, TargetKey: make([]byte, 16)},
		"TargetKey": {Store: w.Store, Zone: zone, TargetKey: make([]byte, 15)},
	} {
		if _, err := lifecycle.New(c); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
