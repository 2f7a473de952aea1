package dashboard

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
)

// brokenWriter is the connection of a client that disconnects during a response: net/http cancels
// the request's context if a write fails.
type brokenWriter struct {
	http.ResponseWriter
	cancel context.CancelFunc
}

func (w *brokenWriter) Write([]byte) (int, error) {
	w.cancel()
	return 0, syscall.EPIPE
}

// A client that disconnects is not an internal error in the log or in the status.
func TestClientDisconnects(t *testing.T) {
	s := newSignedIn(t)
	d := s.add(s.org, "example.com")
	home, err := url.Parse(s.server.URL)
	s.must(err)
	for _, path := range []string{"/domains", "/domains/" + d.ID, "/domains/" + d.ID + "/events",
		"/login"} {
		for _, within := range []bool{false, true} {
			ctx, cancel := context.WithCancel(t.Context())
			r := httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil)
			for _, c := range s.visitor.Jar.Cookies(home) {
				r.AddCookie(c)
			}
			rec := httptest.NewRecorder()
			var out http.ResponseWriter = rec
			if within {
				out = &brokenWriter{ResponseWriter: rec, cancel: cancel}
			} else {
				cancel()
			}
			s.dash.ServeHTTP(out, r)
			if !within && rec.Code != edge.StatusClientClosedRequest {
				t.Errorf("GET %s by a disconnected client = %d, want %d", path, rec.Code,
					edge.StatusClientClosedRequest)
			}
			cancel()
		}
	}
	if log := s.log.String(); strings.Contains(log, "ERROR") || strings.Contains(log, "WARN") {
		t.Errorf("the log has warnings or errors about disconnected clients:\n%s", log)
	}
}
