package program

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// TestOtherHostsAreRejected tests the protection against DNS rebinding: another site whose name
// resolves to this machine can't read from any listener, and can't sign in.
func TestOtherHostsAreRejected(t *testing.T) {
	t.Parallel()
	s := startStack(t, DevConfig{NoWork: true})
	send := func(method, address, host string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(""))
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	ops, web := s.Env()["DCVAAS_OPS_URL"], s.Env()["DCVAAS_ENDPOINT"]
	for _, c := range []struct {
		method, address string
		want            int // with the listener's own host
	}{
		{"GET", ops + "/metrics", 200},
		{"GET", ops + "/queues", 200},
		{"GET", ops + "/", 303},
		{"POST", web + "/login", 303},
		{"GET", s.GitHub.URL() + "/login/oauth/authorize?response_type=code&client_id=" +
			devGitHubClient + "&redirect_uri=http%3A%2F%2Flocalhost%2F", 200},
		{"GET", s.Playground.URL() + "/records", 200},
	} {
		u, err := url.Parse(c.address)
		if err != nil {
			t.Fatal(err)
		}
		for host, want := range map[string]int{u.Host: c.want, "localhost:" + u.Port(): c.want,
			"evil.example:" + u.Port(): 421, "127.0.0.1.evil.example": 421} {
			if got := send(c.method, c.address, host); got != want {
				t.Errorf("%s %s with Host %s: status %d, want %d", c.method, c.address, host, got,
					want)
			}
		}
	}
	for _, path := range []string{"/livez", "/readyz"} {
		if got := send("GET", ops+path, "probe.example"); got != 200 {
			t.Errorf("GET %s with Host probe.example: status %d, want 200: probes send any host",
				path, got)
		}
	}
}

func TestOperatorHosts(t *testing.T) {
	t.Parallel()
	served := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	for _, c := range []struct {
		listen string
		hosts  []string
		host   string
		want   int
	}{
		{"127.0.0.1:9090", nil, "127.0.0.1:9090", 200},
		{"127.0.0.1:9090", nil, "10.1.2.3:9090", 421},
		{"127.0.0.1:9090", []string{"metrics.example.net"}, "metrics.example.net", 200},
		{"127.0.0.1:9090", nil, "metrics.example.net", 421},
		{"0.0.0.0:9090", nil, "10.1.2.3:9090", 200},
		{"0.0.0.0:9090", nil, "dcvaas:9090", 421},
		{"0.0.0.0:9090", []string{"dcvaas"}, "dcvaas:9090", 200},
		{"ops.example.net:9090", nil, "ops.example.net:9090", 200},
		{"ops.example.net:9090", nil, "evil.example:9090", 421},
		{":9090", nil, "evil.example:9090", 421},
	} {
		r := httptest.NewRequest("GET", "/metrics", nil)
		r.Host = c.host
		w := httptest.NewRecorder()
		opsHosts(&Config{OpsListen: c.listen, OpsHosts: c.hosts}, served).ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("ops-listen %s, ops-hosts %v, Host %s: status %d, want %d", c.listen, c.hosts,
				c.host, w.Code, c.want)
		}
	}
}

// TestLimitsOfTheStack tests the rate limits as they are wired: the API and the dashboard share
// them.
func TestLimitsOfTheStack(t *testing.T) {
	t.Parallel()
	s := startStack(t, DevConfig{NoWork: true})
	token := s.Token
	if resp, body := s.call("GET", "/api/organization", ""); resp.StatusCode != 200 {
		t.Fatalf("GET /api/organization = %s: %s, want 200", resp.Status, body)
	}
	got := map[int]int{}
	for range 100 {
		s.Token = controlplane.NewSecret()
		resp, _ := s.call("GET", "/api/organization", "")
		got[resp.StatusCode]++
	}
	s.Token = token
	if got[429] == 0 || got[401] < 29 || got[401]+got[429] != 100 {
		t.Errorf("statuses for 100 invalid tokens = %v, want 401 about 30 times, and 429", got)
	}
	if resp, body := s.call("GET", "/api/organization", ""); resp.StatusCode != 200 {
		t.Errorf("GET /api/organization with the valid token = %s: %s, want 200", resp.Status, body)
	}
	r, err := http.NewRequestWithContext(t.Context(), "GET", s.Env()["DCVAAS_ENDPOINT"]+
		"/domains", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Cookie", "dcvaas_session="+controlplane.NewRandomSecret())
	for n := 1; ; n++ { // the limit allows one credential every two seconds
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusTooManyRequests && resp.Header.Get("Retry-After") != "" {
			break
		}
		if n == 50 {
			t.Fatalf("status of the 50th page with an invalid session = %s, want 429", resp.Status)
		}
	}
	if all := string(s.get(s.Env()["DCVAAS_OPS_URL"]+"/metrics", nil)); !strings.Contains(all,
		`dcvaas_rate_limited_total{policy="failed-authentication"}`) {
		t.Error("the metrics lack dcvaas_rate_limited_total of the policy failed-authentication")
	}
}
