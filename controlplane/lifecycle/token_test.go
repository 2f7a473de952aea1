package lifecycle_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

const (
	read  = controlplane.ScopeDomainsRead
	write = controlplane.ScopeDomainsWrite
)

func TestCreateToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.add("example.com")
	expires := start.Add(time.Hour)
	tok, secret, err := w.CreateToken(t.Context(), alice, nil, w.org,
		lifecycle.NewToken{Name: " ci ", Scopes: []controlplane.Scope{read, read, write},
			DomainIDs: []string{d.ID, d.ID}, ExpiresAt: &expires})
	must(t, err)
	if !controlplane.WellFormed(secret) || !strings.HasPrefix(secret, tok.Secrets.Prefix()) ||
		tok.Name != "ci" || !slices.Equal(tok.Scopes, []controlplane.Scope{read, write}) ||
		!slices.Equal(tok.DomainIDs, []string{d.ID}) || tok.CreatedBy != "usr_alice" {
		t.Errorf("CreateToken = %+v, want the distinct scopes and domains, and a matching secret",
			tok)
	}
	if got, err := w.Store.TokenByHash(t.Context(), controlplane.HashSecret(secret)); err != nil ||
		got.ID != tok.ID {
		t.Errorf("TokenByHash = %+v, %v, want %s", got, err, tok.ID)
	}
	if n := value[int](w, `SELECT count(*) FROM audit_logs a WHERE a::text LIKE '%' || $1 || '%'`,
		secret); n != 0 {
		t.Error("the audit log contains the secret")
	}
	if e := w.last(tok.ID); e.Action != controlplane.ActionTokenCreated ||
		e.After["name"] != "ci" || e.Actor != alice {
		t.Errorf("last entry = %+v, want token.created by alice", e)
	}
}

func TestCreateTokenListsEveryInvalidField(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	past := start
	d := w.add("example.com")
	_, _, err := w.CreateToken(t.Context(), alice, nil, w.org,
		lifecycle.NewToken{Name: strings.Repeat("ü", 201),
			Scopes:    []controlplane.Scope{read, "everything"},
			DomainIDs: []string{d.ID, d.ID, "dom_none", "example.com", ""}, ExpiresAt: &past})
	e := wantError(t, "all fields invalid", err, controlplane.KindInvalid, "invalid-fields")
	want := []string{"/name too-long", "/scopes/1 not-one-of", "/expires_at expires-in-past",
		"/domain_ids/2 domain-unknown", "/domain_ids/3 domain-unknown",
		"/domain_ids/4 domain-unknown"}
	if !slices.Equal(pointers(e), want) {
		t.Errorf("CreateToken: invalid fields = %q, want %q", pointers(e), want)
	}
	_, _, err = w.CreateToken(t.Context(), alice, nil, w.org,
		lifecycle.NewToken{Name: strings.Repeat("ü", 200)})
	wantError(t, "no scopes", err, controlplane.KindInvalid, "scopes-empty")
	other := w.organization(1)
	_, _, err = w.CreateToken(t.Context(), alice, nil, other,
		lifecycle.NewToken{Name: "x", Scopes: []controlplane.Scope{read},
			DomainIDs: []string{d.ID}})
	wantError(t, "another organization's domain", err, controlplane.KindInvalid, "domain-unknown")
	if n := value[int](w, `SELECT count(*) FROM api_tokens`); n != 0 {
		t.Errorf("%d tokens were stored, want 0", n)
	}
}

// The size of an error does not depend on the number of scopes, domains, or events in the request.
func TestListsOfInputAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const n = 10_000
	scopes, ids := make([]controlplane.Scope, n), make([]string, n)
	for i := range n {
		scopes[i], ids[i] = controlplane.Scope(fmt.Sprint("scope", i)), fmt.Sprint("dom_", i)
	}
	_, _, err := w.CreateToken(t.Context(), alice, nil, w.org,
		lifecycle.NewToken{Name: "x", Scopes: scopes, DomainIDs: ids})
	e := wantError(t, "10,000 scopes and domains", err, controlplane.KindInvalid, "invalid-fields")
	if got, want := pointers(e), []string{"/scopes too-many",
		"/domain_ids too-many"}; !slices.Equal(got, want) {
		t.Errorf("CreateToken with %d scopes and domains: errors %q, want %q", n, got, want)
	}
	_, _, err = w.CreateWebhook(t.Context(), alice, w.org,
		lifecycle.NewWebhook{URL: "https://example.com/", Events: ids})
	e = wantError(t, "10,000 events", err, controlplane.KindInvalid, "too-many")
	if got, want := pointers(e), []string{"/events too-many"}; !slices.Equal(got, want) {
		t.Errorf("CreateWebhook with %d events: errors %q, want %q", n, got, want)
	}
	labels := make(map[string]string, n)
	for i := range n {
		labels[fmt.Sprint("!", i)] = ""
	}
	_, err = w.AddDomain(t.Context(), alice, w.org,
		lifecycle.NewDomain{Name: "a.example.com", Options: controlplane.Options{Labels: labels}})
	e = wantError(t, "10,000 labels", err, controlplane.KindInvalid, "too-many")
	if got, want := pointers(e), []string{"/labels too-many"}; !slices.Equal(got, want) {
		t.Errorf("AddDomain with %d labels: errors %q, want %q", n, got, want)
	}
	long := map[string]string{strings.Repeat("!", 1<<20): ""}
	_, err = w.AddDomain(t.Context(), alice, w.org,
		lifecycle.NewDomain{Name: "a.example.com", Options: controlplane.Options{Labels: long}})
	e = wantError(t, "a label of 1 MiB", err, controlplane.KindInvalid, "label-key-invalid")
	if got := len(e.Fields[0].Pointer); got > 100 {
		t.Errorf("AddDomain with a label key of 1 MiB: a pointer of %d bytes, want at most 100",
			got)
	}
	_, _, err = w.CreateToken(t.Context(), alice, nil, w.org,
		lifecycle.NewToken{Name: "x", Scopes: scopes[:1]})
	if e := wantError(t, "an unknown scope", err, controlplane.KindInvalid,
		"not-one-of"); !strings.Contains(e.Message, string(read)) {
		t.Errorf("CreateToken with an unknown scope: %q, want the list of scopes", e.Message)
	}
}

// A token cannot create a token with more scopes, domains, or time than it has.
func TestCreateTokenIsLimitedByTheCaller(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mine, theirs := w.add("mine.example.com"), w.add("theirs.example.com")
	until := start.Add(time.Hour)
	before, after := until.Add(-time.Minute), until.Add(time.Minute)
	by := &controlplane.Grant{Scopes: []controlplane.Scope{read, controlplane.ScopeTokensWrite},
		DomainIDs: []string{mine.ID}, ExpiresAt: &until}
	good := lifecycle.NewToken{Name: "x", Scopes: []controlplane.Scope{read},
		DomainIDs: []string{mine.ID}, ExpiresAt: &until}
	for name, tt := range map[string]struct {
		change func(*lifecycle.NewToken)
		want   string // pointer and code; empty: accepted
	}{
		"same access":    {func(*lifecycle.NewToken) {}, ""},
		"earlier expiry": {func(in *lifecycle.NewToken) { in.ExpiresAt = &before }, ""},
		"later expiry": {func(in *lifecycle.NewToken) { in.ExpiresAt = &after },
			"/expires_at expires-exceeds"},
		"no expiry": {func(in *lifecycle.NewToken) { in.ExpiresAt = nil },
			"/expires_at expires-exceeds"},
		"another scope": {func(in *lifecycle.NewToken) {
			in.Scopes = []controlplane.Scope{read,
				write}
		}, "/scopes/1 scope-exceeds"},
		"all domains": {func(in *lifecycle.NewToken) { in.DomainIDs = nil },
			"/domain_ids domains-exceed"},
		"another domain": {func(in *lifecycle.NewToken) { in.DomainIDs = []string{theirs.ID} },
			"/domain_ids/0 domains-exceed"},
		"additional domain": {func(in *lifecycle.NewToken) {
			in.DomainIDs = []string{mine.ID,
				theirs.ID}
		}, "/domain_ids/1 domains-exceed"},
	} {
		in := good
		tt.change(&in)
		tok, _, err := w.CreateToken(t.Context(), controlplane.System("test"), by, w.org, in)
		if tt.want == "" {
			if err != nil {
				t.Errorf("CreateToken(%s): %v", name, err)
			}
			continue
		}
		if e, ok := errors.AsType[*controlplane.Error](err); !ok || tok != nil ||
			!slices.Equal(pointers(*e), []string{tt.want}) {
			t.Errorf("CreateToken(%s): error = %v, want %s", name, err, tt.want)
		}
	}
}

func TestRenameAndDeleteToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tok, secret, err := w.CreateToken(t.Context(), alice, nil, w.org,
		lifecycle.NewToken{Name: "a", Scopes: []controlplane.Scope{read}})
	must(t, err)
	_, err = w.RenameToken(t.Context(), alice, w.org, tok.ID, " ")
	wantError(t, "no name", err, controlplane.KindInvalid, "name-invalid")
	other := w.organization(1)
	_, err = w.RenameToken(t.Context(), alice, other, tok.ID, "b")
	wantError(t, "another organization", err, controlplane.KindNotFound, "not-found")
	wantError(t, "another organization", w.DeleteToken(t.Context(), alice, other, tok.ID),
		controlplane.KindNotFound, "not-found")
	if got, err := w.RenameToken(t.Context(), alice, w.org, tok.ID, " b "); err != nil ||
		got.Name != "b" {
		t.Errorf("RenameToken = %+v, %v, want the name b", got, err)
	}
	if e := w.last(tok.ID); e.Action != controlplane.ActionTokenUpdated ||
		e.Before["name"] != "a" || e.After["name"] != "b" {
		t.Errorf("last entry = %+v, want token.updated from a to b", e)
	}
	must(t, w.DeleteToken(t.Context(), alice, w.org, tok.ID))
	_, err = w.Store.TokenByHash(t.Context(), controlplane.HashSecret(secret))
	wantError(t, "deleted token", err, controlplane.KindNotFound, "not-found")
	if e := w.last(tok.ID); e.Action != controlplane.ActionTokenDeleted {
		t.Errorf("last entry = %+v, want token.deleted", e)
	}
}

func TestTakeKeyIsAudited(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.active("example.com")
	key, err := w.TakeKey(t.Context(), alice, w.org, d.CertificateID)
	if err != nil || key != "key of "+w.ca.order(0).ID {
		t.Errorf("TakeKey = %q, %v, want the key of the order", key, err)
	}
	if e := w.last(d.CertificateID); e.Action != controlplane.ActionKeyDownloaded ||
		e.Actor != alice || e.Details["domain_id"] != d.ID ||
		strings.Contains(toJSON(e), "key of") {
		t.Errorf("last entry = %+v, want certificate.key_downloaded by alice, without the key", e)
	}
	_, err = w.TakeKey(t.Context(), alice, w.organization(1), d.CertificateID)
	wantError(t, "another organization", err, controlplane.KindNotFound, "not-found")
	if n := w.count(d.CertificateID, controlplane.ActionKeyDownloaded); n != 1 {
		t.Errorf("%d entries, want 1", n)
	}
	own := w.active("own.example.com", func(o *controlplane.Options) {
		o.CSRPEM = csr(t,
			"own.example.com")
	})
	_, err = w.TakeKey(t.Context(), alice, w.org, own.CertificateID)
	wantError(t, "key of a CSR", err, controlplane.KindConflict, "key-not-held")
	// Without an audit entry no key is returned.
	w.exec(`ALTER TABLE audit_logs ADD CHECK (action <> 'certificate.key_downloaded') NOT VALID`)
	if key, err := w.TakeKey(t.Context(), alice, w.org, d.CertificateID); err == nil || key != "" {
		t.Errorf("TakeKey without an audit log = %q, %v, want an error and no key", key, err)
	}
}
