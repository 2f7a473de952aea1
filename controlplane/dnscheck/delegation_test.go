package dnscheck_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/dnscheck"
)

// targetZone is the validation zone. The target exists and has no records.
var targetZone = view{apex: "acme.dcvaas-verify.com.", negTTL: 5,
	records: []string{"_." + target + `. 0 IN TXT "x"`}}

func playground(t *testing.T) *devstack.Playground {
	t.Helper()
	p, err := devstack.StartPlayground(context.Background(),
		devstack.PlaygroundConfig{Zone: "acme.dcvaas-verify.com"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Stop(context.Background()) })
	return p
}

func TestDelegationInPlayground(t *testing.T) {
	t.Parallel()
	p := playground(t)
	p.SetZoneDNS(serveDNS(t, targetZone))
	d := dnscheck.New(
		dnscheck.Config{Resolvers: []dnscheck.Resolver{{Name: "playground", URL: p.DoHURL()}},
			Authority: p.DNSAddr(), AskAuthority: true, Timeout: 30 * time.Second})
	check := func(domain, code string) {
		t.Helper()
		got := delegation(t, d, domain)
		if got.Code != code {
			t.Errorf("Delegation(%s) = %s, want %s (observed: %s)", domain, got.Code, code,
				got.Observed)
		}
	}
	set := func(name, typ, value string) {
		t.Helper()
		if err := p.Set(name, typ, []string{value}, 60); err != nil {
			t.Fatal(err)
		}
	}
	check("example.com", controlplane.CauseCNAMEMissing)
	set("_acme-challenge.example.com.example.com", "CNAME", target)
	check("example.com", controlplane.CauseCNAMEDoubledLabel)
	set("_acme-challenge.example.com", "TXT", "old")
	check("example.com", controlplane.CauseCNAMEDoubledLabel)
	if _, err := p.Remove("_acme-challenge.example.com.example.com", ""); err != nil {
		t.Fatal(err)
	}
	check("example.com", controlplane.CauseTXTConflict)
	if _, err := p.Remove("_acme-challenge.example.com", "TXT"); err != nil {
		t.Fatal(err)
	}
	set("_acme-challenge.example.com", "CNAME", "else.example.net")
	check("example.com", controlplane.CauseCNAMEMismatch)
	set("else.example.net", "CNAME", "_acme-challenge.example.com")
	check("example.com", controlplane.CauseCNAMEChainLoop)
	set("else.example.net", "CNAME", target)
	check("example.com", controlplane.CauseOK)
	set("_acme-challenge.example.com", "CNAME", target)
	check("example.com", controlplane.CauseOK)
	p.SetZoneDNS(serveDNS(t, view{}))
	check("example.com", controlplane.CauseTargetNotServed)
	p.SetZoneDNS(serveDNS(t, view{rcode: dns.RcodeRefused}))
	check("example.com", controlplane.CauseTargetNotServed)
	p.SetZoneDNS("")
	check("example.com", controlplane.CauseTargetNotServed)
	p.SetZoneDNS(serveDNS(t, targetZone.with(target+`. 0 IN TXT "pending"`)))
	check("example.com", controlplane.CauseOK)
	check("shop.invalid", controlplane.CauseZoneNotFound)
	if got := delegation(t, d, "new.co.uk"); got.DNSHost != "the playground DNS" ||
		got.Zone != "new.co.uk" {
		t.Errorf("Delegation: DNSHost = %q, Zone = %q; want the playground DNS, new.co.uk",
			got.DNSHost, got.Zone)
	}
}

func TestDelegationEnds(t *testing.T) {
	t.Parallel()
	d := doctor([]view{{silent: true}}, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := d.Delegation(ctx, "example.com", target); !errors.Is(err,
		context.DeadlineExceeded) {
		t.Errorf("Delegation error = %v, want the context's error", err)
	}
	if _, err := d.Delegation(t.Context(), "", target); err == nil {
		t.Error("Delegation of an empty domain = nil error, want an error")
	}
}

func TestPrivateNameServersAreNotAsked(t *testing.T) {
	t.Parallel()
	v := view{apex: "example.com.", records: []string{"example.com. 60 IN NS ns.example.com.",
		"ns.example.com. 60 IN A 127.0.0.1", "_acme-challenge.example.com. 60 IN CNAME " + target +
			"."}}
	got := delegation(t, publicDoctor(t, v), "example.com")
	if !got.OK() {
		t.Errorf("Delegation = %s, want ok (observed: %s)", got.Code, got.Observed)
	}
	found := false
	for _, o := range got.Evidence {
		found = found || strings.Contains(o.Error, "not public")
	}
	if !found {
		t.Errorf("Evidence = %+v, want an address that is not public", got.Evidence)
	}
}
