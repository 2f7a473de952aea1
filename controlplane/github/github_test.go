package github_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/github"
)

const callback = "https://dcvaas.test/login/github/callback"

func start(t *testing.T) (*devstack.GitHub, *github.Client) {
	t.Helper()
	g, err := devstack.StartGitHub(t.Context(),
		devstack.GitHubConfig{ClientID: "app", Secret: "hunter2", Logins: []string{"alice"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Stop)
	return g, &github.Client{ID: "app", Secret: "hunter2", WebURL: g.URL(), APIURL: g.URL() +
		"/", RedirectURL: callback}
}

// signIn completes the sign-in at an address as login, and returns the query of the callback.
func signIn(t *testing.T, address, login string) url.Values {
	t.Helper()
	resp, err := http.DefaultTransport.RoundTrip(request(t, address+"&login="+login))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	to, err := resp.Location()
	if err != nil || !strings.HasPrefix(to.String(), callback+"?") {
		t.Fatalf("GET %s redirects to %v (%v), want the callback", address, to, err)
	}
	return to.Query()
}

func request(t *testing.T, address string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func wantCode(t *testing.T, what string, err error, k controlplane.Kind, code string) {
	t.Helper()
	if !controlplane.IsKind(err, k) || !controlplane.HasCode(err, code) {
		t.Errorf("%s: error = %v, want %s %s", what, err, k, code)
	}
	if err != nil && (strings.Contains(err.Error(), "hunter2") ||
		strings.Contains(err.Error(), "gho_")) {
		t.Errorf("%s: the error contains a secret: %v", what, err)
	}
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	g, c := start(t)
	verifier := controlplane.NewRandomSecret()
	address := c.AuthURL("the-state", verifier)
	if strings.Contains(address, verifier) || strings.Contains(address, "hunter2") {
		t.Errorf("AuthURL contains a secret: %s", address)
	}
	back := signIn(t, address, "alice")
	if back.Get("state") != "the-state" {
		t.Errorf("callback query = %v, want the state", back)
	}
	a, err := c.Exchange(t.Context(), back.Get("code"), verifier)
	if err != nil || a != g.Account("alice") || a.ID == 0 || a.Login != "alice" ||
		a.Name != "Alice" {
		t.Errorf("Exchange = %+v, %v; want the account of alice", a, err)
	}
	_, err = c.Exchange(t.Context(), back.Get("code"), verifier)
	wantCode(t, "a code used twice", err, controlplane.KindUnauthorized, "sign-in-refused")
}

func TestSignInIsRejected(t *testing.T) {
	t.Parallel()
	_, c := start(t)
	code := func(verifier string) string {
		return signIn(t, c.AuthURL("s", verifier),
			"alice").Get("code")
	}
	verifier := controlplane.NewRandomSecret()

	_, err := c.Exchange(t.Context(), code(verifier), controlplane.NewRandomSecret())
	wantCode(t, "another verifier", err, controlplane.KindUnauthorized, "sign-in-refused")
	_, err = c.Exchange(t.Context(), "none", verifier)
	wantCode(t, "unknown code", err, controlplane.KindUnauthorized, "sign-in-refused")
	stranger := *c
	stranger.Secret = "hunter2-wrong"
	_, err = stranger.Exchange(t.Context(), code(verifier), verifier)
	wantCode(t, "another secret", err, controlplane.KindUnauthorized, "sign-in-refused")
	elsewhere := *c
	elsewhere.RedirectURL = "https://evil.test/callback"
	_, err = elsewhere.Exchange(t.Context(), code(verifier), verifier)
	wantCode(t, "another callback", err, controlplane.KindUnauthorized, "sign-in-refused")
}

func TestLookUp(t *testing.T) {
	t.Parallel()
	g, c := start(t)
	if a, err := c.LookUp(t.Context(), "Octo-Cat"); err != nil || a != g.Account("octo-cat") {
		t.Errorf("LookUp(Octo-Cat) = %+v, %v; want the account of octo-cat", a, err)
	}
	g.SetAccount(controlplane.GitHubAccount{ID: g.Account("octo-cat").ID,
		Login: "renamed", Name: " A\x00\n" + strings.Repeat("b", 300)})
	if a, err := c.LookUp(t.Context(), "renamed"); err != nil || a.ID == 0 || a.Name != "A"+
		strings.Repeat("b", 199) {
		t.Errorf("LookUp(renamed) = %+v, %v; want a tidied name of 200 characters", a, err)
	}
	for login, code := range map[string]string{"no-such-person": "login-unknown",
		"org-of-people": "login-unknown", "a/b": "login-unknown", "../user": "login-unknown",
		"a b": "login-unknown", "ä": "login-unknown", "": "too-short",
		strings.Repeat("a", 101): "too-long"} {
		_, err := c.LookUp(t.Context(), login)
		wantCode(t, login, err, controlplane.KindInvalid, code)
	}
	stranger := *c
	stranger.Secret = "hunter2-wrong"
	_, err := stranger.LookUp(t.Context(), "alice")
	wantCode(t, "another secret", err, controlplane.KindUnavailable, "github-unavailable")
}

// TestGitHubUnavailable checks that every invalid response is reported as github-unavailable,
// without its content.
func TestGitHubUnavailable(t *testing.T) {
	t.Parallel()
	answers := map[string]func(http.ResponseWriter){
		"HTML": func(w http.ResponseWriter) {
			_, _ = w.Write([]byte("<html>unicorn gho_secret"))
		},
		"500": func(w http.ResponseWriter) {
			http.Error(w,
				"gho_secret", http.StatusInternalServerError)
		},
		"empty": func(http.ResponseWriter) {},
		"redirect": func(w http.ResponseWriter) {
			w.Header().Set("Location",
				"/")
			w.WriteHeader(http.StatusFound)
		},
		"truncated": func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte(`{"id":1,`))
		},
		"no account": func(w http.ResponseWriter) { _, _ = w.Write([]byte(`{"type":"User"}`)) },
		"too large": func(w http.ResponseWriter) {
			_, _ = w.Write([]byte(`{"name":"` + strings.Repeat("a", 1<<20) + `"}`))
		},
		"invalid login": func(w http.ResponseWriter) {
			_, _ = w.Write([]byte(`{"id":7,"login":"a b","type":"User"}`))
		},
	}
	for what, answer := range answers {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter,
			_ *http.Request) {
			answer(w)
		}))
		t.Cleanup(server.Close)
		c := &github.Client{ID: "app", Secret: "hunter2", WebURL: server.URL, APIURL: server.URL}
		_, err := c.LookUp(t.Context(), "alice")
		wantCode(t, what, err, controlplane.KindUnavailable, "github-unavailable")
		_, err = c.Exchange(t.Context(), "code", "verifier")
		wantCode(t, what, err, controlplane.KindUnavailable, "github-unavailable")
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	c := &github.Client{WebURL: gone.URL, APIURL: gone.URL}
	_, err := c.LookUp(context.Background(), "alice")
	wantCode(t, "connection refused", err, controlplane.KindUnavailable, "github-unavailable")

	limited := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-RateLimit-Remaining", "0")
		w.Header().Set("X-RateLimit-Reset", "4102444800")
		w.WriteHeader(http.StatusForbidden)
	}))
	t.Cleanup(limited.Close)
	c = &github.Client{APIURL: limited.URL}
	_, err = c.LookUp(t.Context(), "alice")
	if e := controlplane.AsError(err); e.Code != "github-unavailable" ||
		e.RetryAt.Unix() != 4102444800 {
		t.Errorf("LookUp when rate-limited: error = %+v, want github-unavailable with RetryAt", e)
	}

	busy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "60")
		w.WriteHeader(http.StatusForbidden)
	}))
	t.Cleanup(busy.Close)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	c = &github.Client{APIURL: busy.URL, Now: func() time.Time { return now }}
	_, err = c.LookUp(t.Context(), "alice")
	if got, want := controlplane.AsError(err).RetryAt, now.Add(time.Minute); !got.Equal(want) {
		t.Errorf("LookUp with Retry-After 60: RetryAt = %s, want %s", got, want)
	}
}
