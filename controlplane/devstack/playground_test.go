package devstack_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
)

const (
	playZone   = "acme.dcvaas-verify.test"
	tsigName   = "playground."
	tsigSecret = "c2VjcmV0LWZvci10ZXN0cw=="
)

func startPlayground(t *testing.T, cfg devstack.PlaygroundConfig) *devstack.Playground {
	t.Helper()
	cfg.Zone, cfg.TSIGName, cfg.TSIGSecret = playZone, tsigName, tsigSecret
	p, err := devstack.StartPlayground(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Stop(context.Background()) })
	return p
}

func set(t *testing.T, p *devstack.Playground, name, typ string, values ...string) {
	t.Helper()
	if err := p.Set(name, typ, values, 60); err != nil {
		t.Fatal(err)
	}
}

func ask(t *testing.T, network, addr, name string, qtype uint16) *dns.Msg {
	t.Helper()
	q := new(dns.Msg)
	q.SetQuestion(name, qtype)
	q.SetEdns0(1232, false)
	r, _, err := (&dns.Client{Net: network, Timeout: 5 * time.Second}).Exchange(q, addr)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// shown returns a response as one line per record, without TTLs.
func shown(r *dns.Msg) []string {
	var out []string
	for _, rr := range r.Answer {
		f := strings.Fields(rr.String())
		out = append(out, strings.Join(slices.Concat(f[:1], f[3:]), " "))
	}
	return out
}

// zoneServer starts a fake DNS server for the validation zone.
func zoneServer(t *testing.T, values map[string]string) string {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{})
	srv := &dns.Server{PacketConn: pc, NotifyStartedFunc: func() { close(started) },
		Handler: dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
			m := new(dns.Msg)
			m.SetReply(r)
			if v, ok := values[r.Question[0].Name]; ok && r.Question[0].Qtype == dns.TypeTXT {
				m.Answer = append(m.Answer,
					&dns.TXT{Hdr: dns.RR_Header{Name: r.Question[0].Name, Rrtype: dns.TypeTXT,
						Class: dns.ClassINET}, Txt: []string{v}})
			} else if !ok {
				m.Rcode = dns.RcodeNameError
			}
			_ = w.WriteMsg(m)
		})}
	go func() { _ = srv.ActivateAndServe() }()
	<-started
	t.Cleanup(func() { _ = srv.Shutdown() })
	return pc.LocalAddr().String()
}

func TestPlaygroundAnswers(t *testing.T) {
	t.Parallel()
	p := startPlayground(t, devstack.PlaygroundConfig{ZoneDNS: zoneServer(t,
		map[string]string{"hash." + playZone + ".": "proof"})})
	set(t, p, "_acme-challenge.example.com", "CNAME", "hash."+playZone)
	set(t, p, "_acme-challenge.two.example.com", "CNAME", "_acme-challenge.example.com")
	set(t, p, "loop-a.example.com", "CNAME", "loop-b.example.com")
	set(t, p, "loop-b.example.com", "CNAME", "loop-a.example.com")
	set(t, p, "gone.example.com", "CNAME", "nothing."+playZone)
	set(t, p, "text.example.org", "TXT", `back\slash and "quotes"`, strings.Repeat("x", 300))
	set(t, p, "*.wild.example.com", "A", "192.0.2.7")
	set(t, p, "deep.ent.example.com", "CAA", `0 issue "letsencrypt.org"`)
	set(t, p, "other.co.uk", "NS", "ada.ns.cloudflare.com", "bob.ns.cloudflare.com")

	tests := []struct {
		name  string
		qtype uint16
		rcode int
		want  []string
		soa   string // owner of the SOA in a negative answer
	}{
		{name: "_acme-challenge.example.com.", qtype: dns.TypeCNAME,
			want: []string{"_acme-challenge.example.com. CNAME hash." + playZone + "."}},
		{name: "_ACME-challenge.EXAMPLE.com.", qtype: dns.TypeTXT,
			want: []string{"_ACME-challenge.EXAMPLE.com. CNAME hash." + playZone + ".",
				"hash." + playZone + `. TXT "proof"`}},
		{name: "_acme-challenge.two.example.com.", qtype: dns.TypeTXT, want: []string{
			"_acme-challenge.two.example.com. CNAME _acme-challenge.example.com.",
			"_acme-challenge.example.com. CNAME hash." + playZone + ".", "hash." + playZone +
				`. TXT "proof"`}},
		{name: "hash." + playZone + ".", qtype: dns.TypeTXT,
			want: []string{"hash." + playZone + `. TXT "proof"`}},
		{name: "gone.example.com.", qtype: dns.TypeTXT, rcode: dns.RcodeNameError,
			want: []string{"gone.example.com. CNAME nothing." + playZone + "."}},
		{name: "loop-a.example.com.", qtype: dns.TypeTXT, rcode: dns.RcodeServerFailure,
			want: []string{"loop-a.example.com. CNAME loop-b.example.com.",
				"loop-b.example.com. CNAME loop-a.example.com."}},
		{name: "nothing.example.com.", qtype: dns.TypeCNAME, rcode: dns.RcodeNameError,
			soa: "example.com."},
		{name: "ent.example.com.", qtype: dns.TypeA, soa: "example.com."},
		{name: "two.example.com.", qtype: dns.TypeA, soa: "example.com."},
		{name: "never-seen.co.uk.", qtype: dns.TypeA, soa: "never-seen.co.uk."},
		{name: "any.wild.example.com.", qtype: dns.TypeA,
			want: []string{"any.wild.example.com. A 192.0.2.7"}},
		{name: "never-seen.co.uk.", qtype: dns.TypeNS,
			want: []string{"never-seen.co.uk. NS ns1.playground.test.",
				"never-seen.co.uk. NS ns2.playground.test."}},
		{name: "other.co.uk.", qtype: dns.TypeNS,
			want: []string{"other.co.uk. NS ada.ns.cloudflare.com.",
				"other.co.uk. NS bob.ns.cloudflare.com."}},
		{name: "ns1.playground.test.", qtype: dns.TypeA,
			want: []string{"ns1.playground.test. A 127.0.0.1"}},
		{name: "deep.ent.example.com.", qtype: dns.TypeCAA,
			want: []string{`deep.ent.example.com. CAA 0 issue "letsencrypt.org"`}},
		{name: "com.", qtype: dns.TypeCAA, soa: "."},
		{name: "shop.invalid.", qtype: dns.TypeNS, rcode: dns.RcodeNameError, soa: "."},
		{name: "text.example.org.", qtype: dns.TypeTXT,
			want: []string{`text.example.org. TXT "back\\slash and \"quotes\""`,
				`text.example.org. TXT "` + strings.Repeat("x", 255) + `" "` +
					strings.Repeat("x", 45) + `"`}},
	}
	for _, network := range []string{"udp", "tcp"} {
		for _, tt := range tests {
			t.Run(network+" "+tt.name+dns.TypeToString[tt.qtype], func(t *testing.T) {
				t.Parallel()
				r := ask(t, network, p.DNSAddr(), tt.name, tt.qtype)
				if r.Rcode != tt.rcode {
					t.Errorf("rcode = %s, want %s", dns.RcodeToString[r.Rcode],
						dns.RcodeToString[tt.rcode])
				}
				if got := shown(r); !slices.Equal(got, tt.want) {
					t.Errorf("answer = %q, want %q", got, tt.want)
				}
				if tt.soa != "" {
					if len(r.Ns) != 1 || r.Ns[0].Header().Name != tt.soa ||
						r.Ns[0].Header().Ttl != 1 {
						t.Errorf("authority = %v, want the SOA of %s with TTL 1", r.Ns, tt.soa)
					}
				}
				if len(r.Question) != 1 || r.Question[0].Name != tt.name {
					t.Errorf("question of the response = %v, want the query's", r.Question)
				}
			})
		}
	}
}

func TestPlaygroundZoneServer(t *testing.T) {
	t.Parallel()
	p := startPlayground(t, devstack.PlaygroundConfig{})
	if r := ask(t, "udp", p.DNSAddr(), "hash."+playZone+
		".", dns.TypeTXT); r.Rcode != dns.RcodeServerFailure {
		t.Errorf("rcode without a zone server = %s, want SERVFAIL", dns.RcodeToString[r.Rcode])
	}
	p.SetZoneDNS(zoneServer(t, map[string]string{"hash." + playZone + ".": "proof"}))
	if r := ask(t, "udp", p.DNSAddr(), "hash."+playZone+".", dns.TypeTXT); len(r.Answer) != 1 ||
		r.Authoritative {
		t.Errorf("response with a zone server = %v, want one non-authoritative record", r)
	}
}

func TestPlaygroundTruncates(t *testing.T) {
	t.Parallel()
	p := startPlayground(t, devstack.PlaygroundConfig{})
	var values []string
	for _, c := range "abcdefgh" {
		values = append(values, strings.Repeat(string(c), 250))
	}
	set(t, p, "big.example.com", "TXT", values...)
	if r := ask(t, "udp", p.DNSAddr(), "big.example.com.", dns.TypeTXT); !r.Truncated {
		t.Error("2 KB over UDP were not truncated")
	}
	if r := ask(t, "tcp", p.DNSAddr(), "big.example.com.", dns.TypeTXT); len(r.Answer) != len(
		values) {
		t.Errorf("records over TCP = %d, want %d", len(r.Answer), len(values))
	}
}

func TestPlaygroundRejects(t *testing.T) {
	t.Parallel()
	p := startPlayground(t, devstack.PlaygroundConfig{})
	set(t, p, "has-cname.example.com", "CNAME", "target.example.net")
	set(t, p, "has-txt.example.com", "TXT", "text")
	tests := []struct {
		what, body string
		status     int
		pointer    string
	}{
		{"not JSON", `name=x`, 400, ""},
		{"wrong type", `{"name":7}`, 400, "/name"},
		{"unknown field", `{"nane_x":"x"}`, 400, ""},
		{"no name", `{"type":"A","values":["192.0.2.1"]}`, 422, "/name"},
		{"space in name", `{"name":"a b.example.com","type":"A","values":["192.0.2.1"]}`, 422,
			"/name"},
		{"long label", `{"name":"` + strings.Repeat("a", 64) +
			`.example.com","type":"A","values":["192.0.2.1"]}`, 422, "/name"},
		{"validation zone", `{"name":"x.` + playZone + `","type":"TXT","values":["x"]}`, 422,
			"/name"},
		{"unknown type", `{"name":"x.example.com","type":"ALIAS","values":["x"]}`, 422, "/type"},
		{"SOA", `{"name":"example.com","type":"SOA","values":["x"]}`, 422, "/type"},
		{"no values", `{"name":"x.example.com","type":"A"}`, 422, "/values"},
		{"invalid address", `{"name":"x.example.com","type":"A","values":["192.0.2.1","::1"]}`, 422,
			"/values/1"},
		{"invalid CAA", `{"name":"x.example.com","type":"CAA","values":["letsencrypt.org"]}`, 422,
			"/values/0"},
		{"second line",
			`{"name":"x.example.com","type":"MX","values":["10 a.\n$INCLUDE /etc/passwd"]}`, 422,
			"/values/0"},
		{"two CNAMEs", `{"name":"x.example.com","type":"CNAME","values":["a.test","b.test"]}`, 422,
			"/values"},
		{"negative TTL", `{"name":"x.example.com","type":"A","values":["192.0.2.1"],"ttl":-1}`, 422,
			"/ttl"},
		{"TXT with CNAME", `{"name":"has-cname.example.com","type":"TXT","values":["x"]}`, 409,
			"/type"},
		{"CNAME with TXT", `{"name":"has-txt.example.com","type":"CNAME","values":["a.test"]}`, 409,
			"/type"},
		{"CNAME at an apex", `{"name":"example.com","type":"CNAME","values":["a.test"]}`, 409,
			"/type"},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			status, body := send(t, "PUT", p.URL()+"/records", "application/json", tt.body)
			if status != tt.status || (tt.pointer != "" &&
				!strings.Contains(body, `"pointer":"`+tt.pointer+`"`)) {
				t.Errorf("PUT %s = %d: %s, want %d with pointer %q", tt.body, status, body,
					tt.status, tt.pointer)
			}
		})
	}
}

func send(t *testing.T, method, u, contentType, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, u, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(raw)
}

func TestPlaygroundHTTP(t *testing.T) {
	t.Parallel()
	p := startPlayground(t, devstack.PlaygroundConfig{})
	status, body := send(t, "PUT", p.URL()+"/records", "application/json",
		`{"name":"WWW.Example.com.","type":"cname","values":["Host.Example.net."]}`)
	if status != 200 || !strings.Contains(body,
		`{"name":"www.example.com","type":"CNAME","values":["host.example.net"],"ttl":60,`) {
		t.Errorf("PUT /records = %d: %s, want the stored record set", status, body)
	}
	if _, body = send(t, "GET", p.URL()+"/records", "", ""); !strings.Contains(body,
		`"www.example.com"`) {
		t.Errorf("GET /records = %s, want www.example.com", body)
	}
	if _, body = send(t, "GET", p.URL()+"/", "", ""); !strings.Contains(body,
		"<code>www.example.com</code>") {
		t.Errorf("GET / = %s, want www.example.com", body)
	}
	form := url.Values{"name": {"a.example.com"}, "type": {"A"}, "ttl": {"60"},
		"values": {"192.0.2.1\r\n192.0.2.2"}}
	if status, _ = send(t, "POST", p.URL()+"/",
		"application/x-www-form-urlencoded", form.Encode()); status != 200 {
		t.Errorf("POST / = %d, want 200", status)
	}
	if r := ask(t, "udp", p.DNSAddr(), "a.example.com.", dns.TypeA); len(r.Answer) != 2 {
		t.Errorf("answer after POST / = %v, want 2 records", r.Answer)
	}
	form.Set("values", "not an address")
	if status, body = send(t, "POST", p.URL()+"/",
		"application/x-www-form-urlencoded", form.Encode()); status != 422 ||
		!strings.Contains(body, "not an address</textarea>") {
		t.Errorf("POST / with an invalid value = %d: %s, want 422 and the form", status, body)
	}
	if status, _ = send(t, "DELETE", p.URL()+"/records?name=a.example.com&type=A", "",
		""); status != 204 {
		t.Errorf("DELETE /records = %d, want 204", status)
	}
	form = url.Values{"name": {"www.example.com"}, "type": {"CNAME"}}
	if status, _ = send(t, "POST", p.URL()+"/remove",
		"application/x-www-form-urlencoded", form.Encode()); status != 200 {
		t.Errorf("POST /remove = %d, want 200", status)
	}
	if _, body = send(t, "GET", p.URL()+"/records", "", ""); strings.TrimSpace(body) != "[]" {
		t.Errorf("GET /records after all removals = %s, want []", body)
	}
}

func TestPlaygroundCrossSite(t *testing.T) {
	t.Parallel()
	p := startPlayground(t, devstack.PlaygroundConfig{})
	for _, method := range []string{"POST", "PUT", "DELETE"} {
		req, err := http.NewRequestWithContext(t.Context(), method, p.URL()+"/records", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Sec-Fetch-Site", "cross-site")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s from another site = %d, want 403", method, resp.StatusCode)
		}
	}
}

func TestPlaygroundDoH(t *testing.T) {
	t.Parallel()
	p := startPlayground(t, devstack.PlaygroundConfig{})
	set(t, p, "a.example.com", "A", "192.0.2.1")
	q := new(dns.Msg)
	q.SetQuestion("a.example.com.", dns.TypeA)
	q.Id = 0
	raw, err := q.Pack()
	if err != nil {
		t.Fatal(err)
	}
	get := func(method, u string, body []byte) (int, *dns.Msg) {
		req, err := http.NewRequestWithContext(t.Context(), method, u, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/dns-message")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		out, _ := io.ReadAll(resp.Body)
		m := new(dns.Msg)
		if resp.StatusCode == 200 {
			if err := m.Unpack(out); err != nil {
				t.Fatal(err)
			}
		}
		return resp.StatusCode, m
	}
	if status, m := get("POST", p.DoHURL(), raw); status != 200 || len(m.Answer) != 1 {
		t.Errorf("DoH POST = %d: %v, want 200 with one record", status, m)
	}
	if status, m := get("GET", p.DoHURL()+"?dns="+base64.RawURLEncoding.EncodeToString(raw),
		nil); status != 200 || len(m.Answer) != 1 {
		t.Errorf("DoH GET = %d: %v, want 200 with one record", status, m)
	}
	if status, _ := get("POST", p.DoHURL(), []byte("rubbish")); status != 400 {
		t.Errorf("DoH POST with a malformed query = %d, want 400", status)
	}
}

func TestPlaygroundKeepsRecords(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "records.json")
	p := startPlayground(t, devstack.PlaygroundConfig{StateFile: file})
	set(t, p, "_acme-challenge.example.com", "CNAME", "hash."+playZone)
	set(t, p, "t.example.com", "TXT", `one "two" \three`, `"quoted \001"`)
	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	again := startPlayground(t, devstack.PlaygroundConfig{StateFile: file, DNSListen: p.DNSAddr()})
	if r := ask(t, "udp", again.DNSAddr(),
		"_acme-challenge.example.com.", dns.TypeCNAME); len(r.Answer) != 1 {
		t.Errorf("answer after a restart = %v, want one record", r)
	}
	want := []string{`t.example.com. TXT "one \"two\" \\three"`, `t.example.com. TXT "quoted \001"`}
	if got := shown(ask(t, "udp", again.DNSAddr(), "t.example.com.", dns.TypeTXT)); !slices.Equal(
		got, want) {
		t.Errorf("answer after a restart = %q, want %q", got, want)
	}
}
