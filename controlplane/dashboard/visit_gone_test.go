package dashboard

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"syscall"
	"testing"
)

// brokenWriter is the connection of a visitor who goes while a page is sent: net/http cancels
// the request's context when a write fails.
type brokenWriter struct {
	http.ResponseWriter
	gone context.CancelFunc
}

func (w *brokenWriter) Write([]byte) (int, error) {
	w.gone()
	return 0, syscall.EPIPE
}

// A visitor who goes is not an error of ours: the log does not say so, nor does the status.
func TestVisitorWhoGoes(t *testing.T) {
	s := newSignedIn(t)
	d := s.add(s.org, "example.com")
	home, err := url.Parse(s.server.URL)
	s.must(err)
	for _, path := range []string{"/domains", "/domains/" + d.ID, "/domains/" + d.ID + "/events", "/login"} {
		for _, within := range []bool{false, true} {
			ctx, cancel := context.WithCancel(t.Context())
			r := httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil)
			for _, c := range s.visitor.Jar.Cookies(home) {
				r.AddCookie(c)
			}
			rec := httptest.NewRecorder()
			var out http.ResponseWriter = rec
			if within {
				out = &brokenWriter{ResponseWriter: rec, gone: cancel}
			} else {
				cancel()
			}
			s.dash.ServeHTTP(out, r)
			if !within && rec.Code != statusClientClosedRequest {
				t.Errorf("GET %s by a visitor who has gone = %d, want %d", path, rec.Code, statusClientClosedRequest)
			}
			cancel()
		}
	}
	if log := s.log.String(); strings.Contains(log, "ERROR") || strings.Contains(log, "WARN") {
		t.Errorf("visitors who go are logged as more than information:\n%s", log)
	}
}
