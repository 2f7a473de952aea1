package dashboard

import (
	"compress/gzip"
	"encoding/csv"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// browsers is what they accept.
const browsers = "gzip, deflate, br, zstd"

// fetch requests a path, and returns the response with its decoded body and its size on the wire.
func (s *site) fetch(path, accept string) (resp *http.Response, body string, size int) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.server.URL+path, nil)
	s.must(err)
	r.Header.Set("Accept-Encoding", accept)
	resp, err = s.visitor.Do(r)
	s.must(err)
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	s.must(err)
	if resp.Header.Get("Content-Encoding") == "" {
		return resp, string(raw), len(raw)
	}
	in, err := gzip.NewReader(strings.NewReader(string(raw)))
	s.must(err)
	plain, err := io.ReadAll(in)
	s.must(err)
	return resp, string(plain), len(raw)
}

func TestCompressedResponses(t *testing.T) {
	s := newSignedIn(t, withSealer(t))
	s.org = s.bigOrg(2 * domainsPerPage)
	s.addMember(s.org, developer, controlplane.RoleOwner)
	s.post("/organizations/"+s.org.ID+"/switch", nil).to("/domains")
	for range domainsPerPage {
		s.misconfigure(s.add(s.org, strings.ToLower(controlplane.NewID("d"))[2:]+".example.com"))
	}
	style, err := s.dash.assets.url("app.css")
	s.must(err)
	for path, most := range map[string]int{"/domains": 30_000, "/domains.csv": 30_000,
		style: 10_000} {
		resp, body, size := s.fetch(path, browsers)
		other, plain, _ := s.fetch(path, "identity")
		if resp.Header.Get("Content-Encoding") != "gzip" || size > most || size >= len(body) {
			t.Errorf("%s: %d of %d bytes, headers %v, want at most %d", path, size, len(body),
				resp.Header, most)
		}
		if vary := strings.Join(resp.Header["Vary"], ", "); !strings.Contains(vary, "Accept-Encoding") {
			t.Errorf("%s: Vary = %q", path, vary)
		}
		if got := other.Header.Get("Content-Encoding"); got != "" {
			t.Errorf("%s: Content-Encoding = %q for a client that does not accept any", path, got)
		}
		if path != "/domains" && body != plain { // a page has random keys
			t.Errorf("%s differs when compressed", path)
		}
	}
	_, body, _ := s.fetch("/domains.csv", browsers)
	if rows, err := csv.NewReader(strings.NewReader(body)).ReadAll(); err != nil ||
		len(rows) != domainsPerPage+1 {
		t.Errorf("%d rows, %v", len(rows), err)
	}

	// A page with a secret is not compressed, and says nothing about it.
	link := s.post("/settings/tokens", map[string][]string{"name": {"ci"},
		"scope": {"domains:read"}, "end": {"90d"}}).want(http.StatusSeeOther).header.Get("Location")
	resp, body, _ := s.fetch(link, browsers)
	if resp.Header.Get("Content-Encoding") != "" || resp.Header.Get("No-Gzip-Compression") != "" ||
		!strings.Contains(body, `id="secret"`) {
		t.Errorf("page with a secret: headers %v", resp.Header)
	}
}
