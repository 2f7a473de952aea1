package acmedns

import (
	"net/http"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
)

// Errors of acme-dns, in the form of its responses.
const (
	errForbidden  = "forbidden"
	errBadTXT     = "bad_txt"
	errJSON       = "malformed_json_payload"
	errNetwork    = "invalid_allowfrom_cidr"
	errDatabase   = "db_error"
	errPlanLimit  = "plan_limit"              // not of acme-dns
	errRateLimit  = "rate_limited"            // not of acme-dns
	errBusy       = "database_unavailable"    // not of acme-dns
	errNotVisible = "name_server_unavailable" // not of acme-dns
)

// write sends a response of acme-dns. Some clients search the body as text, so it is one line.
func write(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body))
}

func writeError(w http.ResponseWriter, status int, code string) {
	write(w, status, `{"error": "`+code+`"}`)
}

// fail sends the response to a request that failed with err.
func (s *Server) fail(w http.ResponseWriter, c *call, err error) {
	e := controlplane.AsError(err)
	switch e.Kind {
	case controlplane.KindRateLimited:
		edge.SetRetryAfter(w.Header(), http.StatusTooManyRequests, e.RetryAt, s.Now())
		writeError(w, http.StatusTooManyRequests, errRateLimit)
	case controlplane.KindUnauthorized, controlplane.KindNotFound:
		writeError(w, http.StatusUnauthorized, errForbidden)
	case controlplane.KindForbidden:
		writeError(w, http.StatusForbidden, errPlanLimit)
	case controlplane.KindUnavailable:
		c.err = err
		code := errBusy
		if e.Code == "zone-not-answering" {
			code = errNotVisible
		}
		edge.SetRetryAfter(w.Header(), http.StatusServiceUnavailable, time.Time{}, s.Now())
		writeError(w, http.StatusServiceUnavailable, code)
	default:
		c.err = err
		writeError(w, http.StatusInternalServerError, errDatabase)
	}
}
