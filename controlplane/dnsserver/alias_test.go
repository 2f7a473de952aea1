package dnsserver

import (
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// A target answers at its alias as at its label.
func TestAlias(t *testing.T) {
	t.Parallel()
	c := testConfig(newSource(row{label(1), []Challenge{challenge(1, "value")}}))
	c.Aliases = map[string]string{"_probe": label(1)}
	s := startReady(t, c)
	for _, name := range []string{label(1), "_probe", "_PrObE"} {
		expect(t, "TXT at "+name, askTXT(t, s, name), "NOERROR value")
	}
	q := query("_pRobe."+testZone, dns.TypeTXT)
	if r := exchange(t, "tcp", s.Addr(), q); len(r.Answer) != 1 ||
		r.Answer[0].Header().Name != q.Question[0].Name {
		t.Errorf("answer over TCP = %v, want one in the case of the query", r)
	}
	expect(t, "A at the alias", brief(ask(t, s, "_probe."+testZone, dns.TypeA)), "NOERROR")
	expect(t, "TXT below the alias", brief(ask(t, s, "x._probe."+testZone, dns.TypeTXT)), "NXDOMAIN")
	expect(t, "TXT at another name", askTXT(t, s, "_prober"), "NXDOMAIN")

	c.Aliases = map[string]string{"_probe": "short"}
	if _, err := New(c); err == nil || !strings.Contains(err.Error(), "_probe") {
		t.Errorf("New with an invalid alias = %v, want an error that names it", err)
	}
}
