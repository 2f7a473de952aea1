package program

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/seal"
)

// rotation is a deployment of separate processes under load, whose keyset is rotated.
type rotation struct {
	*upgrade
	stopServe, stopWork func()

	serving  sync.RWMutex // write-locked while clients move to another server
	endpoint string

	reads, issued, events atomic.Int64
	hook, secret          string // of the webhook: the body that created it, and its secret
	certificate           string // ID of the first one
}

// TestRotateKeysetUnderLoad rotates the keyset in the documented steps while clients read keys,
// repeat a call whose response has a secret, and issue certificates, and a webhook gets signed
// events: nothing fails. An interrupted resealing is resumed, two run at once, and the old key is
// removed only when nothing needs it.
func TestRotateKeysetUnderLoad(t *testing.T) {
	t.Parallel()
	r := startRotation(t)
	stopLoad := r.load()
	first := r.Config.Keyset
	if _, err := r.step("--remove"); !strings.Contains(fmt.Sprint(err), "no old keys") {
		t.Errorf("rotate-keyset --remove without old keys = %v, want an error", err)
	}
	unprepared, err := seal.Rotate([]byte(first))
	must(t, err)
	r.Config.Keyset = string(unprepared)
	if _, err := r.step("--reseal"); !strings.Contains(fmt.Sprint(err), "without the key") {
		t.Errorf("rotate-keyset --reseal with a key that the processes lack = %v, want an error", err)
	}
	r.Config.Keyset = first

	r.Config.Keyset = r.mustStep("--prepare")
	prepared := r.Config.Keyset
	r.restart()
	r.Config.Keyset = r.mustStep()
	if _, err := r.step("--remove"); !strings.Contains(fmt.Sprint(err), "seal with an old key") {
		t.Errorf("rotate-keyset --remove before the restart = %v, want an error", err)
	}
	r.restart()
	_, err = r.step("--remove")
	for _, want := range []string{"certificates.sealed_key", "acme_accounts.sealed_key",
		"webhook_secrets.sealed", "canaries.value"} {
		if !strings.Contains(fmt.Sprint(err), " in "+want) {
			t.Errorf("rotate-keyset --remove before resealing = %v, want an error with %s", err, want)
		}
	}

	r.wantRefusedBesideOldVersion()

	keys, err := seal.KeysOf([]byte(r.Config.Keyset))
	must(t, err)
	r.killResealing(first, keys)
	both := make(chan error, 2)
	for range cap(both) {
		go func() {
			_, err := r.step("--reseal")
			both <- err
		}()
	}
	for range cap(both) {
		if err := <-both; err != nil {
			t.Errorf("rotate-keyset --reseal, twice at once = %v, want nil", err)
		}
	}
	if found := r.sealedBy(keys.Old[0]); len(found) > 0 {
		t.Errorf("values of the old key after resealing: %v, want none", found)
	}
	r.Config.Keyset = r.mustStep("--remove")
	if left, err := seal.KeysOf([]byte(r.Config.Keyset)); err != nil || len(left.Old) != 0 ||
		left.Primary != keys.Primary {
		t.Errorf("keys after --remove = %v, %v, want only %s", left, err, keys.Primary)
	}
	r.restart()
	r.moreLoad()
	stopLoad()
	if found := r.sealedBy(keys.Old[0]); len(found) > 0 {
		t.Errorf("values of the old key after its removal: %v, want none", found)
	}
	for keyset, want := range map[string]string{first: "can't open",
		prepared: "its primary key was removed"} {
		r.Config.Keyset = keyset
		out, err := r.command("", "serve", "--listen="+loopback(0)).CombinedOutput()
		if text := string(out); err == nil || !strings.Contains(text, "DCVAAS_KEYSET") ||
			!strings.Contains(text, want) {
			t.Errorf("serve with an outdated keyset = %v: %s, want an error with DCVAAS_KEYSET and %q",
				err, out, want)
		}
	}
}

// startRotation starts the processes, issues a certificate, and creates a webhook.
func startRotation(t *testing.T) *rotation {
	t.Helper()
	r := &rotation{upgrade: startUpgrade(t)}
	r.output("", "migrate")
	org := strings.TrimSpace(r.output("", "admin", "create-org", "--tier=agency",
		"--domain-limit=100000", "Rotated"))
	r.Token = strings.TrimSpace(r.output("", "admin", "create-token", "--org="+org))
	r.start("new", "", "dns")
	r.stopWork, r.stopServe = func() {}, func() {}
	r.restart()
	receiver := httptest.NewServer(http.HandlerFunc(r.receive))
	t.Cleanup(receiver.Close)
	r.hook = `{"url":"` + receiver.URL + `"}`
	status, body, err := r.request(http.MethodPost, "/api/webhooks", r.hook, "Idempotency-Key",
		"webhook")
	var hook struct{ Secret string }
	if err != nil || status != http.StatusCreated || json.Unmarshal([]byte(body), &hook) != nil {
		t.Fatalf("POST /api/webhooks = %d: %s, %v, want 201", status, body, err)
	}
	r.secret = hook.Secret
	if r.certificate, err = r.issue("first.example.com"); err != nil {
		t.Fatal(err)
	}
	return r
}

// restart replaces work and serve by processes with the current keyset. Clients move to the new
// server before the old one stops.
func (r *rotation) restart() {
	r.t.Helper()
	stopWork := r.stopWork
	r.stopWork = r.start("new", "", "work")
	stopWork()
	api, stopServe := r.serve("new", "")
	r.serving.Lock()
	r.endpoint = strings.TrimSuffix(api.Endpoint(), "/")
	r.serving.Unlock()
	r.stopServe()
	r.stopServe = stopServe
}

// step runs the command of one step. Its error contains what the command prints.
func (r *rotation) step(args ...string) (string, error) {
	cmd := r.command("", append([]string{"admin", "rotate-keyset"}, args...)...)
	var problems strings.Builder
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, problems.String())
	}
	return strings.TrimSpace(string(out)), err
}

func (r *rotation) mustStep(args ...string) string {
	r.t.Helper()
	out, err := r.step(args...)
	if err != nil {
		r.t.Fatalf("rotate-keyset %q = %v, want nil", args, err)
	}
	return out
}

// wantRefusedBesideOldVersion checks that no step with the database is done while a process is
// connected that does not show its keys.
func (r *rotation) wantRefusedBesideOldVersion() {
	r.t.Helper()
	conn, err := pgx.Connect(r.t.Context(), r.Config.Database)
	must(r.t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	_, err = conn.Exec(r.t.Context(), `SET application_name = 'dcvaas/18/ABCDEF'`)
	must(r.t, err)
	for _, step := range []string{"--reseal", "--remove"} {
		if _, err := r.step(step); !strings.Contains(fmt.Sprint(err), "of an earlier version") {
			r.t.Errorf("rotate-keyset %s beside an earlier version = %v, want an error", step, err)
		}
	}
}

// killResealing adds certificates with the old key, and kills the command with SIGKILL after it has
// resealed some of the values.
func (r *rotation) killResealing(first string, keys seal.Keys) {
	r.t.Helper()
	old, err := seal.Open([]byte(first))
	must(r.t, err)
	const n = 20_000
	ids, sealed := make([]string, n), make([][]byte, n)
	for i := range n {
		ids[i] = fmt.Sprintf("ord_%06d", i)
		if sealed[i], err = old.Seal([]byte("key"), ids[i]); err != nil {
			r.t.Fatal(err)
		}
	}
	r.exec(`INSERT INTO certificates (id, org_id, domain_id, order_id, names, serial, issuer, ca, key_type, not_before, not_after,
			fingerprint_sha256, chain_pem, sealed_key)
		SELECT 'crt_0' || n.id, c.org_id, c.domain_id, n.id, '{}', '0a', '', '', 'ec256', now(), now() + interval '90 days', '', '', n.sealed
		FROM unnest($1::text[], $2::bytea[]) n (id, sealed), certificates c WHERE c.id = $3`, ids, sealed, r.certificate)
	before := r.certificatesOf(keys.Old[0])
	cmd := r.command("", "admin", "rotate-keyset", "--reseal")
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.eventually("the first resealed certificate", func() error {
		if r.certificatesOf(keys.Old[0]) >= before {
			return errNotYet
		}
		return nil
	})
	_ = cmd.Process.Kill()
	if err := cmd.Wait(); err == nil {
		r.t.Error("rotate-keyset --reseal ended before it was killed, want more values")
	}
	if left := r.certificatesOf(keys.Old[0]); left == 0 || left >= before {
		r.t.Errorf("certificates of the old key after the kill = %d, want fewer than %d", left, before)
	}
}

func (r *rotation) certificatesOf(id seal.KeyID) int {
	r.t.Helper()
	return query[int](r.stack,
		`SELECT count(*) FROM certificates WHERE substr(sealed_key, 1, 5) = $1`, id.Prefix())
}

// sealedBy returns the columns of the whole database that have values sealed by a key.
func (r *rotation) sealedBy(id seal.KeyID) []string {
	r.t.Helper()
	conn, err := pgx.Connect(r.t.Context(), r.Config.Database)
	must(r.t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	rows, err := conn.Query(r.t.Context(), `SELECT table_name || '.' || column_name, format('SELECT count(*) FROM %I WHERE substr(%I, 1, 5) = $1', table_name, column_name)
		FROM information_schema.columns WHERE table_schema = 'public' AND data_type = 'bytea'`)
	must(r.t, err)
	counts := map[string]string{}
	var column, sql string
	_, err = pgx.ForEachRow(rows, []any{&column, &sql},
		func() error { counts[column] = sql; return nil })
	must(r.t, err)
	var found []string
	for column, sql := range counts {
		var n int
		must(r.t, conn.QueryRow(r.t.Context(), sql, id.Prefix()).Scan(&n))
		if n > 0 {
			found = append(found, fmt.Sprintf("%d in %s", n, column))
		}
	}
	return found
}

// request calls the API of the current server.
func (r *rotation) request(method, path, body string, headers ...string) (int, string, error) {
	r.serving.RLock()
	defer r.serving.RUnlock()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.endpoint+path,
		strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Authorization", "Bearer "+r.Token)
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// unexpected is the error of a call with another response than the first one or than success.
func unexpected(call string, status int, body string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", call, err)
	}
	return fmt.Errorf("%s = %d: %.200s, want success and the same body", call, status, body)
}

// issue adds a domain and returns the ID of its certificate.
func (r *rotation) issue(name string) (string, error) {
	var d struct {
		ID, Status    string
		CertificateID string `json:"certificate_id"`
		Delegation    struct{ Name, Target string }
	}
	status, body, err := r.request(http.MethodPost, "/api/domains", `{"name":"`+name+`"}`)
	if err != nil || status != http.StatusCreated || json.Unmarshal([]byte(body), &d) != nil {
		return "", unexpected("POST /api/domains", status, body, err)
	}
	if err := r.Playground.Set(d.Delegation.Name, "CNAME", []string{d.Delegation.Target},
		1); err != nil {
		return "", err
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(
		100 * time.Millisecond) {
		status, body, err = r.request(http.MethodGet, "/api/domains/"+d.ID, "")
		if err != nil || status != http.StatusOK || json.Unmarshal([]byte(body), &d) != nil {
			return "", unexpected("GET /api/domains/"+d.ID, status, body, err)
		}
		if d.Status == "active" {
			r.issued.Add(1)
			return d.CertificateID, nil
		}
	}
	return "", errors.New("waited a minute for the certificate of " + name + ": " + body)
}

// receive verifies the signature of an event.
func (r *rotation) receive(_ http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	verifier, err := standardwebhooks.NewWebhook(r.secret)
	if err == nil {
		err = verifier.Verify(body, req.Header)
	}
	if err != nil {
		r.t.Errorf("Verify() of an event = %v, want a valid signature", err)
	}
	r.events.Add(1)
}

// load reads keys, repeats a call with a secret in its response, and issues certificates, until the
// returned function is called.
func (r *rotation) load() (stop func()) {
	r.t.Helper()
	keyPath := "/api/certificates/" + r.certificate + "/key"
	_, key, err := r.request(http.MethodPost, keyPath, "")
	if err != nil || !strings.Contains(key, "PRIVATE KEY") {
		r.t.Fatalf("POST %s = %s, %v, want a key", keyPath, key, err)
	}
	ctx, cancel := context.WithCancel(r.t.Context())
	var running sync.WaitGroup
	repeat := func(do func(n int) error) {
		running.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if err := do(n); err != nil {
					r.t.Error(err)
					return
				}
			}
		})
	}
	for range 2 {
		repeat(func(int) error {
			status, got, err := r.request(http.MethodPost, keyPath, "")
			if err != nil || status != http.StatusOK || got != key {
				return unexpected("POST "+keyPath, status, got, err)
			}
			r.reads.Add(1)
			time.Sleep(100 * time.Millisecond) // within the rate limits
			return nil
		})
	}
	repeat(func(int) error {
		status, got, err := r.request(http.MethodPost, "/api/webhooks", r.hook,
			"Idempotency-Key", "webhook")
		if err != nil || status != http.StatusCreated || !strings.Contains(got, r.secret) {
			return unexpected("repeated POST /api/webhooks", status, got, err)
		}
		time.Sleep(200 * time.Millisecond)
		return nil
	})
	repeat(func(n int) error {
		_, err := r.issue(fmt.Sprintf("load%d.example.com", n))
		return err
	})
	r.moreLoad()
	return func() { cancel(); running.Wait() }
}

// moreLoad waits until each kind of load has made progress.
func (r *rotation) moreLoad() {
	r.t.Helper()
	reads, issued, events := r.reads.Load(), r.issued.Load(), r.events.Load()
	r.eventually("further reads, certificates, and events", func() error {
		if r.reads.Load() < reads+5 || r.issued.Load() < issued+2 || r.events.Load() < events+2 {
			return errNotYet
		}
		return nil
	})
}
