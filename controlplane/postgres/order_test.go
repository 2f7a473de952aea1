package postgres_test

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

func newOrder(c *postgres.Claim) *controlplane.Order {
	return &controlplane.Order{ID: controlplane.NewID(controlplane.PrefixOrder), OrgID: c.Job.OrgID,
		DomainID: c.Job.DomainID, JobID: c.Job.ID, CA: "primary",
		Step: controlplane.StepCreated, Names: []string{"example.com"},
		KeyType: controlplane.KeyEC256, CSR: []byte{1}, SealedKey: []byte{2}, CreatedAt: start}
}

// order starts an order of the claim's job.
func (d *db) order(c *postgres.Claim) *controlplane.Order {
	d.t.Helper()
	dom, err := d.Domain(d.t.Context(), c.Job.OrgID, c.Job.DomainID)
	d.must(err)
	o := newOrder(c)
	o.Target = dom.Target
	d.must(d.begin(c, o))
	return o
}

func (d *db) begin(c *postgres.Claim, o *controlplane.Order) error {
	return d.BeginOrder(d.t.Context(), c, o,
		controlplane.AuditEntry{ID: controlplane.NewID(controlplane.PrefixEvent), OrgID: o.OrgID,
			Actor:  controlplane.System("test"),
			Action: controlplane.ActionOrderCreated, EntityType: "domain", EntityID: o.DomainID,
			CreatedAt: start})
}

func newCertificate(o *controlplane.Order) *controlplane.Certificate {
	return &controlplane.Certificate{ID: controlplane.NewID(controlplane.PrefixCertificate),
		OrgID: o.OrgID, DomainID: o.DomainID, OrderID: o.ID, Names: o.Names,
		Serial: "0a", Issuer: "Test CA", CA: o.CA, KeyType: o.KeyType, NotBefore: start,
		NotAfter:          start.Add(90 * 24 * time.Hour),
		FingerprintSHA256: "ab", ChainPEM: "pem", SealedKey: o.SealedKey, CreatedAt: start}
}

func TestDomainHasOneOpenOrder(t *testing.T) {
	t.Parallel()
	d := open(t)
	dom, j := d.add(d.org, "example.com")
	c := d.claim(j, "w")
	first := d.order(c)
	if err := d.begin(c, newOrder(c)); err == nil {
		t.Error("BeginOrder of a second order = nil, want an error")
	}
	d.must(d.begin(c, first)) // sent again
	if n := value[int](d, `SELECT count(*) FROM audit_logs WHERE action = $1`,
		controlplane.ActionOrderCreated); n != 1 {
		t.Errorf("the log has %d orders, want 1", n)
	}
	d.must(d.InTx(t.Context(), func(tx *postgres.Tx) error {
		return tx.CloseOrder(t.Context(), first, controlplane.StepFailed, "code", "detail", start)
	}))
	if open, err := d.OpenOrder(t.Context(), d.org, dom.ID); open != nil || err != nil {
		t.Errorf("OpenOrder after CloseOrder = %+v, %v, want nil", open, err)
	}
	second := d.order(c)
	if open, err := d.OpenOrder(t.Context(), d.org, dom.ID); err != nil || open == nil ||
		open.ID != second.ID {
		t.Errorf("OpenOrder = %+v, %v, want the second order %s", open, err, second.ID)
	}
}

func TestSaveOrderStoresWhatResumingNeeds(t *testing.T) {
	t.Parallel()
	d := open(t)
	dom, j := d.add(d.org, "example.com")
	c := d.claim(j, "w")
	o := d.order(c)
	o.Step, o.OrderURL, o.CertificateURL, o.Values, o.Replaces, o.ExpiresAt = controlplane.StepPublished, "https://ca/order/1", "https://ca/cert/1", txtAt(o, "a", "b"), "ari", start.Add(time.Hour)
	d.must(d.SaveOrder(t.Context(), c, o, start.Add(time.Minute)))
	got, err := d.OpenOrder(t.Context(), d.org, dom.ID)
	d.must(err)
	if got.Step != o.Step || got.OrderURL != o.OrderURL || got.CertificateURL != o.CertificateURL ||
		!slices.Equal(got.Values, o.Values) || got.Replaces != "ari" ||
		!got.ExpiresAt.Equal(o.ExpiresAt) || !slices.Equal(got.CSR, o.CSR) ||
		!slices.Equal(got.SealedKey, o.SealedKey) || !got.UpdatedAt.Equal(start.Add(time.Minute)) {
		t.Errorf("OpenOrder = %+v, want %+v", got, o)
	}
	o.ExpiresAt, o.Values = time.Time{}, nil
	d.must(d.SaveOrder(t.Context(), c, o, start))
	if got, err := d.OpenOrder(t.Context(), d.org, dom.ID); err != nil || !got.ExpiresAt.IsZero() ||
		len(got.Values) != 0 {
		t.Errorf("OpenOrder = %+v, %v, want no expiry and no values", got, err)
	}
}

func TestCloseOrderRemovesItsChallenges(t *testing.T) {
	t.Parallel()
	d := open(t)
	dom, j := d.add(d.org, "example.com")
	c := d.claim(j, "w")
	o := d.order(c)
	o.Values = txtAt(o, "a", "b")
	publish := func() {
		d.must(d.PublishChallenges(t.Context(), c, o, start.Add(time.Hour),
			start))
	}
	publish()
	publish() // a resumed order publishes again
	if exists, values, err := d.LookupTarget(t.Context(), dom.Target, start); !exists ||
		len(values) != 2 || err != nil {
		t.Errorf("LookupTarget = %v, %+v, %v, want two values", exists, values, err)
	}
	d.must(d.InTx(t.Context(), func(tx *postgres.Tx) error {
		return tx.CloseOrder(t.Context(), o, controlplane.StepStored, "", "", start)
	}))
	if exists, values, err := d.LookupTarget(t.Context(), dom.Target, start); !exists ||
		len(values) != 0 || err != nil {
		t.Errorf("LookupTarget after CloseOrder = %v, %+v, %v, want no values", exists, values, err)
	}
}

func TestOrderHasOneCertificate(t *testing.T) {
	t.Parallel()
	d := open(t)
	_, j := d.add(d.org, "example.com")
	o := d.order(d.claim(j, "w"))
	add := func(replaces string) (*controlplane.Certificate, error) {
		c := newCertificate(o)
		return c, d.InTx(t.Context(),
			func(tx *postgres.Tx) error { return tx.AddCertificate(t.Context(), c, replaces) })
	}
	first, err := add("")
	d.must(err)
	if _, err := add(first.ID); err == nil {
		t.Error("AddCertificate for the same order = nil, want an error")
	}
	if got, err := d.Certificate(t.Context(), d.org, first.ID); err != nil ||
		got.ReplacedBy != "" || string(got.SealedKey) != string(first.SealedKey) ||
		!got.NotAfter.Equal(first.NotAfter) {
		t.Errorf("Certificate = %+v, %v, want %+v", got, err, first)
	}
	o.ID = controlplane.NewID(controlplane.PrefixOrder)
	second, err := add(first.ID)
	d.must(err)
	if got, err := d.Certificate(t.Context(), d.org, first.ID); err != nil ||
		got.ReplacedBy != second.ID {
		t.Errorf("Certificate = %+v, %v, want it replaced by %s", got, err, second.ID)
	}
}

func TestConcurrentAccountsAreOne(t *testing.T) {
	t.Parallel()
	d := open(t)
	const dir = "https://ca.example/dir"
	if a, err := d.Account(t.Context(), dir); a != nil || err != nil {
		t.Fatalf("Account = %+v, %v, want nil", a, err)
	}
	var keys [8]string
	atOnce(len(keys), func(i int) {
		a, err := d.CreateAccount(t.Context(),
			&controlplane.Account{ID: controlplane.NewID(controlplane.PrefixAccount),
				DirectoryURL: dir, SealedKey: []byte{byte(i)}, CreatedAt: start})
		if err != nil {
			t.Error(err)
			return
		}
		keys[i] = a.ID + string(a.SealedKey)
	})
	for _, k := range keys {
		if k != keys[0] {
			t.Errorf("two accounts: %q and %q", k, keys[0])
		}
	}
	for _, url := range []string{"https://ca.example/acct/1", ""} {
		d.must(d.SetAccountURL(t.Context(), dir, url))
		if a, err := d.Account(t.Context(), dir); err != nil || a.URL != url {
			t.Errorf("Account = %+v, %v, want the URL %q", a, err, url)
		}
	}
}

// An order that is set aside leaves room for another one, keeps its step, and can be resumed once.
func TestSetOrderAside(t *testing.T) {
	t.Parallel()
	d := open(t)
	dom, j := d.add(d.org, "example.com")
	c := d.claim(j, "w")
	first := d.order(c)
	first.Step, first.OrderURL, first.Values = controlplane.StepFinalized, "https://ca/1",
		txtAt(first, "v")
	d.must(d.PublishChallenges(t.Context(), c, first, start.Add(time.Minute), start))
	pollAt := start.Add(time.Minute)
	entry := d.happened(controlplane.ActionOrderSetAside, "domain", dom.ID, nil)
	for _, o := range []*controlplane.Order{new(*first), first, first} { // sent again
		d.must(d.SetOrderAside(t.Context(), c, o,
			controlplane.Verdict{Code: "ca-slow", Message: "slow"}, entry, pollAt, start))
	}
	if n := value[int](d, `SELECT count(*) FROM audit_logs WHERE id = $1`, entry.ID); n != 1 {
		t.Errorf("%d log entries, want 1", n)
	}
	second := d.order(c)
	aside, err := d.SetAsideOrders(t.Context(), d.org, dom.ID)
	if err != nil || len(aside) != 1 || aside[0].ID != first.ID ||
		aside[0].Step != controlplane.StepSetAside ||
		aside[0].ResumeStep != controlplane.StepFinalized || aside[0].ErrorCode != "ca-slow" {
		t.Fatalf("SetAsideOrders = %+v, %v, want the first order", aside, err)
	}
	if open, err := d.OpenOrder(t.Context(), d.org, dom.ID); err != nil || open == nil ||
		open.ID != second.ID {
		t.Errorf("OpenOrder = %+v, %v, want the second order", open, err)
	}

	due := func(now time.Time) int {
		t.Helper()
		orders, err := d.DueSetAside(t.Context(), now, now.Add(time.Hour), now.Add(2*time.Hour), 10)
		d.must(err)
		return len(orders)
	}
	if n := due(start); n != 0 {
		t.Errorf("%d orders are due before their poll, want 0", n)
	}
	var taken count
	atOnce(8, func(int) { taken.Add(int64(due(pollAt))) })
	if taken.Load() != 1 {
		t.Errorf("%d replicas got the order, want 1", taken.Load())
	}
	if at := value[time.Time](d, `SELECT expires_at FROM challenges`); !at.Equal(
		pollAt.Add(2 * time.Hour)) {
		t.Errorf("challenge expires at %s, want 2 h after the poll", at)
	}
	d.must(d.PollSetAside(t.Context(), d.org, first.ID, pollAt))
	if n := due(pollAt); n != 1 {
		t.Errorf("%d orders are due at the scheduled poll, want 1", n)
	}

	d.must(d.InTx(t.Context(), func(tx *postgres.Tx) error {
		return tx.CloseOrder(t.Context(), second, controlplane.StepFailed, "", "", start)
	}))
	reopened := 0
	for range 2 {
		d.must(d.InTx(t.Context(), func(tx *postgres.Tx) error {
			ok, err := tx.ReopenOrder(t.Context(), &aside[0], start)
			if ok {
				reopened++
			}
			return err
		}))
	}
	open, err := d.OpenOrder(t.Context(), d.org, dom.ID)
	if err != nil || open == nil || open.ID != first.ID ||
		open.Step != controlplane.StepFinalized || reopened != 1 {
		t.Errorf("OpenOrder = %+v, %v after %d ReopenOrder, want the first order at its step", open,
			err, reopened)
	}
	d.must(d.InTx(t.Context(), func(tx *postgres.Tx) error {
		if ok, err := tx.TakeSetAside(t.Context(), d.org, first.ID); ok || err != nil {
			t.Errorf("TakeSetAside of an open order = %v, %v, want false", ok, err)
		}
		return nil
	}))
	if n := due(pollAt.Add(24 * time.Hour)); n != 0 {
		t.Errorf("%d orders are due after the order was reopened, want 0", n)
	}
}

// The challenges of an order are published again, even if they were removed meanwhile.
func TestExtendChallenges(t *testing.T) {
	t.Parallel()
	d := open(t)
	dom, j := d.add(d.org, "example.com")
	c := d.claim(j, "w")
	o := d.order(c)
	o.Values = txtAt(o, "a", "b")
	d.must(d.PublishChallenges(t.Context(), c, o, start.Add(time.Minute), start))
	for _, remove := range []bool{false, true} {
		if remove {
			d.must(d.SweepChallenges(t.Context(), start.Add(time.Hour)))
		}
		d.must(d.ExtendChallenges(t.Context(), c, o, start.Add(time.Hour), start))
		_, values, err := d.LookupTarget(t.Context(), dom.Target, start.Add(30*time.Minute))
		if err != nil || len(values) != 2 {
			t.Errorf("LookupTarget after the removal %v = %+v, %v, want 2 values", remove, values,
				err)
		}
	}
}

// The values of an order are at the targets of their names. Once the domain no longer has a name,
// nothing is published for the order.
func TestChallengesAreAtTheTargetsOfTheirNames(t *testing.T) {
	t.Parallel()
	d := open(t)
	dom, j := d.add(d.org, "example.com")
	dom.AdditionalNames = []string{"example.org", "www.example.com"}
	dom.Targets = map[string]string{"example.org": label("o"), "www.example.com": label("w")}
	d.must(d.SaveDomain(t.Context(), dom, start))
	c := d.claim(j, "w")
	o := newOrder(c)
	o.Target = dom.Target
	o.Targets = map[string]string{"example.org": label("o"), "www.example.com": label("w")}
	d.must(d.begin(c, o))
	o.Step, o.Values = controlplane.StepAuthorized, []controlplane.TXT{{Target: o.Target, Value: "a"},
		{Target: label("o"), Value: "b"}, {Target: label("o"), Value: "c"},
		{Target: label("w"), Value: "a"}}
	soon := start.Add(time.Minute)
	d.must(d.PublishChallenges(t.Context(), c, o, soon, start))
	d.must(d.ExtendChallenges(t.Context(), c, o, soon.Add(time.Hour), start))
	got, err := d.OpenOrder(t.Context(), d.org, dom.ID)
	d.must(err)
	if !slices.Equal(got.Values, o.Values) || !maps.Equal(got.Targets, o.Targets) {
		t.Errorf("OpenOrder = %+v, want the values and targets of %+v", got, o)
	}
	for target, want := range map[string]int{o.Target: 1, label("o"): 2, label("w"): 1} {
		if _, values, err := d.LookupTarget(t.Context(), target, soon); err != nil ||
			len(values) != want {
			t.Errorf("%s has %+v, %v, want %d values", target, values, err, want)
		}
	}
	d.exec(`UPDATE domains SET targets = targets - 'example.org' WHERE id = $1`, dom.ID)
	o.Step = controlplane.StepAccepted
	if err := d.ExtendChallenges(t.Context(), c, o, soon,
		start); !errors.Is(err, postgres.ErrTargetGone) {
		t.Errorf("ExtendChallenges without a target = %v, want ErrTargetGone", err)
	}
	if err := d.PublishChallenges(t.Context(), c, o, soon,
		start); !errors.Is(err, postgres.ErrTargetGone) {
		t.Errorf("PublishChallenges without a target = %v, want ErrTargetGone", err)
	}
	if got, err := d.OpenOrder(t.Context(), d.org, dom.ID); err != nil ||
		got.Step != controlplane.StepAuthorized {
		t.Errorf("OpenOrder = %+v, %v, want the step authorized", got, err)
	}
}

// The values of an order of one target, or of an earlier version, are all at its target.
func TestValuesWithoutTargetsAreAtTheTargetOfTheOrder(t *testing.T) {
	t.Parallel()
	d := open(t)
	dom, j := d.add(d.org, "example.com")
	c := d.claim(j, "w")
	o := d.order(c)
	o.Values = txtAt(o, "a", "b")
	d.must(d.SaveOrder(t.Context(), c, o, start))
	if n := value[int](d, `SELECT cardinality(txt_targets) FROM acme_orders`); n != 0 {
		t.Errorf("%d targets are stored, want none", n)
	}
	d.exec(`UPDATE acme_orders SET txt_targets = ARRAY['x', 'y', 'z']`) // of other values
	got, err := d.OpenOrder(t.Context(), d.org, dom.ID)
	d.must(err)
	if !slices.Equal(got.Values, o.Values) {
		t.Errorf("Values = %+v, want %+v", got.Values, o.Values)
	}
}

// At most one attempt is forced at a CA in 5 minutes, by all workers.
func TestTakeForced(t *testing.T) {
	t.Parallel()
	d := open(t)
	var taken count
	atOnce(10, func(int) {
		ok, err := d.TakeForced(t.Context(), "primary", start)
		if err != nil {
			t.Error(err)
		}
		if ok {
			taken.Add(1)
		}
	})
	if taken.Load() != 1 {
		t.Errorf("%d of 10 workers got the attempt, want 1", taken.Load())
	}
	for _, tt := range []struct {
		ca    string
		after time.Duration
		want  bool
	}{{"primary", 5*time.Minute - 1, false}, {"backup", 0, true},
		{"primary", controlplane.ForcedEvery, true}, {"primary", 6 * time.Minute, false}} {
		if ok, err := d.TakeForced(t.Context(), tt.ca, start.Add(tt.after)); ok != tt.want ||
			err != nil {
			t.Errorf("TakeForced(%s) after %s = %v, %v, want %v", tt.ca, tt.after, ok, err, tt.want)
		}
	}
	if got, err := d.ForcedAttempts(t.Context()); err != nil || got["primary"] != 2 ||
		got["backup"] != 1 {
		t.Errorf("ForcedAttempts = %v, %v, want 2 at primary and 1 at backup", got, err)
	}
}
