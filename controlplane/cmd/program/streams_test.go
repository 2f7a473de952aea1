package program

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// TestStreamLimitOfTheStack tests that the API's streams and the dashboard's live pages count
// toward the same limit of the organization.
func TestStreamLimitOfTheStack(t *testing.T) {
	t.Parallel()
	s := startStack(t, DevConfig{NoWork: true})
	s.exec(`UPDATE organizations SET subscription_tier = 'free' WHERE id = $1`, s.OrgID)
	if resp, body := s.call("POST", "/api/domains",
		`{"name":"streams.example.com"}`); resp.StatusCode != http.StatusCreated {
		t.Fatalf("POST /api/domains = %s: %s, want 201", resp.Status, body)
	}
	endpoint := s.Env()["DCVAAS_ENDPOINT"]
	open := func(client *http.Client, path, token string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, endpoint+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", "text/event-stream")
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() })
		return resp.StatusCode
	}
	signedIn := func() *http.Client {
		t.Helper()
		browser := newBrowser(t, devLogin)
		resp, err := browser.PostForm(endpoint+"/login", url.Values{})
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return browser
	}
	const page = "/domains/streams.example.com/events"
	one, two := signedIn(), signedIn()
	for i := range controlplane.TierFree.StreamLimit().Credential {
		if got := open(http.DefaultClient, "/api/events", s.Token); got != http.StatusOK {
			t.Fatalf("status of stream %d of the token = %d, want 200", i+1, got)
		}
		if got := open(one, page, ""); got != http.StatusOK {
			t.Fatalf("status of live page %d = %d, want 200", i+1, got)
		}
	}
	if got := open(two, page, ""); got != http.StatusTooManyRequests {
		t.Errorf("status of a live page over the organization's limit = %d, want 429", got)
	}
	if got := open(two, "/api/events", ""); got != http.StatusTooManyRequests {
		t.Errorf("status of an API stream over the organization's limit = %d, want 429", got)
	}
}
