package api

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gorilla/mux"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// BenchmarkGetDomain compares an authenticated GET through every middleware with a bare handler
// that sends the same two queries to the same Postgres.
func BenchmarkGetDomain(b *testing.B) {
	w := newBenchWorld(b)
	d := w.newDomain(w.org, "bench.example.com")
	bare := mux.NewRouter()
	bare.HandleFunc("/api/domains/{domain}", func(rw http.ResponseWriter, r *http.Request) {
		token, err := w.store.TokenByHash(r.Context(), controlplane.HashSecret(w.token))
		if err != nil {
			http.Error(rw, "token", 500)
			return
		}
		d, err := w.store.Domain(r.Context(), token.OrgID, mux.Vars(r)["domain"])
		if err != nil {
			http.Error(rw, "domain", 500)
			return
		}
		rw.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(rw).Encode(w.api.domainBody(d))
	}).Methods("GET")
	for _, h := range []struct {
		name    string
		handler http.Handler
	}{{"bare", bare}, {"api", w.api}} {
		b.Run(h.name, func(b *testing.B) {
			b.ReportAllocs()
			ctx := b.Context() // with an end, as a server gives to every request
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					r := httptest.NewRequestWithContext(ctx, "GET", "/api/domains/"+d.ID, nil)
					r.Header.Set("Authorization", "Bearer "+w.token)
					rec := httptest.NewRecorder()
					h.handler.ServeHTTP(rec, r)
					if rec.Code != 200 {
						b.Fatalf("GET /api/domains/%s = %d: %s, want 200", d.ID, rec.Code, rec.Body)
					}
				}
			})
		})
	}
}

func newBenchWorld(b *testing.B) *world {
	b.Helper()
	return newWorld(b, func(c *Config) {
		c.Registerer = prometheus.NewRegistry()
		c.Logger = slog.New(slog.NewJSONHandler(discard{}, nil))
	})
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
