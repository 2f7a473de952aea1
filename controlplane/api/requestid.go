package api

import (
	"net/http"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const maxRequestID = 128

// requestID returns the caller's Request-Id where it is fit to be logged and sent back, or a
// new one.
func requestID(r *http.Request) string {
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
