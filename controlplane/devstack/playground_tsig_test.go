package devstack_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/dnsprovider"
)

// A DNS connection creates, finds, and removes records in the playground, which rejects other keys
// as name servers do.
func TestPlaygroundAsDNSHost(t *testing.T) {
	t.Parallel()
	p := startPlayground(t, devstack.PlaygroundConfig{})
	hosts, ctx := dnsprovider.New(dnsprovider.Config{Loopback: true}), t.Context()
	access := func(key, secret string, zones ...string) controlplane.HostAccess {
		raw, err := json.Marshal(controlplane.RFC2136Credentials{Server: p.DNSAddr(), KeyName: key,
			Algorithm: controlplane.HMACSHA256, KeySecret: secret, Zones: zones})
		if err != nil {
			t.Fatal(err)
		}
		return controlplane.HostAccess{Type: controlplane.ConnectionRFC2136, Credentials: raw}
	}
	key := strings.TrimSuffix(tsigName, ".")
	good := access(key, tsigSecret, "example.com")
	if err := hosts.Test(ctx, good); err != nil {
		t.Fatalf("Test() = %v, want nil", err)
	}
	for what, bad := range map[string]struct {
		controlplane.HostAccess
		want string
	}{
		"an unknown key": {access("other", tsigSecret, "example.com"), "does not know the key"},
		"another secret": {access(key, "c2VjcmV0LW9mLW90aGVycw==", "example.com"), "secret of the key"},
		"a name as zone": {access(key, tsigSecret, "www.example.com"), "does not serve the zone"},
	} {
		if err := hosts.Test(ctx, bad.HostAccess); err == nil ||
			!strings.Contains(err.Error(), bad.want) {
			t.Errorf("Test() with %s = %v, want an error with %q", what, err, bad.want)
		}
	}
	record := controlplane.HostRecord{Zone: "example.com", Name: "_acme-challenge.example.com",
		Value: "x." + playZone}
	if _, err := hosts.Create(ctx, good, record, nil); err != nil {
		t.Fatalf("Create() = %v, want nil", err)
	}
	want := controlplane.RecordSet{Name: record.Name, Type: "CNAME",
		Values: []string{record.Value + "."}}
	found, err := hosts.Records(ctx, good, "example.com", record.Name)
	if err != nil || !controlplane.SameRecords(found, []controlplane.RecordSet{want}) {
		t.Errorf("Records() = %v, %v, want the CNAME", found, err)
	}
	if _, err := hosts.Create(ctx, good, record, nil); !controlplane.IsHostError(err,
		controlplane.HostConflict) {
		t.Errorf("Create() again = %v, want %s", err, controlplane.HostConflict)
	}
	other := record
	other.Value = "y." + playZone
	if err := hosts.Remove(ctx, good, other); !controlplane.IsHostError(err,
		controlplane.HostChanged) {
		t.Errorf("Remove() of another record = %v, want %s", err, controlplane.HostChanged)
	}
	if err := hosts.Remove(ctx, good, record); err != nil {
		t.Errorf("Remove() = %v, want nil", err)
	}
	set(t, p, "_acme-challenge.b.example.com", "TXT", "x")
	found, err = hosts.Records(ctx, good, "example.com", "_acme-challenge.b.example.com")
	if err != nil || len(found) != 1 || !slices.Equal(found[0].Values, []string{`"x"`}) {
		t.Errorf("Records() = %v, %v, want the TXT", found, err)
	}
}
