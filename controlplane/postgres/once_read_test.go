package postgres_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// A stored answer is found only by its whole key and only while it is young enough, and its body is
// taken by one of several concurrent callers.
func TestTakeAnswerOnce(t *testing.T) {
	t.Parallel()
	d := open(t)
	ctx, other := t.Context(), d.organization(10)
	key := postgres.AnswerKey{OrgID: d.org, Key: "once x", Method: "GET", Path: "/x",
		Hash: []byte("reader")}
	d.must(d.KeepAnswer(ctx, key, &postgres.Answer{Status: 200, Body: []byte("secret")}, start))
	old := start.Add(-time.Minute)
	for what, change := range map[string]func(*postgres.AnswerKey){
		"another organization": func(k *postgres.AnswerKey) { k.OrgID = other },
		"another key":          func(k *postgres.AnswerKey) { k.Key = "once y" },
		"another method":       func(k *postgres.AnswerKey) { k.Method = "POST" },
		"another path":         func(k *postgres.AnswerKey) { k.Path = "/y" },
		"another reader":       func(k *postgres.AnswerKey) { k.Hash = []byte("other") },
	} {
		k := key
		change(&k)
		_, err := d.Answer(ctx, k, old)
		wantKind(t, "Answer with "+what, err, controlplane.KindNotFound)
		_, err = d.TakeAnswer(ctx, k, old)
		wantKind(t, "TakeAnswer with "+what, err, controlplane.KindNotFound)
	}
	_, err := d.TakeAnswer(ctx, key, start)
	wantKind(t, "TakeAnswer of an old answer", err, controlplane.KindNotFound)
	if a, err := d.Answer(ctx, key, old); err != nil || string(a.Body) != "secret" {
		t.Errorf("Answer = %+v, %v, want the body", a, err)
	}
	rolledBack := errors.New("rolled back")
	if err := d.InTx(ctx, func(tx *postgres.Tx) error {
		_, err := tx.TakeAnswer(ctx, key, old)
		d.must(err)
		return rolledBack
	}); !errors.Is(err, rolledBack) {
		t.Errorf("InTx = %v, want %v", err, rolledBack)
	}
	var taken atomic.Int32
	atOnce(8, func(int) {
		a, err := d.TakeAnswer(ctx, key, old)
		switch {
		case err == nil && string(a.Body) == "secret":
			taken.Add(1)
		case !controlplane.IsKind(err, controlplane.KindNotFound):
			t.Errorf("TakeAnswer = %+v, %v, want the body or not found", a, err)
		}
	})
	if n := taken.Load(); n != 1 {
		t.Errorf("%d callers took the body, want 1", n)
	}
	if a, err := d.Answer(ctx, key, old); err != nil || len(a.Body) != 0 {
		t.Errorf("Answer after TakeAnswer = %+v, %v, want an empty body", a, err)
	}
	key.OrgID = "org_none"
	wantKind(t, "KeepAnswer in no organization", d.KeepAnswer(ctx, key, &postgres.Answer{}, start),
		controlplane.KindNotFound)
}

// A request that deletes its organization is committed without an answer.
func TestOnceWithoutAnswer(t *testing.T) {
	t.Parallel()
	d := open(t)
	key := postgres.AnswerKey{OrgID: d.org, Key: "k", Method: "POST", Path: "/x"}
	kept, err := d.Once(t.Context(), key, start, start,
		func(ctx context.Context) (*postgres.Answer, error) {
			return nil, d.InTx(ctx, func(tx *postgres.Tx) error {
				return tx.EndOrganization(ctx, d.org, start)
			})
		})
	if kept != nil || err != nil {
		t.Errorf("Once = %+v, %v, want nothing", kept, err)
	}
	_, err = d.Organization(t.Context(), d.org)
	wantKind(t, "Organization after the deletion", err, controlplane.KindNotFound)
}
