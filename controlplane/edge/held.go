package edge

import (
	"bytes"
	"maps"
	"net/http"
)

// Sealer seals responses that are stored, because they can contain secrets (package seal).
type Sealer interface {
	Seal(plain []byte, associated string) ([]byte, error)
	Open(sealed []byte, associated string) ([]byte, error)
}

// HeldResponse is a response that is not sent yet. It is an http.ResponseWriter.
type HeldResponse struct {
	Headers http.Header
	Status  int // 0 before the handler wrote anything
	Body    bytes.Buffer
}

var _ http.ResponseWriter = (*HeldResponse)(nil)

// NewHeldResponse returns an empty response.
func NewHeldResponse() *HeldResponse { return &HeldResponse{Headers: http.Header{}} }

// Header implements http.ResponseWriter.
func (h *HeldResponse) Header() http.Header { return h.Headers }

// WriteHeader implements http.ResponseWriter.
func (h *HeldResponse) WriteHeader(status int) {
	if h.Status == 0 {
		h.Status = status
	}
}

// Write implements http.ResponseWriter.
func (h *HeldResponse) Write(b []byte) (int, error) {
	h.WriteHeader(http.StatusOK)
	return h.Body.Write(b)
}

// Finish sets the status of a handler that wrote nothing, as net/http does.
func (h *HeldResponse) Finish() { h.WriteHeader(http.StatusOK) }

// Send sends the response. Its headers replace those of w with the same names.
func (h *HeldResponse) Send(w http.ResponseWriter) {
	maps.Copy(w.Header(), h.Headers)
	w.WriteHeader(h.Status)
	_, _ = w.Write(h.Body.Bytes())
}
