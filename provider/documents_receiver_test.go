package provider

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/dcvaas/terraform-provider-dcvaas/docs/doctest"
)

// receiver runs an example receiver: it accepts signed deliveries and rejects all others with 401.
func (d *docRun) receiver(b *doctest.Block) {
	d.Helper()
	file, port := b.Option("file"), fmt.Sprint(freePort(d.acc))
	dir := filepath.Join(d.dir, "receiver-"+b.Language)
	d.write(filepath.Join("receiver-"+b.Language, file), strings.ReplaceAll(b.Text, "8081", port),
		0o600)
	var cmd *exec.Cmd
	switch b.Language {
	case "go":
		binary := filepath.Join(dir, "receiver")
		if out, err := exec.Command("go", "build", "-o", binary,
			filepath.Join(dir, file)).CombinedOutput(); err != nil {
			d.Fatalf("%s: go build: %v: %s", b.At(), err, out)
		}
		cmd = exec.Command(binary)
	case "js":
		install := exec.Command("npm", "install", "--no-audit", "--no-fund", "standardwebhooks")
		install.Dir = dir
		if out, err := install.CombinedOutput(); err != nil {
			d.Logf("not run: %s: npm install standardwebhooks: %v: %s", b.At(), err, out)
			return
		}
		cmd = exec.Command("node", file)
	default:
		cmd = exec.Command("python3", file)
	}
	d.n++
	secret := webhookSecret(1)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "WEBHOOK_SECRET="+secret)
	if err := cmd.Start(); err != nil {
		d.Logf("not run: %s: %v", b.At(), err)
		return
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	d.deliveries(b, "http://127.0.0.1:"+port+"/hooks/dcvaas", secret)
}

// deliveries posts a signed delivery and forged ones.
func (d *docRun) deliveries(b *doctest.Block, url, secret string) {
	d.Helper()
	hook, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		d.Fatal(err)
	}
	now, body := time.Now(), `{"type":"domain.renewed","data":{}}`
	signature, err := hook.Sign("evt_1", now, []byte(body))
	if err != nil {
		d.Fatal(err)
	}
	signed := http.Header{"Webhook-Id": {"evt_1"}, "Webhook-Timestamp": {fmt.Sprint(now.Unix())},
		"Webhook-Signature": {signature}, "Content-Type": {"application/json"}}
	without := func(name string) http.Header {
		h := signed.Clone()
		h.Del(name)
		return h
	}
	for _, c := range []struct {
		name   string
		header http.Header
		body   string
		want   int
	}{
		{"signed", signed, body, 204}, {"unsigned", http.Header{}, body, 401},
		{"no ID", without("Webhook-Id"), body, 401},
		{"no timestamp", without("Webhook-Timestamp"), body, 401},
		{"no signature", without("Webhook-Signature"), body, 401},
		{"changed", signed, body + " ", 401},
	} {
		got, err := post(url, c.header, c.body)
		for range 600 {
			if err == nil {
				break
			}
			time.Sleep(50 * time.Millisecond) // the receiver starts
			got, err = post(url, c.header, c.body)
		}
		if err != nil || got != c.want {
			d.Errorf("%s: %s delivery = %d, %v, want %d", b.At(), c.name, got, err, c.want)
		}
	}
}

func post(url string, header http.Header, body string) (int, error) {
	req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header = header
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

func freePort(a *acc) int {
	a.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		a.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}
