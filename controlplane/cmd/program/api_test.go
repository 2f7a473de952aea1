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

// call sends a request to the stack's API and returns the answer with its body.
func (s *stack) call(method, path, body string, headers ...string) (*http.Response, string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, s.Env()["DCVAAS_ENDPOINT"]+path, strings.NewReader(body))
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

// The API as it is wired: the plan's limit, keys that outlive Redis, calls that do without
// it, and events as they come.
func TestAPIOfTheStack(t *testing.T) {
	t.Parallel()
	s := startStack(t, DevConfig{NoWork: true})
	resp, body := s.call("GET", "/api/organization", "")
	if resp.StatusCode != 200 || resp.Header.Get("RateLimit-Policy") != `"organization";q=5000;w=60` || !strings.Contains(resp.Header.Get("RateLimit"), ";r=49") {
		t.Errorf("%s %v %s", resp.Status, resp.Header, body)
	}

	r, err := http.NewRequestWithContext(t.Context(), "GET", s.Env()["DCVAAS_ENDPOINT"]+"/api/events", nil)
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
		t.Fatalf("%s %s", first.Status, made)
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
	if again.StatusCode != http.StatusCreated || body != made || again.Header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("%s %v %s", again.Status, again.Header, body)
	}
	metrics, err := http.Get(s.Env()["DCVAAS_OPS_URL"] + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = metrics.Body.Close() }()
	text, err := io.ReadAll(metrics.Body)
	if err != nil || !strings.Contains(string(text), "dcvaas_rate_limiter_away_total 1") {
		t.Errorf("the metric does not say that Redis is away: %v", err)
	}
}
