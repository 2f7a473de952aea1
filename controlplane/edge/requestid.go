package edge

import (
	"net/http"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const maxRequestID = 128

// RequestID returns the request's Request-Id header if it is safe to log and to send back, and a
// new ID otherwise.
func RequestID(r *http.Request) string {
	if id := r.Header.Get("Request-Id"); isRequestID(id) {
		return id
	}
	return controlplane.NewID("req")
}

func isRequestID(s string) bool {
	if s == "" || len(s) > maxRequestID {
		return false
	}
	for i := range len(s) {
		switch b := s[i]; {
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b >= '0' && b <= '9':
		case b == '.', b == '_', b == ':', b == '-':
		default:
			return false
		}
	}
	return true
}
