package edge

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestOnlyHosts(t *testing.T) {
	t.Parallel()
	served := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	loopback := OnlyHosts([]string{"127.0.0.1:9090", "Metrics.Example.net"}, false, served)
	public := OnlyHosts([]string{"dcvaas"}, true, served)
	for _, c := range []struct {
		host            string
		loopback, other bool
	}{
		{"127.0.0.1:9090", true, true},
		{"127.0.0.1", true, true},
		{"127.8.9.10:1", true, true},
		{"[::1]:9090", true, true},
		{"[::ffff:127.0.0.1]:9090", true, true},
		{"localhost:9090", true, true},
		{"LOCALHOST.", true, true},
		{"metrics.example.net:9090", true, false},
		{"dcvaas:9090", false, true},
		{"10.1.2.3:9090", false, true},
		{"[2001:db8::1]", false, true},
		{"evil.example:9090", false, false},
		{"127.0.0.1.evil.example", false, false},
		{"localhost.evil.example:9090", false, false},
		{"evil.example:9090@127.0.0.1", false, false},
		{"", false, false},
	} {
		for name, h := range map[string]http.Handler{"loopback": loopback, "public": public} {
			want := http.StatusMisdirectedRequest
			if name == "loopback" && c.loopback || name == "public" && c.other {
				want = http.StatusOK
			}
			r := httptest.NewRequest("GET", "/metrics", nil)
			r.Host = c.host
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != want {
				t.Errorf("Host %q at the %s listener: status %d, want %d", c.host, name, w.Code,
					want)
			}
			if want != http.StatusOK && !strings.Contains(w.Body.String(),
				"does not serve the host") {
				t.Errorf("Host %q: body %q, want it to say why", c.host, w.Body)
			}
		}
	}
}
