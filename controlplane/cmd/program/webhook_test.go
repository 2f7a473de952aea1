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

// A worker that is killed with SIGKILL amid an attempt: the next one sends the same bytes
// under the same id, and the receiver verifies both.
func TestWorkerKilledAmidADelivery(t *testing.T) {
	t.Parallel()
	s := startStack(t, DevConfig{EmbeddedRedis: true, NoWork: true})
	type request struct {
		header http.Header
		body   []byte
	}
	came := make(chan request, 8)
	hold := make(chan struct{})
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		came <- request{r.Header.Clone(), body}
		select {
		case <-hold:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(receiver.Close)
	var hook struct{ ID, Secret string }
	if resp, body := s.call("POST", "/api/webhooks", `{"events":["domain.created"],"url":"`+receiver.URL+`"}`); resp.StatusCode != http.StatusCreated || json.Unmarshal([]byte(body), &hook) != nil {
		t.Fatalf("%s: %s", resp.Status, body)
	}
	verifier, err := standardwebhooks.NewWebhook(hook.Secret)
	if err != nil {
		t.Fatal(err)
	}
	worker := s.startWorker()
	s.add("killed.example.com")
	first := <-came
	worker.kill()
	close(hold)
	s.startWorker()
	second := <-came
	for _, r := range []request{first, second} {
		if err := verifier.Verify(r.body, r.header); err != nil {
			t.Error(err)
		}
	}
	if id := first.header.Get("webhook-id"); id != second.header.Get("webhook-id") || !bytes.Equal(first.body, second.body) {
		t.Errorf("%s, then %s", first.body, second.body)
	}
	s.eventually("the delivery to have succeeded", func() error {
		if _, body := s.call("GET", "/api/webhooks/"+hook.ID+"/deliveries?status=succeeded", ""); !strings.Contains(body, first.header.Get("webhook-id")) {
			return errors.New(body)
		}
		return nil
	})
}
