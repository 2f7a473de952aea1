package dashboard

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const sampleSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// startSample starts a sample receiver, which stops at the end of the test, and returns its URL. A
// language without its tool on this machine is logged: its sample does not run.
func startSample(t *testing.T, id string) (address string, ok bool) {
	t.Helper()
	tool := map[string]string{"go": "go", "node": "node", "python": "python3"}[id]
	if _, err := exec.LookPath(tool); err != nil {
		t.Logf("not run: the sample in %s: %v", id, err)
		return "", false
	}
	for range 5 { // another process may take the port first, and then the receiver ends
		address := fmt.Sprintf("http://127.0.0.1:%d/hooks/dcvaas", freePort(t))
		for _, sample := range verifySamples(address) {
			if sample.ID == id && runSample(t, tool, id, sample.Code.Text, address) {
				return address, true
			}
		}
	}
	t.Fatalf("the receiver in %s does not start", id)
	return "", false
}

// runSample runs a receiver, and returns whether it accepts connections. It returns false if the
// receiver ends.
func runSample(t *testing.T, tool, id, text, address string) bool {
	t.Helper()
	file := map[string]string{"go": "main.go", "node": "hook.mjs", "python": "hook.py"}[id]
	path := filepath.Join(t.TempDir(), file)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(tool, path)
	if id == "go" {
		binary := filepath.Join(t.TempDir(), "hook")
		if out, err := exec.Command(tool, "build", "-o", binary, path).CombinedOutput(); err != nil {
			t.Fatalf("go build of the sample = %v: %s", err, out)
		}
		cmd = exec.Command(binary)
	}
	cmd.Env = append(os.Environ(), "WEBHOOK_SECRET="+sampleSecret)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	for {
		conn, err := net.Dial("tcp", strings.Split(address, "/")[2])
		if err == nil {
			_ = conn.Close()
		}
		select {
		case <-ended:
			return false
		case <-t.Context().Done():
			return false
		case <-time.After(50 * time.Millisecond):
			if err == nil {
				return true
			}
		}
	}
}

// freePort returns a port that nothing listens on.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return port
}

// Each sample listens on the port of the URL, accepts signed deliveries, and rejects all others,
// unsigned ones included, with 401.
func TestVerifySamplesRun(t *testing.T) {
	t.Parallel()
	hook, err := standardwebhooks.NewWebhook(sampleSecret)
	if err != nil {
		t.Fatal(err)
	}
	body := []byte(`{"type":"domain.renewed"}`)
	now := time.Now()
	sign := func(at time.Time, body []byte) string {
		signature, err := hook.Sign("evt_1", at, body)
		if err != nil {
			t.Fatal(err)
		}
		return signature
	}
	for _, id := range []string{"go", "node", "python"} {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			address, ok := startSample(t, id)
			if !ok {
				return
			}
			old := now.Add(-time.Hour)
			for name, c := range map[string]struct {
				id, sent, signature string
				want                int
			}{
				"signed":        {"evt_1", unix(now), sign(now, body), 204},
				"two secrets":   {"evt_1", unix(now), "v1,AAAA " + sign(now, body), 204},
				"no headers":    {"", "", "", 401},
				"no ID":         {"", unix(now), sign(now, body), 401},
				"no timestamp":  {"evt_1", "", sign(now, body), 401},
				"no signature":  {"evt_1", unix(now), "", 401},
				"not a time":    {"evt_1", "yesterday", sign(now, body), 401},
				"old":           {"evt_1", unix(old), sign(old, body), 401},
				"another body":  {"evt_1", unix(now), sign(now, []byte("{}")), 401},
				"not a version": {"evt_1", unix(now), sign(now, body)[3:], 401},
			} {
				if got := deliver(t, address, body, c.id, c.sent, c.signature); got != c.want {
					t.Errorf("%s: status = %d, want %d", name, got, c.want)
				}
			}
		})
	}
}

func unix(at time.Time) string { return fmt.Sprint(at.Unix()) }

// deliver posts a delivery with the headers that are not empty, and returns the status.
func deliver(t *testing.T, address string, body []byte, id, sent, signature string) int {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, address, strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"webhook-id": id, "webhook-timestamp": sent,
		"webhook-signature": signature} {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func TestReceiverPort(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"https://example.com/hook": sampleProxyPort, "https://example.com:8443/hook": "8443",
		"http://127.0.0.1:9999/": "9999", "http://127.0.0.1/": "80",
	} {
		for _, sample := range verifySamples(address) {
			if !strings.Contains(sample.Code.Text, want) {
				t.Errorf("verifySamples(%s), %s: does not listen on %s", address, sample.ID, want)
			}
			if proxied := strings.Contains(sample.Note, "proxy"); proxied !=
				strings.HasPrefix(address, "https") {
				t.Errorf("verifySamples(%s), %s: note = %q", address, sample.ID, sample.Note)
			}
		}
	}
}
