package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/seal"
)

// notSealed are the columns of the type bytea whose contents are not sealed: hashes, public data,
// and the bodies of events.
var notSealed = []string{"acme_orders.csr", "acmedns_accounts.password_hash", "acmedns_keys.hash",
	"api_tokens.previous_hash", "api_tokens.token_hash", "certificates.issuers",
	"certificates.leaf", "idempotency_keys.body_hash", "invitations.hash", "issuer_chains.sha256",
	"sessions.hash", "token_secrets.hash", "used_states.hash", "webhook_deliveries.body"}

// Every column that can contain sealed data is resealed, or is known to contain none.
func TestSealedColumnsAreComplete(t *testing.T) {
	t.Parallel()
	d := open(t)
	want := strings.Split(value[string](d, `SELECT string_agg(table_name || '.' || column_name, ' ')
		FROM information_schema.columns WHERE table_schema = 'public' AND data_type = 'bytea'`), " ")
	got := slices.Concat(postgres.SealedColumns(), notSealed)
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sealed columns and others differ from the schema's columns of the type bytea (-schema +listed):\n%s\nadd a new column to sealedTables or notSealed", diff)
	}
}

// sealing is a database with sealed data, and its keysets.
type sealing struct {
	*db
	old, next *seal.Sealer // next opens data of both keys
	alone     *seal.Sealer // has only the new key
	keys      seal.Keys    // of next
}

func newSealing(t *testing.T) *sealing {
	t.Helper()
	s := &sealing{db: open(t)}
	first := must(seal.New())
	second := must(seal.Rotate(first))
	third, _, err := seal.Remove(second)
	s.must(err)
	s.old, s.next, s.alone = must(seal.Open(first)), must(seal.Open(second)), must(seal.Open(third))
	s.keys = must(seal.KeysOf(second))
	return s
}

// sealedValue is a value with what identifies its row and its associated data.
type sealedValue struct{ key, owner, plain string }

// seal returns values sealed with the old key.
func (s *sealing) seal(values []sealedValue) (keys []string, sealed [][]byte) {
	s.t.Helper()
	for _, v := range values {
		keys = append(keys, v.key)
		sealed = append(sealed, must(s.old.Seal([]byte(v.plain), v.owner)))
	}
	return keys, sealed
}

// fill stores n rows in each table with sealed data. It returns a query for each column, with the
// values that it returns.
func (s *sealing) fill(n int) map[string][]sealedValue {
	s.t.Helper()
	dom, _ := s.add(s.org, "example.com")
	values := func(prefix, owner string) []sealedValue {
		out := make([]sealedValue, n)
		for i := range out {
			id := fmt.Sprintf("%s%05d", prefix, i)
			out[i] = sealedValue{id, fmt.Sprintf(owner, id), "plain " + id}
		}
		return out
	}
	all := map[string][]sealedValue{}
	insert := func(query string, v []sealedValue, sql string, args ...any) {
		keys, sealed := s.seal(v)
		s.exec(sql, append([]any{keys, sealed}, args...)...)
		all[query] = v
	}
	const rows = ` FROM unnest($1::text[], $2::bytea[]) r (id, sealed)`
	insert(`SELECT id, sealed_key FROM acme_accounts`, values("acc_", "https://ca/%s"),
		`INSERT INTO acme_accounts (id, directory_url, sealed_key) SELECT id, 'https://ca/' || id, sealed`+rows)
	insert(`SELECT id, next_sealed_key FROM acme_accounts`, values("acc_", "https://ca/%s"),
		`UPDATE acme_accounts a SET next_sealed_key = r.sealed`+rows+` WHERE a.id = r.id`)
	insert(`SELECT id, sealed_key FROM acme_orders`, values("ord_", "%s"),
		`INSERT INTO acme_orders (id, org_id, domain_id, job_id, ca, step, names, target, key_type, csr, sealed_key)
		SELECT id, $3, $4, '', 'ca', 'failed', '{}', 't', 'ec256', '', sealed`+rows, s.org, dom.ID)
	insert(`SELECT id, sealed_key FROM certificates`, values("crt_", "order of %s"),
		`INSERT INTO certificates (id, org_id, domain_id, order_id, names, serial, issuer, ca, key_type, not_before, not_after, fingerprint_sha256, chain_pem, sealed_key)
		SELECT id, $3, $4, 'order of ' || id, '{}', '0a', 'CA', 'ca', 'ec256', now(), now(), '', 'pem', sealed`+rows, s.org, dom.ID)
	insert(`SELECT id, sealed_secret FROM webhooks`, values("whk_", "%s"), // the trigger adds the secret
		`INSERT INTO webhooks (id, org_id, url, enabled, sealed_secret) SELECT id, $3, 'https://example.com', false, sealed`+rows, s.org)
	all[`SELECT webhook_id, sealed FROM webhook_secrets WHERE valid_until IS NULL`] = values("whk_", "%s")
	insert(`SELECT webhook_id, sealed FROM webhook_secrets WHERE valid_until IS NOT NULL`,
		values("whk_", "%s"), `INSERT INTO webhook_secrets (webhook_id, sealed, org_id, prefix, created_at, valid_until)
		SELECT id, sealed, $3, '', now(), now()`+rows, s.org)
	s.exec(`UPDATE webhooks w SET previous_sealed_secret = s.sealed FROM webhook_secrets s WHERE s.webhook_id = w.id AND s.valid_until IS NOT NULL`)
	all[`SELECT id, previous_sealed_secret FROM webhooks`] = values("whk_", "%s")
	insert(`SELECT id, sealed_credentials FROM dns_connections`, values("dns_", "%s"),
		`INSERT INTO dns_connections (id, org_id, type, name, sealed_credentials) SELECT id, $3, 'rfc2136', '', sealed`+rows, s.org)
	for kind, owner := range map[string]func(postgres.AnswerKey) string{
		"call": postgres.AnswerKey.SealedForCall, "page": postgres.AnswerKey.SealedForPage} {
		v := values(kind, "%s")
		for i := range v {
			v[i].owner = owner(postgres.AnswerKey{OrgID: s.org, Key: v[i].key})
		}
		insert(`SELECT key, body FROM idempotency_keys WHERE key LIKE '`+kind+`%'`, v,
			`INSERT INTO idempotency_keys (org_id, key, method, path, body_hash, status, headers, body)
			SELECT $3, id, '', '', '', 200, '{}', sealed`+rows, s.org)
	}
	insert(`SELECT name, value FROM canaries WHERE name = 'keyset'`,
		[]sealedValue{{"keyset", "keyset", "dcvaas"}},
		`INSERT INTO canaries (name, value) SELECT id, sealed`+rows)
	s.exec(`INSERT INTO canaries (name, value) VALUES ('zone', 'acme.example.net')`)
	s.exec(`INSERT INTO idempotency_keys (org_id, key, method, path, body_hash, status, headers, body)
		SELECT org_id, 'taken', '', '', '', 200, '{}', '' FROM idempotency_keys LIMIT 1`)
	return all
}

// reseal reseals with the new key and returns the result.
func (s *sealing) reseal(
	ctx context.Context, progress func(string, int, int),
) (postgres.Resealed, error) {
	return s.Reseal(ctx, postgres.Reseal{Prefix: s.keys.Primary.Prefix(), Progress: progress,
		Seal: func(sealed []byte, owners []string) ([]byte, error) {
			for _, owner := range owners {
				if plain, err := s.next.Open(sealed, owner); err == nil {
					return s.next.Seal(plain, owner)
				}
			}
			return nil, seal.ErrOpen
		}})
}

// wantOpened checks that the keyset with only the new key opens every value.
func (s *sealing) wantOpened(all map[string][]sealedValue) {
	s.t.Helper()
	for query, want := range all {
		var got []sealedValue
		rows, err := s.conn().Query(s.t.Context(), query+` ORDER BY 1`)
		s.must(err)
		var key string
		var sealed []byte
		_, err = pgx.ForEachRow(rows, []any{&key, &sealed}, func() error {
			i := len(got)
			if i >= len(want) {
				return fmt.Errorf("more than %d rows", len(want))
			}
			plain, err := s.alone.Open(sealed, want[i].owner)
			got = append(got, sealedValue{key, want[i].owner, string(plain)})
			return err
		})
		if err != nil {
			s.t.Errorf("values of %s = error %v, want all opened with the new key", query, err)
			continue
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(sealedValue{})); diff != "" {
			s.t.Errorf("%s differs (-before +after):\n%s", query, diff)
		}
	}
}

// countOld returns how many values the old key has sealed.
func (s *sealing) countOld() int {
	s.t.Helper()
	all, err := s.SealedWith(s.t.Context())
	s.must(err)
	n := 0
	for _, one := range all {
		if id, ok := seal.KeyOf(one.Prefix); !ok {
			s.t.Errorf("%s.%s contains data that is not sealed: %x", one.Table, one.Column, one.Prefix)
		} else if id != s.keys.Primary {
			n += one.Count
		}
	}
	return n
}

// Every sealed value is sealed with the new key and for the same owner, on several pages. A
// repetition changes nothing.
func TestReseal(t *testing.T) {
	t.Parallel()
	s := newSealing(t)
	const n = 1200
	all := s.fill(n)
	before := s.countOld()
	if want := 11*n + 1; before != want {
		t.Errorf("values of the old key = %d, want %d", before, want)
	}
	got, err := s.reseal(t.Context(), nil)
	if err != nil || got.Values != before || len(got.Failed) > 0 {
		t.Fatalf("Reseal() = %+v, %v, want %d values", got, err, before)
	}
	s.wantOpened(all)
	if left := s.countOld(); left != 0 {
		t.Errorf("values of the old key after Reseal = %d, want 0", left)
	}
	if n := value[int](s.db, `SELECT count(*) FROM webhooks w WHERE NOT EXISTS (
		SELECT FROM webhook_secrets s WHERE s.webhook_id = w.id AND s.sealed = w.sealed_secret AND s.valid_until IS NULL)`); n != 0 {
		t.Errorf("webhooks with another secret than the current one = %d, want 0", n)
	}
	if got, err := s.reseal(t.Context(), nil); err != nil || got.Values != 0 {
		t.Errorf("second Reseal() = %+v, %v, want no values", got, err)
	}
}

// A run that is interrupted in any table leaves every value readable, and the next run continues.
func TestResealInterrupted(t *testing.T) {
	t.Parallel()
	s := newSealing(t)
	all := s.fill(150)
	before, resealed, runs := s.countOld(), 0, 0
	for left := before; left > 0; runs++ {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := s.reseal(ctx, func(_ string, _, n int) {
			if n > 0 {
				cancel()
			}
		})
		cancel()
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatalf("Reseal() = %v, want nil or Canceled", err)
		}
		now := s.countOld()
		if now >= left {
			t.Fatalf("values of the old key = %d after run %d, want fewer than %d", now, runs, left)
		}
		resealed += left - now
		left = now
	}
	if resealed != before || runs < 7 {
		t.Errorf("values resealed = %d in %d runs, want %d in at least 7", resealed, runs, before)
	}
	s.wantOpened(all)
}

// Several runs at once share the work.
func TestResealTwiceAtOnce(t *testing.T) {
	t.Parallel()
	s := newSealing(t)
	all := s.fill(400)
	before := s.countOld()
	var results [3]postgres.Resealed
	atOnce(len(results), func(i int) {
		var err error
		if results[i], err = s.reseal(t.Context(), nil); err != nil {
			t.Errorf("Reseal() = %v, want nil", err)
		}
	})
	sum := 0
	for _, r := range results {
		sum += r.Values
	}
	if sum != before {
		t.Errorf("values resealed by all runs = %d, want %d", sum, before)
	}
	s.wantOpened(all)
}

// A row that another transaction has locked is resealed after the transaction ends. Its change is
// kept.
func TestResealWaitsForLockedRows(t *testing.T) {
	t.Parallel()
	s := newSealing(t)
	all := s.fill(3)
	conn := s.conn()
	tx, err := conn.Begin(t.Context())
	s.must(err)
	for _, sql := range []string{`UPDATE certificates SET serial = 'ff' WHERE id = 'crt_00001'`,
		`UPDATE webhook_secrets SET prefix = 'changed' WHERE webhook_id = 'whk_00001'`,
		`UPDATE dns_connections SET name = 'changed' WHERE id = 'dns_00001'`} {
		_, err := tx.Exec(t.Context(), sql)
		s.must(err)
	}
	const locked = 1 + 4 + 1 // with both columns of the webhook
	ended := false
	got, err := s.reseal(t.Context(), func(table string, rows, resealed int) {
		if ended || table != "canaries" || rows == 0 {
			return
		}
		if left := s.countOld(); left != locked {
			t.Errorf("values of the old key while rows are locked = %d, want %d", left, locked)
		}
		s.must(tx.Commit(t.Context()))
		ended = true
	})
	if err != nil || len(got.Failed) > 0 || !ended {
		t.Fatalf("Reseal() = %+v, %v, want no error", got, err)
	}
	if left := s.countOld(); left != 0 {
		t.Errorf("values of the old key = %d, want 0", left)
	}
	s.wantOpened(all)
	if got := value[string](s.db, `SELECT concat_ws(' ', (SELECT serial FROM certificates WHERE id = 'crt_00001'),
		(SELECT min(prefix) FROM webhook_secrets WHERE webhook_id = 'whk_00001'), (SELECT name FROM dns_connections WHERE id = 'dns_00001'))`); got != "ff changed changed" {
		t.Errorf("changes of the other transaction = %q, want ff changed changed", got)
	}
}

// Values that can't be opened are reported and stay. All others are resealed.
func TestResealReportsUnreadableValues(t *testing.T) {
	t.Parallel()
	s := newSealing(t)
	s.fill(5)
	before := s.countOld()
	s.exec(`UPDATE certificates SET sealed_key = sealed_key || '\x00' WHERE id = 'crt_00002'`)
	s.exec(`UPDATE dns_connections SET sealed_credentials = (SELECT sealed_credentials FROM dns_connections WHERE id = 'dns_00001') WHERE id = 'dns_00003'`)
	got, err := s.reseal(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := postgres.Resealed{Values: before - 2, Failed: []string{
		"certificates.sealed_key crt_00002", "dns_connections.sealed_credentials dns_00003"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Reseal() differs (-want +got):\n%s", diff)
	}
	if left := s.countOld(); left != 2 {
		t.Errorf("values of the old key = %d, want 2", left)
	}
}

// A worker that has read an order stores its certificate after the order was resealed, or while its
// row is locked for that: with the key as it is stored then.
func TestResealBetweenOrderAndCertificate(t *testing.T) {
	t.Parallel()
	s := newSealing(t)
	for i, how := range []string{"transaction", "conclusion"} {
		for _, locked := range []bool{false, true} {
			dom, j := s.add(s.org, fmt.Sprintf("d%d-%v.example.com", i, locked))
			c := s.claim(j, "w")
			o := newOrder(c)
			o.Target, o.SealedKey = dom.Target, must(s.old.Seal([]byte("key"), o.ID))
			s.must(s.begin(c, o))
			k := s.issuanceOf(c, o) // with the key as it was read
			store := func() error {
				if how == "transaction" {
					return s.InTx(t.Context(), func(tx *postgres.Tx) error {
						return tx.AddCertificate(t.Context(), k.Certificate, "")
					})
				}
				ok, err := s.ConcludeIssuance(t.Context(), c, k, start)
				if err == nil && !ok {
					err = errors.New("the conclusion was not written")
				}
				return err
			}
			if locked {
				s.must(s.whileLocked(o.ID, store))
			} else {
				_, err := s.reseal(t.Context(), nil)
				s.must(errors.Join(err, store()))
			}
			stored, err := s.Certificate(t.Context(), s.org, k.Certificate.ID)
			s.must(err)
			if plain, err := s.alone.Open(stored.SealedKey, o.ID); err != nil ||
				string(plain) != "key" {
				t.Errorf("%s, locked %v: Open of the stored key with the new key = %q, %v, want key",
					how, locked, plain, err)
			}
		}
	}
}

// whileLocked calls fn while another transaction reseals the order, and commits that transaction
// when fn waits for it.
func (s *sealing) whileLocked(orderID string, fn func() error) error {
	s.t.Helper()
	conn := s.conn()
	tx, err := conn.Begin(s.t.Context())
	s.must(err)
	_, err = tx.Exec(s.t.Context(), `UPDATE acme_orders SET sealed_key = $2 WHERE id = $1`,
		orderID, must(s.next.Seal([]byte("key"), orderID)))
	s.must(err)
	done := make(chan error, 1)
	go func() { done <- fn() }()
	for value[int](s.db, `SELECT count(*) FROM pg_stat_activity
		WHERE datname = current_database() AND wait_event_type = 'Lock'`) == 0 {
		select {
		case err := <-done:
			s.t.Fatalf("the call did not wait for the locked order: %v", err)
		default:
		}
	}
	s.must(tx.Commit(s.t.Context()))
	return <-done
}

// Processes see the labels of others on the same database, and only those.
func TestLabels(t *testing.T) {
	t.Parallel()
	d, elsewhere := open(t), open(t)
	for _, db := range []*db{d, elsewhere} {
		for _, label := range []string{"0000000a-0000000b", ""} {
			s, err := postgres.Open(t.Context(), postgres.Config{DSN: db.dsn, Label: label})
			d.must(err)
			t.Cleanup(s.Close)
			d.must(s.Ping(t.Context()))
		}
	}
	old := d.conn()
	_, err := old.Exec(t.Context(), `SET application_name = 'dcvaas/18/ABCDEF'`)
	d.must(err)
	got, err := d.Labels(t.Context())
	if diff := cmp.Diff([]string{"", "0000000a-0000000b", postgres.Unlabeled}, got); err != nil ||
		diff != "" {
		t.Errorf("Labels() differs (-want +got), %v:\n%s", err, diff)
	}
}
