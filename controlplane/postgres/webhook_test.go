package postgres_test

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// webhook stores an enabled webhook.
func (d *db) webhook(org string, events ...string) *controlplane.Webhook {
	d.t.Helper()
	if events == nil {
		events = []string{}
	}
	w := &controlplane.Webhook{ID: controlplane.NewID(controlplane.PrefixWebhook), OrgID: org,
		URL: "https://example.com", Events: events, Enabled: true, CreatedAt: start,
		Secrets: controlplane.Secrets{{Sealed: []byte("x")}}}
	d.must(d.InTx(d.t.Context(), func(t *postgres.Tx) error {
		return t.AddWebhook(d.t.Context(),
			w)
	}))
	return w
}

func (d *db) happened(
	action, entityType, entityID string, details map[string]any,
) controlplane.AuditEntry {
	return controlplane.AuditEntry{ID: controlplane.NewID(controlplane.PrefixEvent), OrgID: d.org,
		Actor: controlplane.System("test"), Action: action,
		EntityType: entityType, EntityID: entityID, Details: details, CreatedAt: start}
}

func (d *db) deliveries(w *controlplane.Webhook) (events []string) {
	d.t.Helper()
	all, _, err := d.ListDeliveries(d.t.Context(), w.OrgID, w.ID,
		postgres.DeliveryFilter{Limit: 1000})
	d.must(err)
	for _, x := range all {
		events = append(events, x.EventID)
	}
	return events
}

func TestLastDeliveries(t *testing.T) {
	t.Parallel()
	d := open(t)
	told, quiet := d.webhook(d.org), d.webhook(d.org, "domain.renewed")
	for i := range 3 {
		e := d.happened("domain.created", "domain", "dom_x", nil)
		e.CreatedAt = start.Add(time.Duration(i) * time.Minute)
		d.must(d.Audit(t.Context(), e))
	}
	ids := []string{told.ID, quiet.ID, controlplane.NewID(controlplane.PrefixWebhook)}
	last, err := d.LastDeliveries(t.Context(), d.org, ids)
	d.must(err)
	if got := last[told.ID]; len(last) != 1 || !got.CreatedAt.Equal(start.Add(2*time.Minute)) ||
		got.EventID != d.deliveries(told)[0] {
		t.Errorf("LastDeliveries = %+v, want only the newest of %s", last, told.ID)
	}
	if last, err := d.LastDeliveries(t.Context(), d.organization(1), ids); err != nil ||
		len(last) != 0 {
		t.Errorf("another organization sees %+v: %v", last, err)
	}
}

// The database creates deliveries for entries that are events, and for no others.
func TestAuditCreatesDeliveriesOfEvents(t *testing.T) {
	t.Parallel()
	d := open(t)
	all, chosen := d.webhook(d.org), d.webhook(d.org, "domain.renewed")
	theirs := d.webhook(d.organization(1))
	for _, tt := range []struct {
		entry    controlplane.AuditEntry
		all, few bool
	}{
		{d.happened("domain.renewed", "domain", "dom_x", nil), true, true},
		{d.happened("domain.created", "domain", "dom_x", nil), true, false},
		{d.happened("job.dead_lettered", "job", "job_x", map[string]any{"type": "renewal"}), true,
			false},
		{d.happened("job.dead_lettered", "job",
			"job_x", map[string]any{"type": "webhook_delivery"}), false, false},
		{d.happened("webhook.disabled", "webhook", chosen.ID, nil), true, false},
		{d.happened("webhook.disabled", "webhook", all.ID, nil), false, false},
		{d.happened("token.created", "token", "tok_x", nil), false, false},
		{d.happened("organization.renamed", "organization", d.org, nil), false, false},
	} {
		d.must(d.Audit(t.Context(), tt.entry))
		if slices.Contains(d.deliveries(all), tt.entry.ID) != tt.all ||
			slices.Contains(d.deliveries(chosen), tt.entry.ID) != tt.few ||
			len(d.deliveries(theirs)) != 0 {
			t.Errorf("%s of %s: %v and %v", tt.entry.Action, tt.entry.EntityID,
				slices.Contains(d.deliveries(all), tt.entry.ID),
				slices.Contains(d.deliveries(chosen), tt.entry.ID))
		}
	}
	for _, kind := range controlplane.EventKinds() {
		e := d.happened(kind+".happened", "x", "x", nil)
		if d.must(d.Audit(t.Context(), e)); !slices.Contains(d.deliveries(all), e.ID) {
			t.Errorf("%s is not delivered", kind)
		}
	}
	made, _, err := d.ListDeliveries(t.Context(), d.org, all.ID,
		postgres.DeliveryFilter{Limit: 1000})
	d.must(err)
	for _, x := range made {
		if job := "job_" + x.ID[4:]; !controlplane.IsID(controlplane.PrefixDelivery, x.ID) ||
			!controlplane.IsID(controlplane.PrefixJob, job) ||
			d.job(d.org, job).DeliveryID != x.ID || x.ID[4:14] != x.EventID[4:14] {
			t.Errorf("the delivery is %+v, want IDs derived from its event, and its job", x)
		}
	}
}

// An entry that is rolled back is not delivered.
func TestDeliveriesRollBackWithTheirEntry(t *testing.T) {
	t.Parallel()
	d := open(t)
	w := d.webhook(d.org)
	undo := &controlplane.Error{Code: "undo"}
	if err := d.InTx(t.Context(), func(tx *postgres.Tx) error {
		d.must(tx.Audit(t.Context(), d.happened("domain.created", "domain", "dom_x", nil)))
		return undo
	}); !controlplane.HasCode(err, "undo") || len(d.deliveries(w)) != 0 {
		t.Errorf("InTx = %v with the deliveries %v, want the error undo and none", err,
			d.deliveries(w))
	}
}

// A deleted webhook is not found, its deliveries are removed in batches, and those of others stay.
func TestRemoveWebhookInBatches(t *testing.T) {
	t.Parallel()
	d := open(t)
	w, other := d.webhook(d.org), d.webhook(d.org)
	const n, batch = 25, 10
	for range n {
		d.must(d.Audit(t.Context(), d.happened("domain.created", "domain", "dom_x", nil)))
	}
	first := value[string](d, `SELECT min(id) FROM webhook_deliveries WHERE webhook_id = $1`, w.ID)
	if more, err := d.RemoveWebhook(t.Context(), w.ID, batch); more || err != nil ||
		len(d.deliveries(w)) != n {
		t.Errorf("RemoveWebhook of one that was not deleted = %v, %v, with %d deliveries, want %d",
			more, err, len(d.deliveries(w)), n)
	}
	d.must(d.InTx(t.Context(), func(tx *postgres.Tx) error {
		return tx.EndWebhook(t.Context(), d.org, w.ID, start)
	}))
	_, err := d.Webhook(t.Context(), d.org, w.ID)
	wantKind(t, "Webhook", err, controlplane.KindNotFound)
	_, err = d.Delivery(t.Context(), d.org, w.ID, first)
	wantKind(t, "Delivery", err, controlplane.KindNotFound)
	_, _, err = d.DeliveryWithWebhook(t.Context(), d.org, first)
	wantKind(t, "DeliveryWithWebhook", err, controlplane.KindNotFound)
	if found := must(d.WebhookCount(t.Context(), d.org, "")); found != 1 {
		t.Errorf("WebhookCount = %d, want 1", found)
	}
	if n := value[int](d, `SELECT count(*) FROM webhook_secrets WHERE webhook_id = $1`, w.ID); n != 0 {
		t.Errorf("secrets of the deleted webhook = %d, want 0", n)
	}
	d.must(d.Audit(t.Context(), d.happened("domain.created", "domain", "dom_x", nil)))
	for left := n; left > 0; left -= batch {
		if more, err := d.RemoveWebhook(t.Context(), w.ID, batch); !more || err != nil {
			t.Fatalf("RemoveWebhook = %v, %v, want more", more, err)
		}
		if got := len(d.deliveries(w)); got != max(left-batch, 0) {
			t.Errorf("deliveries after a batch = %d, want %d", got, max(left-batch, 0))
		}
	}
	if hooks := must(d.DeletedWebhooks(t.Context())); len(hooks) != 1 || hooks[0] != w.ID {
		t.Errorf("DeletedWebhooks = %v, want %s", hooks, w.ID)
	}
	if more, err := d.RemoveWebhook(t.Context(), w.ID, batch); more || err != nil {
		t.Errorf("the last RemoveWebhook = %v, %v, want no more", more, err)
	}
	if got := value[string](d, `SELECT string_agg(id, ',') FROM webhooks`); got != other.ID ||
		len(d.deliveries(other)) != n+1 {
		t.Errorf("webhooks = %s with %d deliveries, want %s with %d", got, len(d.deliveries(other)),
			other.ID, n+1)
	}
	if got := value[int](d, `SELECT count(*) FROM jobs WHERE delivery_id IS NOT NULL`); got != n+1 {
		t.Errorf("jobs of deliveries = %d, want %d", got, n+1)
	}
}

// While webhooks are deleted and domains are added, no event is rejected and no caller is blocked
// forever.
func TestEventsWhileWebhooksAreDeleted(t *testing.T) {
	t.Parallel()
	d := open(t)
	const n = 40
	hooks := make([]*controlplane.Webhook, n)
	for i := range hooks {
		hooks[i] = d.webhook(d.org)
	}
	atOnce(3*n, func(i int) {
		if i%3 > 0 {
			if err := d.Audit(t.Context(),
				d.happened("domain.created", "domain", "dom_x", nil)); err != nil {
				t.Errorf("an event: %v", err)
			}
			return
		}
		if err := d.InTx(t.Context(), func(tx *postgres.Tx) error {
			if _, err := tx.LockTier(t.Context(), d.org); err != nil {
				return err
			}
			if err := tx.EndWebhook(t.Context(), d.org, hooks[i/3].ID, start); err != nil {
				return err
			}
			return tx.Audit(t.Context(), d.happened("webhook.deleted", "webhook", hooks[i/3].ID,
				nil))
		}); err != nil {
			t.Errorf("a deletion: %v", err)
		}
		for more := true; more; {
			var err error
			if more, err = d.RemoveWebhook(t.Context(), hooks[i/3].ID, 10); err != nil {
				t.Errorf("RemoveWebhook = %v, want nil", err)
			}
		}
	})
	if left := value[int](d,
		`SELECT (SELECT count(*) FROM webhooks) + (SELECT count(*) FROM webhook_deliveries) + (SELECT count(*) FROM jobs WHERE delivery_id IS NOT NULL)`); left != 0 {
		t.Errorf("%d rows are left", left)
	}
}

// The claim of a delivery is on its job alone, and otherwise like other claims.
func TestClaimOfADelivery(t *testing.T) {
	t.Parallel()
	d := open(t)
	w := d.webhook(d.org)
	d.must(d.Audit(t.Context(), d.happened("domain.created", "domain", "dom_x", nil)))
	made, _, err := d.ListDeliveries(t.Context(), d.org, w.ID, postgres.DeliveryFilter{Limit: 1})
	d.must(err)
	j := d.job(d.org, "job_"+made[0].ID[4:])
	if j.DomainID != "" || j.Type != controlplane.JobDelivery ||
		j.Queue != controlplane.QueueDefault {
		t.Errorf("the job is %+v, want a delivery without a domain in the default queue", j)
	}
	var claims count
	atOnce(8, func(int) {
		if c, err := d.ClaimJob(t.Context(), j.ID, j.Generation, controlplane.NewID("run"),
			time.Minute, start); err == nil && c.Domain == nil {
			claims.Add(1)
		}
	})
	if claims.Load() != 1 {
		t.Errorf("%d workers have claimed it, want 1", claims.Load())
	}
	d.expire()
	c := d.claim(j, "second")
	d.must(d.ExtendClaim(t.Context(), c))
	d.expire()
	if n, err := d.RequeueLost(t.Context(), start, 10); err != nil || n != 1 {
		t.Errorf("RequeueLost = %d, %v, want 1", n, err)
	}
	if err := d.ExtendClaim(t.Context(), c); err != postgres.ErrClaimLost { //nolint:errorlint // it is not wrapped
		t.Errorf("ExtendClaim = %v, want ErrClaimLost", err)
	}
	if err := d.InTx(t.Context(), func(tx *postgres.Tx) error { return tx.CompleteJob(t.Context(), c, start, nil) }); err != postgres.ErrClaimLost { //nolint:errorlint // it is not wrapped
		t.Errorf("CompleteJob = %v, want ErrClaimLost", err)
	}
}

// BenchmarkAddDomain measures how much webhooks slow down adding a domain.
func BenchmarkAddDomain(b *testing.B) {
	for name, hooks := range map[string]int{"none": 0, "one": 1, "five": 5} {
		b.Run("webhooks="+name, func(b *testing.B) {
			d := open(b)
			for range hooks {
				d.webhook(d.org)
			}
			n := 0
			for b.Loop() {
				n++
				dom, j, a := newDomain(d.org, "d"+strconv.Itoa(n)+".example.com")
				if ok, err := d.AddDomain(b.Context(), dom, j, a); err != nil || !ok {
					b.Fatalf("AddDomain = %v, %v, want true", ok, err)
				}
			}
		})
	}
}
