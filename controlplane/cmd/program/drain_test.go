package program

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
)

// startParts runs a further process's parts on the stack's stores, until stop is called. ended then
// receives its error.
func (s *stack) startParts(
	parts Parts, configure func(*Config),
) (app *App, stop func(), ended <-chan error) {
	s.t.Helper()
	c := s.Config
	port, err := devstack.PortOr(0)
	if err != nil {
		s.t.Fatal(err)
	}
	c.HTTP.Listen, c.OpsListen = loopback(port), loopback(0)
	configure(&c)
	log := &testLog{t: s.t, prefix: "process: "}
	if app, err = NewApp(s.t.Context(), c, parts, log); err != nil {
		s.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	started, result := make(chan struct{}), make(chan error, 1)
	app.onStarted = func() { close(started) }
	go func() { result <- app.Run(ctx) }()
	s.t.Cleanup(stop)
	<-started
	s.eventually("the process to be ready", func() error {
		return s.fetch("GET", "http://"+app.opsAddr+"/readyz", http.NoBody).want(http.StatusOK)
	})
	return app, stop, result
}

// fetched is a response with its body.
type fetched struct {
	*http.Response
	body string
	err  error
}

// want returns an error if the response has another status.
func (f fetched) want(status int) error {
	if f.err != nil {
		return f.err
	}
	if f.StatusCode != status {
		return fmt.Errorf("status = %d: %s, want %d", f.StatusCode, f.body, status)
	}
	return nil
}

// fetch sends a request with the stack's token on a new connection.
func (s *stack) fetch(method, url string, body io.Reader) fetched {
	r, err := http.NewRequestWithContext(s.t.Context(), method, url, body)
	if err != nil {
		return fetched{err: err}
	}
	r.Header.Set("Authorization", "Bearer "+s.Token)
	r.Header.Set("Content-Type", "application/json")
	// A separate transport reports Connection: close as sent.
	client := http.Client{Transport: &http.Transport{}, Timeout: 2 * time.Minute}
	defer client.CloseIdleConnections()
	resp, err := client.Do(r)
	if err != nil {
		return fetched{err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	return fetched{resp, string(b), err}
}

// TestDrain stops a server that has a call in progress, a waiting call, and a stream. First it is
// not ready and still serves. Then the listener closes, the stream is told to reconnect, and the
// waiting call returns. The call in progress takes longer, and is completed.
func TestDrain(t *testing.T) {
	t.Parallel()
	s := startStack(t, DevConfig{EmbeddedRedis: true, NoWork: true})
	domain := s.add("drained.example.com")
	app, stop, ended := s.startParts(Parts{Serve: true}, func(c *Config) {
		c.DrainDelay, c.GracePeriod = 5*time.Second, time.Minute
	})
	web, ops := "http://"+app.webAddr, "http://"+app.opsAddr
	background := func(method, path string, body io.Reader) <-chan fetched {
		result := make(chan fetched, 1)
		go func() { result <- s.fetch(method, web+path, body) }()
		return result
	}

	half, rest := io.Pipe()
	slow := background("POST", "/api/domains", half)
	_, err := rest.Write([]byte(`{"name":`))
	must(t, err)
	waiting := background("GET", "/api/domains/"+domain.Id+"?wait=60s", http.NoBody)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, web+"/api/events", http.NoBody)
	must(t, err)
	r.Header.Set("Authorization", "Bearer "+s.Token)
	r.Header.Set("Accept", "text/event-stream")
	stream, err := http.DefaultClient.Do(r)
	must(t, err)
	defer func() { _ = stream.Body.Close() }()
	lines := bufio.NewScanner(stream.Body)
	for lines.Scan() && lines.Text() != "" { // the position at which it starts
	}

	stop()
	s.eventually("the server to be not ready", func() error {
		if got := s.fetch("GET", web+"/readyz?verbose", http.NoBody); got.err != nil {
			t.Fatalf("GET /readyz while draining = %v, want a response", got.err)
		} else if got.StatusCode != http.StatusServiceUnavailable ||
			!strings.Contains(got.body, "stopping") {
			return fmt.Errorf("GET /readyz = %d %s, want 503", got.StatusCode, got.body)
		}
		return nil
	})
	if got := s.fetch("GET", ops+"/readyz", http.NoBody); got.err != nil ||
		got.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("GET /readyz of the operator listener while draining = %+v, want 503", got)
	}
	if got := s.fetch("GET", web+"/api/domains", http.NoBody); got.err != nil ||
		got.StatusCode != http.StatusOK || !got.Close {
		t.Errorf("GET /api/domains while draining = %+v, want 200 with Connection: close", got)
	}

	var end []string
	for lines.Scan() {
		end = append(end, lines.Text())
	}
	if text := strings.Join(end, "\n"); !strings.Contains(text, "retry: ") ||
		!strings.Contains(text, "\nid: ") {
		t.Errorf("end of the stream = %q, want retry and id", text)
	}
	if got := <-waiting; got.err != nil || got.StatusCode != http.StatusOK {
		t.Errorf("waiting call = %+v, want 200", got)
	}
	if got := s.fetch("GET", web+"/readyz", http.NoBody); !errors.Is(got.err, syscall.ECONNREFUSED) {
		t.Errorf("GET /readyz after the drain delay = %v, want a refused connection", got.err)
	}
	if got := s.fetch("GET", ops+"/metrics", http.NoBody); got.err != nil || got.StatusCode != http.StatusOK {
		t.Errorf("GET /metrics with a call in progress = %+v, want 200", got)
	}
	_, err = rest.Write([]byte(`"slow.example.com"}`))
	must(t, err)
	must(t, rest.Close())
	if got := <-slow; got.err != nil || got.StatusCode != http.StatusCreated {
		t.Errorf("call in progress = %+v, want 201", got)
	}
	if err := <-ended; err != nil {
		t.Errorf("Run() = %v, want nil", err)
	}
}
