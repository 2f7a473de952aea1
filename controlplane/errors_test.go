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

func TestAsErrorHidesOtherErrors(t *testing.T) {
	t.Parallel()
	secret := errors.New("password=hunter2")
	e := controlplane.AsError(fmt.Errorf("reading: %w", secret))
	if e.Kind != controlplane.KindInternal || e.Code != "internal" || !errors.Is(e, secret) {
		t.Errorf("AsError(%v) = %+v, want an internal error that wraps it", secret, e)
	}
	if shown := e.Message + " " + e.Fix; strings.Contains(shown, "hunter2") {
		t.Errorf("message and fix = %q, want no text of the cause", shown)
	}
	if got := e.Error(); !strings.Contains(got, "hunter2") {
		t.Errorf("Error() = %q, want the text of the cause", got)
	}
	if got := controlplane.Internal(secret); got.Kind != controlplane.KindInternal ||
		!errors.Is(got, secret) {
		t.Errorf("Internal(%v) = %+v, want an internal error that wraps it", secret, got)
	}
	own := controlplane.NotFound("domain", "dom_x")
	if got := controlplane.AsError(fmt.Errorf("wrapped: %w", own)); got != own {
		t.Errorf("AsError of a wrapped *Error = %v, want %v", got, own)
	}
}

func TestIsKindAndHasCode(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("wrapped: %w", controlplane.Invalid("/name", "name-empty",
		"The name is empty.", "Send one."))
	for _, tt := range []struct {
		err  error
		kind controlplane.Kind
		want bool
	}{{err, controlplane.KindInvalid, true}, {err, controlplane.KindNotFound, false},
		{io.EOF, controlplane.KindInternal, false}, {nil, controlplane.KindInvalid, false}} {
		if got := controlplane.IsKind(tt.err, tt.kind); got != tt.want {
			t.Errorf("IsKind(%v, %s) = %v, want %v", tt.err, tt.kind, got, tt.want)
		}
	}
	for _, tt := range []struct {
		err  error
		code string
		want bool
	}{{err, "name-empty", true}, {err, "other", false}, {nil, "", false}} {
		if got := controlplane.HasCode(tt.err, tt.code); got != tt.want {
			t.Errorf("HasCode(%v, %q) = %v, want %v", tt.err, tt.code, got, tt.want)
		}
	}
}

func TestNotFoundQuotesWithinBounds(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"dom_x", strings.Repeat("ü", 500), "\xff\xfe"} {
		e := controlplane.NotFound("domain", id)
		if !utf8.ValidString(e.Message) || len(e.Message) > 200 ||
			e.Kind != controlplane.KindNotFound || e.Code != "not-found" || e.Fix == "" {
			t.Errorf("NotFound(domain, %q) = %+v, want valid UTF-8 of at most 200 bytes, with a fix", id, e)
		}
	}
}

func TestIDs(t *testing.T) {
	t.Parallel()
	id := controlplane.NewID(controlplane.PrefixDomain)
	if !strings.HasPrefix(id, "dom_") || len(id) != len("dom_")+26 ||
		!controlplane.IsID(controlplane.PrefixDomain, id) {
		t.Errorf("NewID(dom) = %q, want a TypeID with the prefix dom", id)
	}
	if id == controlplane.NewID(controlplane.PrefixDomain) {
		t.Errorf("NewID(dom) = %q twice, want different IDs", id)
	}
	for _, bad := range []string{"", "dom_", "dom_x", strings.ToUpper(id), id + "0", id[4:],
		"job_" + id[4:], "dom_zzzzzzzzzzzzzzzzzzzzzzzzzz"} {
		if controlplane.IsID(controlplane.PrefixDomain, bad) {
			t.Errorf("IsID(dom, %q) = true, want false", bad)
		}
	}
}
