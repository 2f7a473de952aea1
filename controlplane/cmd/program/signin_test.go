package program

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestSignInOfTheStack tests sign-in with one click and through the GitHub stand-in. In both cases,
// the session is that of the organization's owner, and its cookie also works for the API.
func TestSignInOfTheStack(t *testing.T) {
	t.Parallel()
	s := startStack(t, DevConfig{NoWork: true})
	endpoint := s.Env()["DCVAAS_ENDPOINT"]
	var ids []string
	for _, signIn := range []func(*http.Client) (*http.Response, error){
		func(c *http.Client) (*http.Response,
			error) {
			return c.PostForm(endpoint+"/login", url.Values{})
		},
		func(c *http.Client) (*http.Response, error) { return c.Get(endpoint + "/login/github") },
	} {
		browser := newBrowser(t, devLogin)
		resp, err := signIn(browser)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK || resp.Request.URL.Path != "/domains" {
			t.Fatalf("sign-in = %s at %s, want 200 at /domains", resp.Status, resp.Request.URL)
		}
		if resp, err = browser.Get(endpoint + "/api/members"); err != nil {
			t.Fatal(err)
		}
		var list struct {
			Data []struct{ ID, Login, Role string }
		}
		err = json.NewDecoder(resp.Body).Decode(&list)
		_ = resp.Body.Close()
		if err != nil || len(list.Data) != 1 || list.Data[0].Login != devLogin ||
			list.Data[0].Role != "owner" {
			t.Fatalf("GET /api/members = %s: %+v, %v, want the owner %s", resp.Status, list, err,
				devLogin)
		}
		ids = append(ids, list.Data[0].ID)
	}
	if ids[0] != ids[1] {
		t.Errorf("users of both sign-ins = %q, want the same", ids)
	}
	// The API looks up logins at the stand-in.
	if resp, body := s.call("POST", "/api/members",
		`{"login":"no-such-person","role":"admin"}`); resp.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("POST /api/members with an unknown login = %s: %s, want 422", resp.Status, body)
	}
	if resp, body := s.call("POST", "/api/members",
		`{"login":"alice","role":"admin"}`); resp.StatusCode != http.StatusCreated {
		t.Errorf("POST /api/members with a known login = %s: %s, want 201", resp.Status, body)
	}
}

// newBrowser returns a client that chooses the login at the GitHub stand-in.
func newBrowser(t *testing.T, login string) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if r.URL.Path == "/login/oauth/authorize" {
			r.URL.RawQuery += "&login=" + login
		}
		return nil
	}}
}

// TestSignUpByInvitation tests DCVAAS_SIGN_UP=invited: a person without a membership can sign in
// only with an invitation.
func TestSignUpByInvitation(t *testing.T) {
	t.Parallel()
	s := startStack(t, DevConfig{NoWork: true,
		Configure: func(c *Config) { c.HTTP.SignUp = signUpInvited }})
	mallory := newBrowser(t, "mallory")
	read := func(resp *http.Response, err error) (*http.Response, string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(body)
	}
	if resp, body := read(mallory.Get(s.Env()["DCVAAS_ENDPOINT"] +
		"/login/github")); resp.StatusCode != http.StatusForbidden ||
		!strings.Contains(body, "mallory is not a member of an organization") {
		t.Fatalf("sign-in without an invitation = %s at %s: %s, want 403", resp.Status,
			resp.Request.URL, body)
	}
	// The operator invites the first owner.
	link, err := s.admin("invite", "--org="+s.OrgID).Output()
	if err != nil {
		t.Fatalf("dcvaas admin invite: %v", err)
	}
	resp, _ := read(mallory.PostForm(strings.TrimSpace(string(link))+"/github", url.Values{}))
	_, to, _ := strings.Cut(resp.Header.Get("Refresh"), "url=")
	if resp, body := read(mallory.Get(to + "&login=mallory")); resp.StatusCode != http.StatusOK ||
		!strings.Contains(body, "You joined this organization") {
		t.Fatalf("sign-in with an invitation = %s at %s: %s, want 200", resp.Status,
			resp.Request.URL, body)
	}
}

func TestSignUpConfiguration(t *testing.T) {
	t.Parallel()
	for value, valid := range map[string]bool{signUpOpen: true, signUpInvited: true,
		"closed": false, "": false} {
		c := Config{Database: "postgres://x", Zone: "x.example.net"}
		c.Connections = minConnections
		c.Work = WorkConfig{Concurrency: 1, Lease: time.Second, SweepEvery: 1, RetryBase: 1}
		c.HTTP.SignUp = value
		if err := c.check(); (err == nil) != valid || !valid &&
			!strings.Contains(err.Error(), "DCVAAS_SIGN_UP") {
			t.Errorf("check() with sign-up %q = %v, want valid %v", value, err, valid)
		}
	}
}

func TestGitHubConfiguration(t *testing.T) {
	t.Parallel()
	valid := GitHubConfig{ClientID: "id", ClientSecret: "secret", URL: "https://github.com",
		APIURL: "https://api.github.com"}
	for name, change := range map[string]func(*GitHubConfig){
		"DCVAAS_GITHUB_CLIENT_SECRET": func(c *GitHubConfig) { c.ClientSecret = "" },
		"DCVAAS_GITHUB_CLIENT_ID":     func(c *GitHubConfig) { c.ClientID = "" },
		"DCVAAS_GITHUB_URL":           func(c *GitHubConfig) { c.URL = "github.com" },
		"DCVAAS_GITHUB_API_URL":       func(c *GitHubConfig) { c.APIURL = "ftp://github.com" },
	} {
		c := Config{Database: "postgres://x", Zone: "x.example.net", GitHub: valid}
		change(&c.GitHub)
		if err := c.check(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("check() = %v, want an error that names %s", err, name)
		}
	}
}

func TestCORSConfiguration(t *testing.T) {
	t.Parallel()
	for value, valid := range map[string]bool{"*": true, "": true,
		"https://app.example.com": true, "https://app.example.com/x": false} {
		c := Config{Database: "postgres://x", Zone: "x.example.net"}
		c.Connections = minConnections
		c.Work = WorkConfig{Concurrency: 1, Lease: time.Second, SweepEvery: 1, RetryBase: 1}
		c.HTTP.SignUp, c.HTTP.CORSOrigins = signUpOpen, []string{value}
		if err := c.check(); (err == nil) != valid || !valid &&
			!strings.Contains(err.Error(), "DCVAAS_CORS_ORIGINS") {
			t.Errorf("check() with the CORS origin %q = %v, want valid %v", value, err, valid)
		}
	}
}
