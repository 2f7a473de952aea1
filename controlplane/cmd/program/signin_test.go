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

// From the dashboard to the stand-in for GitHub and back, and with the same cookie to the API:
// by either way in it is the owner of the organization who comes.
func TestSignInOfTheStack(t *testing.T) {
	t.Parallel()
	s := startStack(t, DevConfig{NoWork: true})
	endpoint := s.Env()["DCVAAS_ENDPOINT"]
	var ids []string
	for _, signIn := range []func(*http.Client) (*http.Response, error){
		func(c *http.Client) (*http.Response, error) { return c.PostForm(endpoint+"/login", url.Values{}) },
		func(c *http.Client) (*http.Response, error) { return c.Get(endpoint + "/login/github") },
	} {
		browser := newBrowser(t, devLogin)
		resp, err := signIn(browser)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK || resp.Request.URL.Path != "/domains" {
			t.Fatalf("%s at %s", resp.Status, resp.Request.URL)
		}
		if resp, err = browser.Get(endpoint + "/api/members"); err != nil {
			t.Fatal(err)
		}
		var list struct {
			Data []struct{ ID, Login, Role string }
		}
		err = json.NewDecoder(resp.Body).Decode(&list)
		_ = resp.Body.Close()
		if err != nil || len(list.Data) != 1 || list.Data[0].Login != devLogin || list.Data[0].Role != "owner" {
			t.Fatalf("%s %+v %v", resp.Status, list, err)
		}
		ids = append(ids, list.Data[0].ID)
	}
	if ids[0] != ids[1] {
		t.Errorf("they are two users, %q", ids)
	}
	// The stand-in is also where logins are looked up.
	if resp, body := s.call("POST", "/api/members", `{"login":"no-such-person","role":"admin"}`); resp.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("%s %s", resp.Status, body)
	}
	if resp, body := s.call("POST", "/api/members", `{"login":"alice","role":"admin"}`); resp.StatusCode != http.StatusCreated {
		t.Errorf("%s %s", resp.Status, body)
	}
}

// newBrowser returns the browser of somebody who chooses that login at the stand-in.
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

// With DCVAAS_SIGN_UP=invited a stranger stays out, and comes in by the link of an invitation.
func TestSignUpByInvitation(t *testing.T) {
	t.Parallel()
	s := startStack(t, DevConfig{NoWork: true, Configure: func(c *Config) { c.HTTP.SignUp = signUpInvited }})
	mallory := newBrowser(t, "mallory")
	see := func(resp *http.Response, err error) (*http.Response, string) {
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
	if resp, body := see(mallory.Get(s.Env()["DCVAAS_ENDPOINT"] + "/login/github")); resp.StatusCode != http.StatusForbidden || !strings.Contains(body, "mallory belongs to no organization here") {
		t.Fatalf("%s at %s: %s", resp.Status, resp.Request.URL, body)
	}
	// The operator invites the first owner.
	link, err := s.admin("invite", "--org="+s.OrgID).Output()
	if err != nil {
		t.Fatalf("dcvaas admin invite: %v", err)
	}
	resp, _ := see(mallory.PostForm(strings.TrimSpace(string(link))+"/github", url.Values{}))
	_, to, _ := strings.Cut(resp.Header.Get("Refresh"), "url=")
	if resp, body := see(mallory.Get(to + "&login=mallory")); resp.StatusCode != http.StatusOK || !strings.Contains(body, "You are a member of this organization now") {
		t.Fatalf("%s at %s: %s", resp.Status, resp.Request.URL, body)
	}
}

func TestSignUpConfiguration(t *testing.T) {
	t.Parallel()
	for value, right := range map[string]bool{signUpOpen: true, signUpInvited: true, "closed": false, "": false} {
		c := Config{Database: "postgres://x", Zone: "x"}
		c.Work = WorkConfig{Concurrency: 1, Lease: time.Second, SweepEvery: 1, RetryBase: 1}
		c.HTTP.SignUp = value
		if err := c.check(); (err == nil) != right || !right && !strings.Contains(err.Error(), "DCVAAS_SIGN_UP") {
			t.Errorf("%q: %v", value, err)
		}
	}
}

func TestGitHubConfiguration(t *testing.T) {
	t.Parallel()
	whole := GitHubConfig{ClientID: "id", ClientSecret: "secret", URL: "https://github.com", APIURL: "https://api.github.com"}
	for name, change := range map[string]func(*GitHubConfig){
		"DCVAAS_GITHUB_CLIENT_SECRET": func(c *GitHubConfig) { c.ClientSecret = "" },
		"DCVAAS_GITHUB_CLIENT_ID":     func(c *GitHubConfig) { c.ClientID = "" },
		"DCVAAS_GITHUB_URL":           func(c *GitHubConfig) { c.URL = "github.com" },
		"DCVAAS_GITHUB_API_URL":       func(c *GitHubConfig) { c.APIURL = "ftp://github.com" },
	} {
		c := Config{Database: "postgres://x", Zone: "x", GitHub: whole}
		change(&c.GitHub)
		if err := c.check(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
