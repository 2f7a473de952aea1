package dnscheck_test

import (
	"cmp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/dnscheck"
)

// situation is a state of the DNS with the expected examination.
type situation struct {
	what      string
	domain    string // example.com
	wildcard  bool
	cas       []dnscheck.CAIdentity // bothCAs
	resolvers []view
	servers   []view // not queried if empty

	code     string   // of the first cause
	contains []string // parts of its summary, observed, or fix
	until    time.Time
	dnssec   string   // not checked if empty
	allowed  []string // CAs; not checked if nil
	warns    string   // code of the first warning; empty without warnings
}

const (
	account = "https://acme.test/acct/1"
	// fineAt is the correct record at the challenge name of example.com.
	fineAt = "_acme-challenge.example.com. 300 IN CNAME " + target + "."
)

var bothCAs = []dnscheck.CAIdentity{
	{Name: "letsencrypt", Identities: []string{"letsencrypt.org"}, AccountURI: account},
	{Name: "zerossl", DirectoryURL: "https://acme.zerossl.com/v2/DV90"},
}

// zone is the DNS without the record: example.com at Cloudflare, with two name servers.
var zone = view{apex: "example.com.", negTTL: 60, records: []string{
	"example.com. 300 IN NS ada.ns.cloudflare.com.",
	"example.com. 300 IN NS bob.ns.cloudflare.com.",
	"ada.ns.cloudflare.com. 300 IN A 192.0.2.1", "bob.ns.cloudflare.com. 300 IN A 192.0.2.2",
	"www.example.com. 300 IN A 192.0.2.80",
}}

func two(v view) []view { return []view{v, v} }

// allSituations returns the situations of all tables, with the defaults of their fields.
func allSituations() []situation {
	all := slices.Concat(delegationSituations(), zoneSituations(), caaSituations(),
		txtSituations())
	for i, tt := range all {
		all[i].domain = cmp.Or(tt.domain, "example.com")
		if tt.cas == nil {
			all[i].cas = bothCAs
		}
	}
	return all
}

// TestSituations examines every situation with real DNS messages.
func TestSituations(t *testing.T) {
	t.Parallel()
	var met []string
	for _, tt := range allSituations() {
		met = append(met, tt.code)
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, tt.run)
		})
	}
	for _, code := range []string{
		controlplane.CauseOK, controlplane.CauseCNAMEMissing, controlplane.CauseCNAMEMismatch,
		controlplane.CauseCNAMEDoubledLabel,
		controlplane.CauseCNAMEProxied, controlplane.CauseCNAMEChainLoop,
		controlplane.CauseCNAMEChainTooLong, controlplane.CauseTXTConflict,
		controlplane.CauseZoneNotFound, controlplane.CauseNameserversDisagree,
		controlplane.CauseNameserverLame, controlplane.CauseNegativeCached,
		controlplane.CauseDNSSECBogus, controlplane.CauseResolverUnreachable,
		controlplane.CauseCAAForbids, controlplane.CauseCAALookupFailed,
		controlplane.CauseCNAMEMultiple, controlplane.CauseTXTOmitsCNAME,
		controlplane.CauseTXTLookupFailed, controlplane.CauseTargetNotServed,
		controlplane.CauseNameserverInconsistent, controlplane.CauseNameserverNoUDP,
		controlplane.CauseNameserverNoTCP,
	} {
		if !slices.Contains(met, code) {
			t.Errorf("no situation covers the code %s", code)
		}
	}
}

func (tt situation) run(t *testing.T) {
	e, err := doctor(tt.resolvers, tt.servers).Examine(t.Context(), tt.domain, target,
		tt.wildcard, tt.cas)
	if err != nil {
		t.Fatal(err)
	}
	got := e.Cause()
	if got.Code != tt.code || !got.Until.Equal(tt.until) ||
		e.OK() != (tt.code == controlplane.CauseOK) {
		t.Errorf("Cause() = %s until %s, want %s until %s", got.Code, got.Until, tt.code, tt.until)
	}
	text := strings.Join([]string{got.Summary, got.Observed, got.Fix}, "\n")
	for _, s := range tt.contains {
		if !strings.Contains(text, s) {
			t.Errorf("Cause() = %q, want it to contain %q", text, s)
		}
	}
	if tt.dnssec != "" && e.DNSSEC != tt.dnssec {
		t.Errorf("DNSSEC = %s, want %s", e.DNSSEC, tt.dnssec)
	}
	if tt.allowed != nil && !slices.Equal(e.Allowed(), tt.allowed) {
		t.Errorf("Allowed() = %v, want %v", e.Allowed(), tt.allowed)
	}
	warns := ""
	if len(e.Warnings) > 0 {
		warns = e.Warnings[0].Code
	}
	if warns != tt.warns {
		t.Errorf("first warning = %q, want %q", warns, tt.warns)
	}
	for _, d := range slices.Concat([]controlplane.Diagnosis{e.Delegation}, e.Causes, e.Warnings) {
		if d.Summary == "" || d.Observed == "" || d.Expected == "" || (d.Fix == "") != d.OK() ||
			len(d.Evidence) == 0 || !d.CheckedAt.Equal(noon) {
			t.Errorf("Diagnosis = %+v, want every field set", d)
		}
	}
	leads := func(o controlplane.Observation) bool { return slices.Contains(o.Path, target) }
	if e.Delegation.OK() && !slices.ContainsFunc(e.Delegation.Evidence, leads) {
		t.Errorf("Evidence = %+v, want a Path to %s", e.Delegation.Evidence, target)
	}
	for _, f := range e.CAA {
		if f.Summary == "" || (f.Fix == "") != f.Allowed ||
			f.Allowed != (f.Code == controlplane.CauseOK) ||
			(f.FoundAt == "") != (len(f.Records) == 0) {
			t.Errorf("CAAFinding = %+v, want consistent fields", f)
		}
	}
	if t.Failed() || testing.Verbose() {
		t.Logf("%s, DNSSEC %s, allowed %v\nsummary:  %s\nobserved: %s\nexpected: %s\nfix:      %s",
			got.Code, e.DNSSEC, e.Allowed(), got.Summary, got.Observed, got.Expected, got.Fix)
		for _, d := range e.Warnings {
			t.Logf("warning %s\nsummary:  %s\nfix:      %s", d.Code, d.Summary, d.Fix)
		}
	}
}
