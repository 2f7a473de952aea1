package api

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/gorilla/mux"
	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres/postgrestest"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/seal"
)

func TestMain(m *testing.M) { postgrestest.Main(m) }

// world is the API with its own database, behind a real HTTP server.
type world struct {
	t       testing.TB
	dsn     string
	store   *postgres.Store
	service *lifecycle.Service
	sealer  *seal.Sealer
	doctor  *doctor
	hosts   *hosts
	api     *API
	server  *httptest.Server
	log     *logBuffer
	seen    *seen // what the contract's test has drawn; nil in others

	org   string
	token string // every scope, no restriction
}

// issuer is a fake of the CAs, of which the API needs only the names.
type issuer struct{ lifecycle.Issuer }

func (issuer) CAs() []string { return []string{"first", "second"} }

func (issuer) Identities(context.Context) []controlplane.CAIdentity {
	return []controlplane.CAIdentity{{Name: "first", Identities: []string{"first.test"}},
		{Name: "second", Identities: []string{"second.test"}}}
}

// gitHub is a fake of GitHub that has every account except "nobody".
type gitHub struct{}

func (gitHub) LookUp(_ context.Context, login string) (controlplane.GitHubAccount, error) {
	if login == "nobody" {
		return controlplane.GitHubAccount{},
			controlplane.Invalid("/login", "login-unknown", "GitHub has no such account.",
				"Send a login.")
	}
	return controlplane.GitHubAccount{ID: int64(crc32.ChecksumIEEE([]byte(login))), Login: login},
		nil
}

// doctor is a fake of DNS. The zero value finds no problem.
type doctor struct {
	mu      sync.Mutex
	examine func(ctx context.Context, domain, target string, wildcard bool,
		cas []controlplane.CAIdentity) (controlplane.Examination, error)
}

// RehearseNames implements lifecycle.Doctor.
func (d *doctor) RehearseNames(
	ctx context.Context, names []controlplane.NameCheck, cas []controlplane.CAIdentity,
) ([]controlplane.Examination, error) {
	return d.ExamineNames(ctx, names, cas)
}

// ExamineNames implements lifecycle.Doctor.
func (d *doctor) ExamineNames(
	ctx context.Context, names []controlplane.NameCheck, cas []controlplane.CAIdentity,
) ([]controlplane.Examination, error) {
	var all []controlplane.Examination
	for _, n := range names {
		e, err := d.look(ctx, n.Name, n.Target, n.Wildcard, cas)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

func (d *doctor) look(
	ctx context.Context, domain, target string, wildcard bool, cas []controlplane.CAIdentity,
) (controlplane.Examination, error) {
	d.mu.Lock()
	examine := d.examine
	d.mu.Unlock()
	if examine == nil {
		return controlplane.Examination{
			Delegation: controlplane.Diagnosis{Code: controlplane.CauseOK},
			DNSSEC:     controlplane.DNSSECInsecure}, nil
	}
	return examine(ctx, domain, target, wildcard, cas)
}

func (d *doctor) does(
	examine func(ctx context.Context, domain, target string, wildcard bool,
		cas []controlplane.CAIdentity) (controlplane.Examination, error),
) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.examine = examine
}

func newWorld(t testing.TB, change ...func(*Config)) *world {
	t.Helper()
	w := &world{t: t, dsn: postgrestest.DSN(t), log: &logBuffer{}, doctor: &doctor{},
		hosts: &hosts{}}
	var err error
	if w.store, err = postgres.Open(t.Context(),
		postgres.Config{DSN: postgrestest.As(w.dsn, postgres.PartServe), MaxConns: 8}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.store.Close)
	keyset, err := seal.New()
	if err != nil {
		t.Fatal(err)
	}
	if w.sealer, err = seal.Open(keyset); err != nil {
		t.Fatal(err)
	}
	if w.service, err = lifecycle.New(lifecycle.Config{Store: w.store,
		Zone: "acme.dcvaas.test", TargetKey: bytes.Repeat([]byte{7}, 32), Issuer: issuer{},
		Doctor: w.doctor, Sealer: w.sealer, DNSHosts: w.hosts}); err != nil {
		t.Fatal(err)
	}
	config := Config{Store: w.store, Lifecycle: w.service, Sealer: w.sealer, GitHub: gitHub{},
		CursorKey: bytes.Repeat([]byte{9}, 32), PublicURL: "https://dcvaas.test",
		Logger: slog.New(slog.NewJSONHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	for _, f := range change {
		f(&config)
	}
	if w.api, err = New(config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.api.Close)
	w.server = httptest.NewServer(w.api)
	t.Cleanup(w.server.Close)
	w.org = w.newOrg("Test")
	w.token = w.newToken(w.org, lifecycle.NewToken{Scopes: controlplane.Scopes()})
	return w
}

func (w *world) newOrg(name string) string {
	w.t.Helper()
	limit := 1000
	o, err := w.service.CreateOrganization(w.t.Context(), controlplane.System("test"),
		lifecycle.NewOrganization{Name: name, Tier: controlplane.TierFree, DomainLimit: &limit})
	if err != nil {
		w.t.Fatal(err)
	}
	return o.ID
}

func (w *world) newToken(org string, in lifecycle.NewToken) string {
	w.t.Helper()
	in.Name = "test"
	_, secret, err := w.service.CreateToken(w.t.Context(), controlplane.System("test"), nil, org,
		in)
	if err != nil {
		w.t.Fatal(err)
	}
	return secret
}

func (w *world) newDomain(org, name string) *controlplane.Domain {
	w.t.Helper()
	d, err := w.service.AddDomain(w.t.Context(), controlplane.System("test"), org,
		lifecycle.NewDomain{Name: name, Options: controlplane.Options{AutoIssue: true,
			AutoRenew: true}})
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

func (w *world) jobOf(org, domainID string) *controlplane.Job {
	w.t.Helper()
	jobs, _, err := w.store.ListJobs(w.t.Context(), org,
		postgres.JobFilter{DomainID: domainID, Limit: 1})
	if err != nil || len(jobs) == 0 {
		w.t.Fatalf("no job of %s: %v", domainID, err)
	}
	return &jobs[0]
}

// newCertificate stores a certificate of two, with a sealed key unless csr.
func (w *world) newCertificate(d *controlplane.Domain, csr bool) *controlplane.Certificate {
	w.t.Helper()
	now := time.Now().UTC().Truncate(time.Microsecond)
	c := &controlplane.Certificate{ID: controlplane.NewID(controlplane.PrefixCertificate),
		OrgID: d.OrgID, DomainID: d.ID,
		OrderID: controlplane.NewID(controlplane.PrefixOrder),
		Names:   []string{"*." + d.Name, d.Name}, Serial: "0a", Issuer: "Test CA",
		CA: "first", KeyType: controlplane.KeyEC256,
		NotBefore: now, NotAfter: now.Add(90 * 24 * time.Hour),
		FingerprintSHA256: strings.Repeat("ab", 32), CreatedAt: now}
	leaf, key := selfSigned(w.t, "leaf")
	ca, _ := selfSigned(w.t, "ca")
	c.ChainPEM = leaf + "\n" + ca
	if !csr {
		var err error
		if c.SealedKey, err = w.sealer.Seal([]byte(key), c.OrderID); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := w.store.InTx(w.t.Context(),
		func(tx *postgres.Tx) error {
			return tx.AddCertificate(w.t.Context(), c,
				"")
		}); err != nil {
		w.t.Fatal(err)
	}
	return c
}

func selfSigned(t testing.TB, name string) (certPEM, keyPEM string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
}

// exec runs SQL behind the store's back.
func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	conn, err := pgx.Connect(w.t.Context(), w.dsn)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(w.t.Context(), sql, args...); err != nil {
		w.t.Fatal(err)
	}
}

// rows returns a digest of everything that an organization owns.
func (w *world) rows(org string) string {
	w.t.Helper()
	conn, err := pgx.Connect(w.t.Context(), w.dsn)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	var digest string
	err = conn.QueryRow(w.t.Context(), `SELECT md5(string_agg(r, '|' ORDER BY r)) FROM (
		SELECT d::text r FROM domains d WHERE org_id = $1 UNION ALL SELECT j::text FROM jobs j WHERE org_id = $1
		UNION ALL SELECT c::text FROM certificates c WHERE org_id = $1 UNION ALL SELECT t::text FROM api_tokens t WHERE org_id = $1
		UNION ALL SELECT m::text FROM organization_members m WHERE org_id = $1 UNION ALL SELECT i::text FROM invitations i WHERE org_id = $1
		UNION ALL SELECT s.id FROM sessions s WHERE org_id = $1
		UNION ALL SELECT h::text FROM webhooks h WHERE org_id = $1 UNION ALL SELECT v::text FROM webhook_deliveries v WHERE org_id = $1
		UNION ALL SELECT a::text FROM audit_logs a WHERE org_id = $1 UNION ALL SELECT o::text FROM organizations o WHERE id = $1) x`, org).Scan(&digest)
	if err != nil {
		w.t.Fatal(err)
	}
	return digest
}

// answer is a response, with the decoded body if it is JSON.
type answer struct {
	t      testing.TB
	status int
	header http.Header
	body   string
	json   map[string]any
}

type option func(*http.Request)

func header(name, value string) option {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func as(token string) option { return header("Authorization", "Bearer "+token) }

func anonymous(r *http.Request) { r.Header.Del("Authorization") }

// do sends a request with the world's token, and validates the response against the contract. A
// string body is sent unchanged, any other as JSON.
func (w *world) do(method, path string, body any, options ...option) *answer {
	w.t.Helper()
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(b)
	default:
		encoded, err := json.Marshal(b)
		if err != nil {
			w.t.Fatal(err)
		}
		reader = bytes.NewReader(encoded)
	}
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.server.URL+path, reader)
	if err != nil {
		w.t.Fatal(err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("Authorization", "Bearer "+w.token)
	for _, o := range options {
		o(r)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	a := &answer{t: w.t, status: resp.StatusCode, header: resp.Header, body: string(raw)}
	if got := resp.Header.Get("DCVaaS-API"); got != "1" {
		w.t.Errorf("%s %s: DCVaaS-API = %q with %d, want 1", method, path, got, a.status)
	}
	if strings.HasSuffix(strings.Split(resp.Header.Get("Content-Type"), ";")[0], "json") &&
		!strings.HasSuffix(resp.Header.Get("Content-Type"), "ndjson") && len(raw) > 0 {
		if err := json.Unmarshal(raw, &a.json); err != nil {
			w.t.Fatalf("%s %s: %v in %s", method, path, err, raw)
		}
	}
	w.conforms(r, a)
	return a
}

var contract = sync.OnceValues(GetSpec)

// conforms fails the test if the contract does not list the response for the operation, or the
// response does not match its schema. Every response of every test is checked.
func (w *world) conforms(r *http.Request, a *answer) {
	w.t.Helper()
	var match mux.RouteMatch
	asked := r.Clone(w.t.Context())
	if asked.Method == http.MethodHead {
		asked.Method = http.MethodGet
	}
	if !w.api.router.Match(asked, &match) || match.MatchErr != nil || match.Route == nil {
		return // nothing is routed there
	}
	op := w.api.operations[match.Route]
	doc, err := contract()
	if err != nil {
		w.t.Fatal(err)
	}
	operation := doc.Paths.Value(op.path).GetOperation(op.method)
	response := operation.Responses.Status(a.status)
	if w.seen != nil {
		w.seen.add(op, a.status)
	}
	if response == nil {
		w.t.Errorf("%s: the contract lists no %d: %s", op.id, a.status, a.body)
		return
	}
	for name, h := range response.Value.Headers {
		if h.Value.Required && a.header.Get(name) == "" {
			w.t.Errorf("%s: %d has no %s", op.id, a.status, name)
		}
	}
	if len(response.Value.Content) == 0 || asked.Method != r.Method {
		return
	}
	media := response.Value.Content.Get(a.header.Get("Content-Type"))
	if media == nil {
		w.t.Errorf("%s: %d has Content-Type %q", op.id, a.status, a.header.Get("Content-Type"))
		return
	}
	if a.json == nil {
		return
	}
	if err := media.Schema.Value.VisitJSON(a.json, openapi3.VisitAsResponse(),
		openapi3.MultiErrors()); err != nil {
		w.t.Errorf("%s: body of %d does not match the contract: %v", op.id, a.status, err)
	}
	if more := unknownFields(media.Schema.Value, a.json); more != "" {
		w.t.Errorf("%s: %d has a field that the contract lacks: %s", op.id, a.status, more)
	}
}

func unknownFields(s *openapi3.Schema, v any) string {
	switch v := v.(type) {
	case map[string]any:
		properties := openapi3.Schemas{}
		for _, part := range append(openapi3.SchemaRefs{{Value: s}}, s.AllOf...) {
			for name, p := range part.Value.Properties {
				properties[name] = p
			}
		}
		if len(properties) == 0 {
			return "" // a map
		}
		for name, field := range v {
			p := properties[name]
			if p == nil {
				return name
			}
			if more := unknownFields(p.Value, field); more != "" {
				return name + "/" + more
			}
		}
	case []any:
		for _, item := range v {
			if more := unknownFields(s.Items.Value, item); more != "" {
				return more
			}
		}
	}
	return ""
}

// is fails the test unless the response has the status.
func (a *answer) is(status int) *answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	return a
}

// problem fails the test unless the response is a problem with the status and code.
func (a *answer) problem(status int, code string) *answer {
	a.t.Helper()
	a.is(status)
	if a.json["code"] != code || a.header.Get("Content-Type") != "application/problem+json" {
		a.t.Fatalf("code %v, want %s: %s", a.json["code"], code, a.body)
	}
	if got, want := a.json["type"], "https://dcvaas.test/problems/"+code; got != want {
		a.t.Errorf("type %v, want %s", got, want)
	}
	if a.json["request_id"] != a.header.Get("Request-Id") || a.json["request_id"] == "" {
		a.t.Errorf("request_id %v, header %q", a.json["request_id"], a.header.Get("Request-Id"))
	}
	if status != http.StatusInternalServerError &&
		(a.json["fix"] == nil || a.json["title"] == http.StatusText(status)) {
		a.t.Errorf("problem %s has no fix or no title: %s", code, a.body)
	}
	return a
}

// pointers returns "pointer code" of every entry of errors.
func (a *answer) pointers() []string {
	var out []string
	list, _ := a.json["errors"].([]any)
	for _, e := range list {
		entry := e.(map[string]any)
		out = append(out, fmt.Sprint(entry["pointer"], " ", entry["code"]))
	}
	return out
}

func (a *answer) string(field string) string {
	a.t.Helper()
	s, ok := a.json[field].(string)
	if !ok {
		a.t.Fatalf("%s is %v: %s", field, a.json[field], a.body)
	}
	return s
}

// ids returns the IDs of a list's page.
func (a *answer) ids() []string {
	var out []string
	list, _ := a.json["data"].([]any)
	for _, item := range list {
		out = append(out, item.(map[string]any)["id"].(string))
	}
	return out
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
