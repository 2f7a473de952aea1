package devstack

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"sync"
)

// newOrderPath is the path of Pebble's newOrder endpoint, which Pebble does not export.
const newOrderPath = "/order-plz"

// orderCounter counts newOrder requests and created orders.
type orderCounter struct {
	next http.Handler

	mu       sync.Mutex
	requests int
	orders   int
	byName   map[string]int
}

func newOrderCounter(next http.Handler) *orderCounter {
	return &orderCounter{next: next, byName: make(map[string]int)}
}

func (c *orderCounter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.URL.Path != newOrderPath {
		c.next.ServeHTTP(w, r)
		return
	}
	c.mu.Lock()
	c.requests++
	c.mu.Unlock()

	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxACMEBody))
	if err != nil {
		http.Error(w, "reading the request failed", http.StatusBadRequest)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	counted := &countedResponse{ResponseWriter: w, onCreated: func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.orders++
		for _, name := range orderNames(body) {
			c.byName[name]++
		}
	}}
	c.next.ServeHTTP(counted, r)
}

func (c *orderCounter) requested() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.requests
}

func (c *orderCounter) created() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.orders
}

func (c *orderCounter) createdFor(name string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.byName[name]
}

// orderNames returns the identifiers of a newOrder request, which is a flattened JWS (RFC 8555
// §6.2). It returns nil for malformed requests.
func orderNames(body []byte) []string {
	var jws struct {
		Payload string `json:"payload"`
	}
	if json.Unmarshal(body, &jws) != nil {
		return nil
	}
	payload, err := base64.RawURLEncoding.DecodeString(jws.Payload)
	if err != nil {
		return nil
	}
	var order struct {
		Identifiers []struct {
			Value string `json:"value"`
		} `json:"identifiers"`
	}
	if json.Unmarshal(payload, &order) != nil {
		return nil
	}
	names := make([]string, 0, len(order.Identifiers))
	for _, id := range order.Identifiers {
		names = append(names, id.Value)
	}
	return names
}

// countedResponse calls onCreated before it sends a 201, so that a client that has the response
// sees the updated count.
type countedResponse struct {
	http.ResponseWriter
	onCreated func()
}

func (w *countedResponse) WriteHeader(status int) {
	if status == http.StatusCreated {
		w.onCreated()
	}
	w.ResponseWriter.WriteHeader(status)
}
