package program

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// TestWorkerKilledDuringDelivery kills a worker with SIGKILL during an attempt. The next worker
// sends the same body with the same ID, and both signatures are valid.
func TestWorkerKilledDuringDelivery(t *testing.T) {
	t.Parallel()
	s := startStack(t, DevConfig{EmbeddedRedis: true, NoWork: true})
	type request struct {
		header http.Header
		body   []byte
	}
	received := make(chan request, 8)
	hold := make(chan struct{})
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		received <- request{r.Header.Clone(), body}
		select {
		case <-hold:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(receiver.Close)
	var hook struct{ ID, Secret string }
	if resp, body := s.call("POST", "/api/webhooks", `{"events":["domain.created"],"url":"`+
		receiver.URL+`"}`); resp.StatusCode != http.StatusCreated ||
		json.Unmarshal([]byte(body), &hook) != nil {
		t.Fatalf("POST /api/webhooks = %s: %s, want 201", resp.Status, body)
	}
	verifier, err := standardwebhooks.NewWebhook(hook.Secret)
	if err != nil {
		t.Fatal(err)
	}
	worker := s.startWorker()
	s.add("killed.example.com")
	first := <-received
	worker.kill()
	close(hold)
	s.startWorker()
	second := <-received
	for _, r := range []request{first, second} {
		if err := verifier.Verify(r.body, r.header); err != nil {
			t.Errorf("Verify() = %v, want a valid signature", err)
		}
	}
	if id := first.header.Get("webhook-id"); id != second.header.Get("webhook-id") ||
		!bytes.Equal(first.body, second.body) {
		t.Errorf("second attempt = %s with ID %s, want the first again: %s with ID %s", second.body,
			second.header.Get("webhook-id"), first.body, id)
	}
	s.eventually("the delivery to have succeeded", func() error {
		if _, body := s.call("GET", "/api/webhooks/"+hook.ID+"/deliveries?status=succeeded",
			""); !strings.Contains(body, first.header.Get("webhook-id")) {
			return errors.New(body)
		}
		return nil
	})
}
