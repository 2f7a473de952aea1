package dnscheck_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/dnscheck"
)

func TestCAA(t *testing.T) {
	t.Parallel()
	v := zone.with("shop.example.com. 60 IN CNAME www.example.com.",
		`www.example.com. 60 IN CAA 0 issue "digicert.com"`,
		`www.example.com. 60 IN CAA 0 issuewild "sectigo.com"`)
	found, err := doctor(two(v), two(v)).CAA(t.Context(), "shop.example.com", true, bothCAs)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 2 {
		t.Fatalf("CAA = %d findings, want 2", len(found))
	}
	first, second := found[0], found[1]
	if first.CA != "letsencrypt" || first.Allowed || first.Code != controlplane.CauseCAAForbids ||
		first.FoundAt != "shop.example.com" || first.Alias != "www.example.com" ||
		!slices.Equal(first.Records, []string{`0 issue "digicert.com"`,
			`0 issuewild "sectigo.com"`}) ||
		!slices.Equal(first.Add, []string{`www.example.com. CAA 0 issue "letsencrypt.org"`,
			`www.example.com. CAA 0 issuewild "letsencrypt.org"`}) {
		t.Errorf("CAA finding = %+v, want caa-forbids by the alias", first)
	}
	if second.CA != "zerossl" || second.Allowed ||
		!slices.Equal(second.Add, []string{`www.example.com. CAA 0 issue "sectigo.com"`}) ||
		second.Identities[0] != "sectigo.com" {
		t.Errorf("CAA finding = %+v, want caa-forbids with the proposed record", second)
	}
}

func TestCAAEnds(t *testing.T) {
	t.Parallel()
	d := doctor([]view{{silent: true}}, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := d.CAA(ctx, "example.com", false, bothCAs); !errors.Is(err,
		context.DeadlineExceeded) {
		t.Errorf("CAA error = %v, want the context's error", err)
	}
	if _, err := d.Examine(ctx, "example.com", target, false, bothCAs); !errors.Is(err,
		context.DeadlineExceeded) {
		t.Errorf("Examine error = %v, want the context's error", err)
	}
	if _, err := d.CAA(t.Context(), "", false, bothCAs); err == nil {
		t.Error("CAA of an empty domain = nil error, want an error")
	}
	if _, err := d.Examine(t.Context(), "example.com", "a..b", false, bothCAs); err == nil {
		t.Error("Examine with an invalid target = nil error, want an error")
	}
	if found, err := doctor(two(zone), nil).CAA(t.Context(), "example.com", false,
		nil); err != nil || len(found) != 0 {
		t.Errorf("CAA without CAs = %v, %v; want no findings", found, err)
	}
}

// TestUnreachableResolvers checks that local network problems are not reported as the customer's.
func TestUnreachableResolvers(t *testing.T) {
	t.Parallel()
	for what, v := range map[string]view{"HTTP 503": {status: 503}, "silent": {silent: true},
		"refused": {rcode: dns.RcodeRefused}} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			found, err := doctor(two(v), nil).CAA(t.Context(), "example.com", false, bothCAs)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range found {
				if f.Allowed || f.Code != controlplane.CauseResolverUnreachable {
					t.Errorf("CAA finding = %+v, want resolver-unreachable", f)
				}
			}
		})
	}
}

// TestExamineAsDelegation checks that Examine and Delegation return the same diagnosis of the
// delegation.
func TestExamineAsDelegation(t *testing.T) {
	t.Parallel()
	for _, v := range []view{zone, zone.with(fineAt),
		zone.with(`_acme-challenge.example.com. 60 IN TXT "old"`)} {
		d := doctor(two(v), two(v))
		alone := delegation(t, d, "example.com")
		e, err := d.Examine(t.Context(), "example.com", target, false, nil)
		if err != nil {
			t.Fatal(err)
		}
		if e.OK() != alone.OK() || e.Delegation.Code != alone.Code ||
			e.Delegation.Fix != alone.Fix || e.Cause().Code != alone.Code || e.Transient() {
			t.Errorf("Examine: Delegation = %+v, want that of Delegation: %+v", e.Delegation, alone)
		}
	}
}

func TestExamineInPlayground(t *testing.T) {
	t.Parallel()
	p := playground(t)
	p.SetZoneDNS(serveDNS(t, targetZone))
	d := dnscheck.New(
		dnscheck.Config{Resolvers: []dnscheck.Resolver{{Name: "playground", URL: p.DoHURL()}},
			Authority: p.DNSAddr(), AskAuthority: true, Timeout: 30 * time.Second})
	check := func(code string, allowed ...string) {
		t.Helper()
		e, err := d.Examine(t.Context(), "shop.example.com", target, true, bothCAs)
		if err != nil {
			t.Fatal(err)
		}
		if got := e.Cause(); got.Code != code || !slices.Equal(e.Allowed(), allowed) {
			t.Errorf("Examine = %s, allowed %v; want %s, %v (observed: %s)", got.Code, e.Allowed(),
				code, allowed, got.Observed)
		}
	}
	set := func(name, typ string, values ...string) {
		t.Helper()
		if err := p.Set(name, typ, values, 60); err != nil {
			t.Fatal(err)
		}
	}
	check(controlplane.CauseCNAMEMissing, "letsencrypt", "zerossl")
	set("_acme-challenge.shop.example.com", "CNAME", target)
	check(controlplane.CauseOK, "letsencrypt", "zerossl")
	set("example.com", "CAA", `0 issue "letsencrypt.org"`)
	check(controlplane.CauseOK, "letsencrypt")
	set("example.com", "CAA", `0 issue "letsencrypt.org"`, `0 issuewild ";"`)
	check(controlplane.CauseCAAForbids)
	set("shop.example.com", "CAA", `0 issue "zerossl.com"`)
	check(controlplane.CauseOK, "zerossl")
}

func TestIdentities(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"https://acme-v02.api.letsencrypt.org/directory":         "letsencrypt.org",
		"https://acme-staging-v02.api.letsencrypt.org/directory": "letsencrypt.org",
		"https://acme.zerossl.com/v2/DV90":                       "sectigo.com",
		"https://acme.sectigo.com/v2/DV":                         "sectigo.com",
		"https://dv.acme-v02.api.pki.goog/directory":             "pki.goog",
		"https://dv.acme-v02.test-api.pki.goog/directory":        "pki.goog",
		"https://api.buypass.com/acme/directory":                 "buypass.com",
		"https://acme.ssl.com/sslcom-dv-ecc":                     "ssl.com",
		"https://ACME.DigiCert.com:443/v2/acme/directory":        "digicert.com",
		"https://evilssl.com/directory":                          "",
		"https://letsencrypt.org.example/directory":              "",
		"https://127.0.0.1:14000/dir":                            "",
		"::":                                                     "",
	}
	for directory, want := range tests {
		got := ""
		if ids := dnscheck.Identities(directory); len(ids) > 0 {
			got = ids[0]
		}
		if got != want {
			t.Errorf("Identities(%s) = %q, want %q", directory, got, want)
		}
	}
}
