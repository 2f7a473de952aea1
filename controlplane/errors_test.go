package controlplane_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

func TestAsErrorHidesWhatIsNotWrittenForPeople(t *testing.T) {
	t.Parallel()
	secret := errors.New("password=hunter2")
	e := controlplane.AsError(fmt.Errorf("reading: %w", secret))
	if e.Kind != controlplane.KindInternal || e.Code != "internal" || !errors.Is(e, secret) {
		t.Errorf("%+v", e)
	}
	if strings.Contains(e.Message+e.Fix, "hunter2") {
		t.Error("the cause is shown")
	}
	if !strings.Contains(e.Error(), "hunter2") {
		t.Error("the cause is not logged")
	}
	if got := controlplane.Internal(secret); got.Kind != controlplane.KindInternal || !errors.Is(got, secret) {
		t.Errorf("%+v", got)
	}
	own := controlplane.NotFound("domain", "dom_x")
	if controlplane.AsError(fmt.Errorf("wrapped: %w", own)) != own {
		t.Error("an *Error is not found through its wrapping")
	}
}

func TestIsKindAndHasCode(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("wrapped: %w", controlplane.Invalid("/name", "name-empty", "The name is empty.", "Send one."))
	if !controlplane.IsKind(err, controlplane.KindInvalid) || controlplane.IsKind(err, controlplane.KindNotFound) || controlplane.IsKind(io.EOF, controlplane.KindInternal) || controlplane.IsKind(nil, controlplane.KindInvalid) {
		t.Error("IsKind")
	}
	if !controlplane.HasCode(err, "name-empty") || controlplane.HasCode(err, "other") || controlplane.HasCode(nil, "") {
		t.Error("HasCode")
	}
}

func TestNotFoundQuotesWithinBounds(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"dom_x", strings.Repeat("ü", 500), "\xff\xfe"} {
		e := controlplane.NotFound("domain", id)
		if !utf8.ValidString(e.Message) || len(e.Message) > 200 || e.Kind != controlplane.KindNotFound || e.Code != "not-found" || e.Fix == "" {
			t.Errorf("%+v", e)
		}
	}
}

func TestIDs(t *testing.T) {
	t.Parallel()
	id := controlplane.NewID(controlplane.PrefixDomain)
	if !strings.HasPrefix(id, "dom_") || len(id) != len("dom_")+26 || !controlplane.IsID(controlplane.PrefixDomain, id) {
		t.Errorf("%s", id)
	}
	if id == controlplane.NewID(controlplane.PrefixDomain) {
		t.Error("the same id twice")
	}
	for _, bad := range []string{"", "dom_", "dom_x", strings.ToUpper(id), id + "0", id[4:], "job_" + id[4:], "dom_zzzzzzzzzzzzzzzzzzzzzzzzzz"} {
		if controlplane.IsID(controlplane.PrefixDomain, bad) {
			t.Errorf("%q passes for an id", bad)
		}
	}
}
