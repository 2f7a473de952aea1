package program

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// call sends a request to the stack's API and returns the response with its body.
func (s *stack) call(method, path, body string, headers ...string) (*http.Response, string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, s.Env()["DCVAAS_ENDPOINT"]+path,
		strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.Token)
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp, string(b)
}

// TestAPIOfTheStack tests the API as it is wired: the plan's rate limit, the event stream, and,
// after Redis has stopped, idempotency keys and requests that work without it.
func TestAPIOfTheStack(t *testing.T) {
	t.Parallel()
	s := startStack(t, DevConfig{NoWork: true})
	resp, body := s.call("GET", "/api/organization", "")
	if resp.StatusCode != 200 ||
		resp.Header.Get("RateLimit-Policy") != `"organization";q=5000;w=60` ||
		!strings.Contains(resp.Header.Get("RateLimit"), ";r=49") {
		t.Errorf("GET /api/organization = %s with headers %v: %s, want 200 with the limit of the agency plan", resp.Status, resp.Header, body)
	}

	r, err := http.NewRequestWithContext(t.Context(), "GET", s.Env()["DCVAAS_ENDPOINT"]+
		"/api/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.Token)
	r.Header.Set("Accept", "text/event-stream")
	events, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = events.Body.Close() }()

	const domain = `{"name":"stack.example.com"}`
	first, made := s.call("POST", "/api/domains", domain, "Idempotency-Key", "stack")
	if first.StatusCode != http.StatusCreated {
		t.Fatalf("POST /api/domains = %s: %s, want 201", first.Status, made)
	}
	for lines := bufio.NewScanner(events.Body); lines.Scan(); {
		if lines.Text() == "event: domain.created" {
			break
		}
	}
	stop, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := s.Redis.Stop(stop); err != nil {
		t.Fatal(err)
	}
	again, body := s.call("POST", "/api/domains", domain, "Idempotency-Key", "stack")
	if again.StatusCode != http.StatusCreated || body != made ||
		again.Header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("repeated POST /api/domains = %s with headers %v: %s, want the replayed response %s", again.Status, again.Header, body, made)
	}
	metrics, err := http.Get(s.Env()["DCVAAS_OPS_URL"] + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = metrics.Body.Close() }()
	text, err := io.ReadAll(metrics.Body)
	if err != nil || !strings.Contains(string(text), "dcvaas_rate_limiter_away_total 1") {
		t.Errorf("GET /metrics = %v without dcvaas_rate_limiter_away_total 1 while Redis is down:\n%s", err, text)
	}
}
