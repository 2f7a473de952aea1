package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// brokenWriter is the connection of a client that disconnects during the response: net/http cancels
// the request's context when a write fails.
type brokenWriter struct {
	http.ResponseWriter
	gone context.CancelFunc
}

func (w *brokenWriter) Write([]byte) (int, error) {
	w.gone()
	return 0, syscall.EPIPE
}

// A client that disconnects is not an internal error in the log or the metrics, before or during
// the response.
func TestCallerThatGoes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what, method, path, body string
		broken                   bool // it goes while the answer is sent, not before
	}{
		{"before a list", "GET", "/api/domains", "", false},
		{"before a body is checked", "POST", "/api/domains", `{"name":"a.example.com"}`, false},
		{"before it is known whether all is ready", "GET", "/readyz", "", false},
		{"within a list", "GET", "/api/domains", "", true},
		{"within the answer to a POST", "POST", "/api/domains", `{"name":"b.example.com"}`, true},
		{"within an export", "GET", "/api/audit-logs/export", "", true},
		{"within an asset", "GET", "/api/openapi.json", "", true},
	} {
		for _, once := range []bool{false, true} {
			if once && c.method != http.MethodPost {
				continue
			}
			what := c.what
			if once {
				what += ", with an Idempotency-Key"
			}
			t.Run(what, func(t *testing.T) {
				t.Parallel()
				registry := prometheus.NewRegistry()
				w := newWorld(t, func(c *Config) {
					c.Registerer = registry
					store := c.Store
					c.Ready = func(ctx context.Context) map[string]error {
						return map[string]error{"postgres": store.Ping(ctx)}
					}
				})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				r := httptest.NewRequestWithContext(ctx, c.method, c.path,
					strings.NewReader(c.body))
				r.Header.Set("Authorization", "Bearer "+w.token)
				r.Header.Set("Content-Type", mediaJSON)
				if once {
					r.Header.Set(headerIdempotencyKey, "k")
				}
				var out http.ResponseWriter = httptest.NewRecorder()
				if c.broken {
					out = &brokenWriter{ResponseWriter: out, gone: cancel}
				} else {
					cancel()
				}
				w.api.ServeHTTP(out, r)
				log := w.log.String()
				if strings.Contains(log, `"level":"ERROR"`) ||
					strings.Contains(log, `"level":"WARN"`) {
					t.Errorf("%s %s by a caller that goes is logged as more than information:\n%s",
						c.method, c.path, log)
				}
				if !strings.Contains(log, `"status":499`) {
					t.Errorf("%s %s by a caller that goes is not logged with the status 499:\n%s",
						c.method, c.path, log)
				}
				statuses := requestStatuses(t, registry)
				if len(statuses) != 1 || statuses[0] != "499" {
					t.Errorf("%s %s by a caller that goes is counted with the statuses %q, want 499 alone", c.method, c.path, statuses)
				}
			})
		}
	}
}

// requestStatuses returns the label status of every series of dcvaas_http_requests_total.
func requestStatuses(t *testing.T, registry *prometheus.Registry) []string {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var statuses []string
	for _, f := range families {
		if f.GetName() != "dcvaas_http_requests_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "status" {
					statuses = append(statuses, l.GetValue())
				}
			}
		}
	}
	return statuses
}
