package dashboard

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"html"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres/postgrestest"
)

func TestMain(m *testing.M) { postgrestest.Main(m) }

// noIssuer fails on use: no page contacts a CA.
type noIssuer struct{ lifecycle.Issuer }

func (noIssuer) CAs() []string { return []string{"letsencrypt", "zerossl"} }

func (noIssuer) Identities(context.Context) []controlplane.CAIdentity {
	return []controlplane.CAIdentity{
		{Name: "letsencrypt", Identities: []string{"letsencrypt.org"}},
		{Name: "zerossl", Identities: []string{"sectigo.com"}}}
}

// site is a dashboard with its database, its clock, and one visitor.
type site struct {
	t       *testing.T
	dsn     string
	store   *postgres.Store
	life    *lifecycle.Service
	org     *controlplane.Organization
	dash    *Dashboard
	server  *httptest.Server
	visitor *http.Client
	log     *lockedBuffer
	dns     *customerDNS

	*clock
}

// clock is the dashboard's clock.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func newSite(t *testing.T, change ...func(*Config)) *site {
	t.Helper()
	t.Parallel()
	s := &site{t: t, dsn: postgrestest.DSN(t), log: &lockedBuffer{}, clock: &clock{},
		dns: &customerDNS{t: t}}
	var err error
	s.store, err = postgres.Open(t.Context(), postgres.Config{
		DSN: postgrestest.As(s.dsn, postgres.PartServe), MaxConns: 8})
	s.must(err)
	t.Cleanup(s.store.Close)
	s.life, err = lifecycle.New(lifecycle.Config{Store: s.store,
		Zone: "acme.dcvaas-verify.com", TargetKey: bytes.Repeat([]byte{7}, 32), Issuer: noIssuer{},
		DNSHosts: &dnsHosts{}, Doctor: s.dns})
	s.must(err)
	s.org = s.newOrg("Example Ltd")
	s.addMember(s.org, developer, controlplane.RoleOwner)
	c := Config{Store: s.store, Lifecycle: s.life, SessionKey: bytes.Repeat([]byte{9}, 32),
		Sealer: newSealer(t), DevSignIn: &developer,
		Logger: slog.New(slog.NewTextHandler(s.log, nil)),
		Now: func() time.Time {
			s.mu.Lock()
			defer s.mu.Unlock()
			return time.Now().Add(s.ahead)
		}}
	for _, f := range change {
		f(&c)
	}
	s.dash, err = New(c)
	s.must(err)
	s.server = httptest.NewUnstartedServer(s.dash)
	// shorter than those of the program
	s.server.Config.ReadTimeout, s.server.Config.WriteTimeout = 3*time.Second, 5*time.Second
	s.server.Start()
	t.Cleanup(s.server.Close)
	t.Cleanup(s.dash.SetStopping)
	jar, err := cookiejar.New(nil)
	s.must(err)
	s.visitor = &http.Client{Jar: jar, CheckRedirect: func(*http.Request,
		[]*http.Request) error {
		return http.ErrUseLastResponse
	}}
	return s
}

// developer is the account of the development sign-in.
var developer = controlplane.GitHubAccount{ID: 1, Login: "developer", Name: "The Developer"}

// addMember adds a member.
func (s *site) addMember(
	org *controlplane.Organization, account controlplane.GitHubAccount, role controlplane.Role,
) *controlplane.Member {
	s.t.Helper()
	m, err := s.life.AddMember(s.t.Context(), controlplane.System("test"), org.ID, account, role)
	s.must(err)
	return m
}

// newSignedIn is newSite with a signed-in visitor.
func newSignedIn(t *testing.T, change ...func(*Config)) *site {
	t.Helper()
	s := newSite(t, change...)
	s.post("/login", nil).want(http.StatusSeeOther)
	return s
}

// newVisitor returns the site with a separate visitor, who is not signed in.
func (s *site) newVisitor() *site {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	s.must(err)
	other := &site{t: s.t, dsn: s.dsn, store: s.store, life: s.life, org: s.org, dash: s.dash,
		server: s.server, log: s.log, clock: s.clock, dns: s.dns}
	other.visitor = &http.Client{Jar: jar, CheckRedirect: s.visitor.CheckRedirect}
	return other
}

// signedInAs returns the site with a separate visitor, who is signed in as the account.
func (s *site) signedInAs(account controlplane.GitHubAccount) *site {
	s.t.Helper()
	other := s.newVisitor()
	_, secret, err := s.life.SignIn(s.t.Context(), controlplane.Actor{}, "test", account)
	s.must(err)
	u, err := url.Parse(s.server.URL)
	s.must(err)
	other.visitor.Jar.SetCookies(u, []*http.Cookie{{Name: "dcvaas_session", Value: secret}})
	return other
}

// actions returns the actions on a kind of object in the audit log, oldest first.
func (s *site) actions(orgID, entityType string) []string {
	s.t.Helper()
	entries, _, err := s.store.ListLog(s.t.Context(), orgID, postgres.LogFilter{Limit: 200})
	s.must(err)
	var out []string
	for i := range entries {
		if entries[i].EntityType == entityType {
			out = append(out, entries[i].Action)
		}
	}
	slices.Reverse(out)
	return out
}

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) newOrg(name string) *controlplane.Organization {
	s.t.Helper()
	o, err := s.life.CreateOrganization(s.t.Context(), controlplane.System("test"),
		lifecycle.NewOrganization{Name: name, Tier: controlplane.TierPro})
	s.must(err)
	return o
}

func (s *site) add(
	org *controlplane.Organization, name string, change ...func(*controlplane.Options),
) *controlplane.Domain {
	s.t.Helper()
	in := lifecycle.NewDomain{Name: name, Options: controlplane.Options{AutoIssue: true,
		AutoRenew: true}}
	for _, f := range change {
		f(&in.Options)
	}
	d, err := s.life.AddDomain(s.t.Context(), controlplane.System("test"), org.ID, in)
	s.must(err)
	return d
}

// change changes a domain's row as a worker would.
func (s *site) change(d *controlplane.Domain, f func(*controlplane.Domain)) {
	s.t.Helper()
	s.must(s.store.InTx(s.t.Context(), func(t *postgres.Tx) error {
		row, err := t.LockDomain(s.t.Context(), d.OrgID, d.ID)
		if err != nil {
			return err
		}
		f(row)
		*d = *row
		return t.SaveDomain(s.t.Context(), row, time.Now())
	}))
}

// misconfigure makes the domain's record point to another target.
func (s *site) misconfigure(d *controlplane.Domain) {
	s.t.Helper()
	now, next := time.Now(), time.Now().Add(12*time.Second)
	s.change(d, func(d *controlplane.Domain) {
		d.StatusReason = controlplane.CauseCNAMEMismatch
		record := s.life.DelegationOf(d)
		d.SetCondition(controlplane.Condition{Type: controlplane.DNSReady,
			Status: "false", Reason: controlplane.CauseCNAMEMismatch,
			Message:  record.Name + " points to old-target.example.net, not to its target.",
			Observed: record.Name + " → old-target.example.net",
			Expected: record.Name + " → " + record.Target, Fix: "Replace the record by this one.",
			LastCheckedAt: &now, NextCheckAt: &next})
	})
}

// issue stores a certificate for the domain without a private key.
func (s *site) issue(d *controlplane.Domain) *controlplane.Certificate {
	s.t.Helper()
	now := time.Now().UTC().Truncate(time.Second)
	return s.storeCertificate(d, newCertificate(s.t, d, now.Add(-time.Hour),
		now.Add(90*24*time.Hour-time.Hour)))
}

// storeCertificate stores a certificate as the domain's current one.
func (s *site) storeCertificate(
	d *controlplane.Domain, c *controlplane.Certificate,
) *controlplane.Certificate {
	s.t.Helper()
	now := time.Now().UTC().Truncate(time.Second)
	s.must(s.store.InTx(s.t.Context(), func(t *postgres.Tx) error {
		if err := t.AddCertificate(s.t.Context(), c, d.CertificateID); err != nil {
			return err
		}
		entry := controlplane.AuditEntry{ID: controlplane.NewID(controlplane.PrefixEvent),
			OrgID: d.OrgID, Actor: controlplane.System("worker"),
			Action: controlplane.ActionCertificateIssued, EntityType: "domain", EntityID: d.ID,
			Details: map[string]any{"certificate_id": c.ID, "ca": c.CA}, CreatedAt: now}
		return t.Audit(s.t.Context(), entry)
	}))
	s.change(d, func(d *controlplane.Domain) {
		renew := controlplane.RenewAt(c.NotBefore, c.NotAfter)
		d.Status, d.StatusReason, d.CertificateID, d.ExpiresAt, d.RenewAt, d.LastIssuedAt = controlplane.DomainActive, "", c.ID, &c.NotAfter, &renew, &c.NotBefore
		next := now.Add(24 * time.Hour)
		for _, k := range []controlplane.Condition{
			{Type: controlplane.DNSReady,
				Status: "true", Reason: "ok", Message: "The CNAME points to its target.",
				LastCheckedAt: &now, NextCheckAt: &next},
			{Type: controlplane.CertificateReady,
				Status: "true", Reason: "issued", Message: "A valid certificate is stored."},
			{Type: controlplane.RenewalOnTrack,
				Status: "true", Reason: "ok", Message: "DNS and CAA permit the renewal."},
		} {
			d.SetCondition(k)
		}
	})
	return c
}

// deadLetter dead-letters the domain's DNS check.
func (s *site) deadLetter(d *controlplane.Domain) *controlplane.Job {
	s.t.Helper()
	ctx, now := s.t.Context(), time.Now()
	j, err := s.store.OpenJob(ctx, d.OrgID, d.ID, "check")
	s.must(err)
	claim, err := s.store.ClaimJob(ctx, j.ID, j.Generation, "w", time.Minute, now)
	s.must(err)
	s.must(s.store.InTx(ctx, func(t *postgres.Tx) error {
		return t.DeadLetterJob(ctx, claim, now, controlplane.CauseResolverUnreachable,
			"No resolver could be asked.", nil)
	}))
	return j
}

// newCertificate returns a certificate with a valid chain of two, without a private key.
func newCertificate(
	t *testing.T, d *controlplane.Domain, from, to time.Time,
) *controlplane.Certificate {
	t.Helper()
	return certificateFor(t, d, from, to, newKey(t))
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func certificateFor(
	t *testing.T, d *controlplane.Domain, from, to time.Time, key *ecdsa.PrivateKey,
) *controlplane.Certificate {
	t.Helper()
	ca := &x509.Certificate{SerialNumber: big.NewInt(1),
		Subject: pkix.Name{CommonName: "Test Intermediate R3"}, NotBefore: from, NotAfter: to,
		IsCA: true, BasicConstraintsValid: true}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 140))
	names := d.Names()
	der, err := x509.CreateCertificate(rand.Reader,
		&x509.Certificate{SerialNumber: serial, DNSNames: names, NotBefore: from, NotAfter: to}, ca,
		key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	block := func(der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	return &controlplane.Certificate{ID: controlplane.NewID(controlplane.PrefixCertificate),
		OrgID: d.OrgID, DomainID: d.ID, OrderID: controlplane.NewID(controlplane.PrefixOrder),
		Names: names, Serial: serial.Text(16), Issuer: "Test Intermediate R3",
		CA: "letsencrypt", Profile: "classic", KeyType: controlplane.KeyEC256,
		NotBefore: from, NotAfter: to, FingerprintSHA256: hex.EncodeToString(sign([]byte("k"),
			der)), ChainPEM: block(der) + block(caDER), CreatedAt: time.Now()}
}

// response is an HTTP response.
type response struct {
	t      *testing.T
	status int
	header http.Header
	body   string
	text   string // the body without tags
}

var tags = regexp.MustCompile(`(?s)<[^>]*>`)

func (s *site) do(method, path string, form url.Values, header ...string) response {
	s.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.server.URL+path, body)
	s.must(err)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := s.visitor.Do(r)
	s.must(err)
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	s.must(err)
	text := strings.Join(strings.Fields(html.UnescapeString(tags.ReplaceAllString(string(b), " "))),
		" ")
	return response{s.t, res.StatusCode, res.Header, string(b), text}
}

func (s *site) get(path string, header ...string) response {
	s.t.Helper()
	return s.do(http.MethodGet, path, nil, header...)
}

func (s *site) post(path string, form url.Values, header ...string) response {
	s.t.Helper()
	if form == nil {
		form = url.Values{}
	}
	return s.do(http.MethodPost, path, form, header...)
}

// want fails unless the response has the status and its text contains all texts.
func (a response) want(status int, texts ...string) response {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("status = %d, want %d: %.400s", a.status, status, a.text)
	}
	for _, text := range texts {
		if !strings.Contains(a.text, text) {
			a.t.Errorf("the page lacks the text %q:\n%s", text, a.text)
		}
	}
	return a
}

// to fails unless the response redirects to the path.
func (a response) to(path string) response {
	a.t.Helper()
	a.want(http.StatusSeeOther)
	if got := a.header.Get("Location"); got != path {
		a.t.Errorf("Location = %q, want %q", got, path)
	}
	return a
}

// toSignIn fails unless the response redirects to the login page.
func (a response) toSignIn() response {
	a.t.Helper()
	a.want(http.StatusSeeOther)
	if got := a.header.Get("Location"); got != "/login" && !strings.HasPrefix(got, "/login?") {
		a.t.Errorf("Location = %q, want the login page", got)
	}
	return a
}

// follow returns the page that a response redirects to.
func (s *site) follow(a response) response {
	s.t.Helper()
	a.want(http.StatusSeeOther)
	return s.get(a.header.Get("Location"))
}

// has fails unless the page's HTML contains all pieces.
func (a response) has(pieces ...string) response {
	a.t.Helper()
	for _, piece := range pieces {
		if !strings.Contains(a.body, piece) {
			a.t.Errorf("the page's HTML lacks %s:\n%s", piece, a.body)
		}
	}
	return a
}

// hasNot fails if the page's HTML contains a piece.
func (a response) hasNot(pieces ...string) response {
	a.t.Helper()
	for _, piece := range pieces {
		if strings.Contains(a.body, piece) {
			a.t.Errorf("the page's HTML contains %s", piece)
		}
	}
	return a
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
