package postgres_test

import (
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// Every query that takes an organization neither finds nor changes objects of another organization,
// as if they did not exist.
func TestQueriesOfOtherTenants(t *testing.T) {
	t.Parallel()
	d := open(t)
	other := d.organization(10)
	ctx := t.Context()
	dom, j := d.add(d.org, "example.com")
	o := d.order(d.claim(j, "w"))
	cert := newCertificate(o)
	d.must(d.InTx(ctx, func(tx *postgres.Tx) error { return tx.AddCertificate(ctx, cert, "") }))
	d.exec(`UPDATE jobs SET status = 'failed', run_at = now() + interval '1 hour'`)
	token := &controlplane.Token{ID: controlplane.NewID(controlplane.PrefixToken), OrgID: d.org,
		Name: "t", Scopes: controlplane.Scopes(),
		CreatedAt: start}
	d.must(d.AddToken(ctx, token, controlplane.HashSecret("x")))
	d.must(d.InTx(ctx, func(tx *postgres.Tx) error {
		return tx.RotateToken(ctx, d.org, token.ID, postgres.NewTokenSecret{
			Hash: controlplane.HashSecret("y"), CurrentUntil: start.Add(time.Hour)}, start)
	}))
	hook := d.webhook(d.org)
	setSecret := func(org, text string) error {
		return d.InTx(ctx, func(tx *postgres.Tx) error {
			return tx.SetWebhookSecret(ctx, org, hook.ID, controlplane.Secret{Sealed: []byte(text)},
				start.Add(time.Hour), start)
		})
	}
	d.must(setSecret(d.org, "y"))

	state := func() string {
		return value[string](d, `SELECT string_agg(line, ' ' ORDER BY line) FROM (
			SELECT d::text AS line FROM domains d UNION ALL SELECT j::text FROM jobs j UNION ALL SELECT t::text FROM api_tokens t
			UNION ALL SELECT w::text FROM webhooks w UNION ALL SELECT s::text FROM token_secrets s UNION ALL SELECT s::text FROM webhook_secrets s
			UNION ALL SELECT c::text FROM certificates c UNION ALL SELECT o::text FROM organizations o UNION ALL SELECT o::text FROM acme_orders o) x`)
	}
	before := state()
	stranger := *dom
	stranger.OrgID = other
	refused := map[string]func() error{
		"Domain by id":   func() error { _, err := d.Domain(ctx, other, dom.ID); return err },
		"Domain by name": func() error { _, err := d.Domain(ctx, other, dom.Name); return err },
		"LockDomain": func() error {
			return d.InTx(ctx, func(tx *postgres.Tx) error {
				_, err := tx.LockDomain(ctx, other, dom.ID)
				return err
			})
		},
		"SaveDomain":   func() error { return d.SaveDomain(ctx, &stranger, start) },
		"DeleteDomain": func() error { return d.DeleteDomain(ctx, other, dom.ID) },
		"Job":          func() error { _, err := d.Job(ctx, other, j.ID); return err },
		"OpenJob": func() error {
			_, err := d.OpenJob(ctx, other, dom.ID, "check")
			return err
		},
		"ExpediteJob": func() error {
			_, _, err := d.ExpediteJob(ctx, other, j.ID, start)
			return err
		},
		"RestartJob": func() error {
			return d.InTx(ctx, func(tx *postgres.Tx) error {
				_, _, err := tx.RestartJob(ctx, other, j.ID, start)
				return err
			})
		},
		"Order": func() error { _, err := d.Order(ctx, other, o.ID); return err },
		"InRenewalWindow": func() error {
			_, err := d.InRenewalWindow(ctx, other, dom.ID, start)
			return err
		},
		"Certificate": func() error { _, err := d.Certificate(ctx, other, cert.ID); return err },
		"Token":       func() error { _, err := d.Token(ctx, other, token.ID); return err },
		"RenameToken": func() error { return d.RenameToken(ctx, other, token.ID, "mine") },
		"DeleteToken": func() error { return d.DeleteToken(ctx, other, token.ID) },
		"LockToken": func() error {
			return d.InTx(ctx, func(tx *postgres.Tx) error {
				_, err := tx.LockToken(ctx, other, token.ID)
				return err
			})
		},
		"Webhook": func() error { _, err := d.Webhook(ctx, other, hook.ID); return err },
		"LockWebhook": func() error {
			return d.InTx(ctx, func(tx *postgres.Tx) error {
				_, err := tx.LockWebhook(ctx, other, hook.ID)
				return err
			})
		},
		"Organization": func() error { _, err := d.Organization(ctx, "org_none"); return err },
		"DomainCount":  func() error { _, err := d.DomainCount(ctx, "org_none"); return err },
	}
	for what, call := range refused {
		wantKind(t, what, call(), controlplane.KindNotFound)
	}
	refs := []string{dom.ID, dom.Name, "nothing.example.com"}
	if found, err := d.DomainIDs(ctx, other, refs); err != nil || len(found) > 0 {
		t.Errorf("DomainIDs(%s, %q) = %v, %v, want none", other, refs, found, err)
	}
	if found, err := d.DomainIDs(ctx, d.org, refs); err != nil || len(found) != 2 ||
		found[dom.ID] != dom.ID || found[dom.Name] != dom.ID {
		t.Errorf("DomainIDs(%s, %q) = %v, %v, want %s for the first two", d.org, refs, found, err,
			dom.ID)
	}
	d.must(d.TouchToken(ctx, other, token.ID, start))
	d.must(d.PollSetAside(ctx, other, o.ID, start))
	// These expect an object that was found. They fail or change nothing.
	_ = setSecret(other, "z")
	_ = d.InTx(ctx, func(tx *postgres.Tx) error {
		return tx.RotateToken(ctx, other, token.ID,
			postgres.NewTokenSecret{Hash: controlplane.HashSecret("z")}, start)
	})
	d.must(d.InTx(ctx, func(tx *postgres.Tx) error {
		if _, err := tx.EndPreviousTokenSecrets(ctx, other, token.ID, start); err != nil {
			return err
		}
		_, err := tx.EndPreviousWebhookSecrets(ctx, other, hook.ID, start)
		return err
	}))
	if after := state(); after != before {
		t.Errorf("something changed:\n%s\nwas\n%s", after, before)
	}

	empty := map[string]func() (int, error){
		"ListDomains": func() (int, error) {
			items, _, err := d.ListDomains(ctx, other,
				postgres.DomainFilter{Limit: 10, IDs: []string{dom.ID}})
			return len(items), err
		},
		"ListJobs": func() (int, error) {
			items, _, err := d.ListJobs(ctx, other, postgres.JobFilter{Limit: 10, DomainID: dom.ID})
			return len(items), err
		},
		"ListCertificates": func() (int, error) {
			items, _, err := d.ListCertificates(ctx, other,
				postgres.CertificateFilter{Limit: 10, DomainID: dom.ID})
			return len(items), err
		},
		"ListTokens": func() (int, error) {
			items, _, err := d.ListTokens(ctx, other, "", nil, 10)
			return len(items), err
		},
		"TokenNames": func() (int, error) {
			names, err := d.TokenNames(ctx, other, []string{token.ID})
			return len(names), err
		},
		"ListLog": func() (int, error) {
			items, _, err := d.ListLog(ctx, other,
				postgres.LogFilter{EntityID: dom.ID, Limit: 10})
			return len(items), err
		},
		"SetAsideOrders": func() (int, error) {
			orders, err := d.SetAsideOrders(ctx, other, dom.ID)
			return len(orders), err
		},
		"OpenOrder": func() (int, error) {
			o, err := d.OpenOrder(ctx, other, dom.ID)
			if o != nil {
				return 1, err
			}
			return 0, err
		},
	}
	for what, call := range empty {
		if n, err := call(); n != 0 || err != nil {
			t.Errorf("%s: %d rows of another organization, %v", what, n, err)
		}
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	d := open(t)
	ctx := t.Context()
	expires := start.Add(time.Hour)
	in := &controlplane.Token{ID: controlplane.NewID(controlplane.PrefixToken), OrgID: d.org,
		Name: "ci", Secrets: controlplane.Secrets{{Prefix: "dcv_abc"}},
		Scopes: []controlplane.Scope{controlplane.ScopeDomainsRead}, DomainIDs: []string{"dom_x"},
		ExpiresAt: &expires, CreatedBy: "usr_x", CreatedAt: start}
	d.must(d.AddToken(ctx, in, controlplane.HashSecret("secret")))
	got, err := d.TokenByHash(ctx, controlplane.HashSecret("secret"))
	d.must(err)
	if got.ID != in.ID || got.OrgID != d.org ||
		!got.Grant().Allows(controlplane.ScopeDomainsRead) ||
		got.Grant().Allows(controlplane.ScopeDomainsWrite) || !got.Grant().AllowsDomain("dom_x") ||
		got.Grant().AllowsDomain("dom_y") || !got.ExpiresAt.Equal(expires) ||
		got.LastUsedAt != nil || got.Tier != controlplane.TierPro || got.SecretUntil != nil {
		t.Errorf("TokenByHash = %+v, want the grant, expiry, and tier of %+v", got, in)
	}
	whole, err := d.Token(ctx, d.org, in.ID)
	d.must(err)
	if whole.Name != "ci" || whole.CreatedBy != "usr_x" || whole.Secrets.Prefix() != "dcv_abc" ||
		!whole.CreatedAt.Equal(start) || !whole.ExpiresAt.Equal(expires) {
		t.Errorf("Token = %+v, want %+v", whole, in)
	}
	_, err = d.TokenByHash(ctx, controlplane.HashSecret("other"))
	wantKind(t, "another secret", err, controlplane.KindNotFound)

	used := func() time.Time {
		tok, err := d.Token(ctx, d.org, in.ID)
		d.must(err)
		return *tok.LastUsedAt
	}
	for _, tt := range []struct{ at, want time.Duration }{{0, 0}, {30 * time.Second, 0},
		{time.Minute, 0}, {61 * time.Second, 61 * time.Second}, {0, 61 * time.Second}} {
		d.must(d.TouchToken(ctx, d.org, in.ID, start.Add(tt.at)))
		if got := used().Sub(start); got != tt.want {
			t.Errorf("after a use at %s the last one is %s, want %s", tt.at, got, tt.want)
		}
	}
	d.must(d.RenameToken(ctx, d.org, in.ID, "deploy"))
	if got, err := d.Token(ctx, d.org, in.ID); err != nil || got.Name != "deploy" {
		t.Errorf("Token = %+v, %v, want the name deploy", got, err)
	}
	if names, err := d.TokenNames(ctx, d.org, []string{in.ID, "tok_gone"}); err != nil ||
		len(names) != 1 || names[in.ID] != "deploy" {
		t.Errorf("TokenNames = %v, %v, want deploy for %s only", names, err, in.ID)
	}
	d.must(d.DeleteToken(ctx, d.org, in.ID))
	_, err = d.TokenByHash(ctx, controlplane.HashSecret("secret"))
	wantKind(t, "after the deletion", err, controlplane.KindNotFound)
}

func TestOrganizations(t *testing.T) {
	t.Parallel()
	d := open(t)
	limit := 7
	o := &controlplane.Organization{ID: controlplane.NewID(controlplane.PrefixOrganization),
		Name: "Second", Tier: controlplane.TierAgency, DomainLimit: &limit,
		CreatedAt: start.Add(time.Hour)}
	d.must(d.AddOrganization(t.Context(), o))
	got, err := d.Organization(t.Context(), o.ID)
	if err != nil || got.Name != "Second" || got.Tier != controlplane.TierAgency ||
		got.MaxDomains() != 7 || !got.CreatedAt.Equal(o.CreatedAt) {
		t.Errorf("Organization = %+v, %v, want %+v", got, err, o)
	}
	if all, err := d.Organizations(t.Context()); err != nil || len(all) != 2 || all[1].ID != o.ID {
		t.Errorf("Organizations = %+v, %v, want two, the last %s", all, err, o.ID)
	}
}
