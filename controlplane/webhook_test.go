package controlplane_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

func TestCheckWebhookURL(t *testing.T) {
	t.Parallel()
	if err := controlplane.CheckWebhookURL("https://example.com/a?b=c", false); err != nil {
		t.Errorf("CheckWebhookURL returns the error %v", err)
	}
	err := controlplane.CheckWebhookURL("http://example.com/", true)
	if e := controlplane.AsError(err); e.Code != "webhook-url" || e.Kind != controlplane.KindInvalid || len(e.Fields) != 1 || e.Fields[0].Pointer != "/url" {
		t.Errorf("CheckWebhookURL(http) = %+v, want a KindInvalid error for /url with the code webhook-url", e)
	}
}

func TestWebhookKey(t *testing.T) {
	t.Parallel()
	a, b := controlplane.NewWebhookSecret(), controlplane.NewWebhookSecret()
	if key, err := controlplane.WebhookKey(a); err != nil || len(key) != 32 {
		t.Errorf("WebhookKey(NewWebhookSecret()) = %d bytes, %v, want 32", len(key), err)
	}
	if a == b {
		t.Errorf("NewWebhookSecret() = %q twice", a)
	}
	if _, err := controlplane.WebhookKey("whsec_"); !controlplane.HasCode(err, "webhook-secret") || controlplane.AsError(err).Fields[0].Pointer != "/secret" {
		t.Errorf("WebhookKey(whsec_) = %v, want the code webhook-secret for /secret", err)
	}
}

// The last attempt comes 75 h 35 min after the first, as Standard Webhooks proposes.
func TestDeliveryWait(t *testing.T) {
	t.Parallel()
	var sum time.Duration
	for n := 1; n < controlplane.DeliveryAttempts; n++ {
		d := controlplane.DeliveryWait(n, 0)
		if next := controlplane.DeliveryWait(n+1, 0); n < controlplane.DeliveryAttempts-1 && next <= d {
			t.Errorf("%s after %d failures, then %s", d, n, next)
		}
		sum += d
	}
	if want := 75*time.Hour + 35*time.Minute; sum < want*9/10 || sum > want*11/10 {
		t.Errorf("%s in all, want about %s", sum, want)
	}
	if controlplane.DeliveryWait(1, time.Hour) != time.Hour || controlplane.DeliveryWait(1, 48*time.Hour) != 24*time.Hour || controlplane.DeliveryWait(9, time.Second) < 21*time.Hour {
		t.Error("Retry-After is not kept within its bounds")
	}
}

// Every action whose kind is an event's can be chosen by a webhook, and nothing else.
func TestEventTypesAreTheActionsOfEvents(t *testing.T) {
	t.Parallel()
	var want []string
	for _, file := range []string{"audit.go", "webhook.go"} {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 || !strings.HasPrefix(spec.Names[0].Name, "Action") {
				return true
			}
			action, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Error(err)
			}
			if kind, _, _ := strings.Cut(action, "."); slices.Contains(controlplane.EventKinds(), kind) {
				want = append(want, action)
			}
			return true
		})
	}
	if got := controlplane.EventTypes(); !slices.Equal(sorted(got), sorted(want)) {
		t.Errorf("%q, and the actions are %q", sorted(got), sorted(want))
	}
	if got := controlplane.NearestEvent("domain.certificate_isued"); got != controlplane.ActionCertificateIssued {
		t.Error(got)
	}
	contract, err := os.ReadFile("api/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range append(controlplane.EventTypes(), controlplane.EventTest) {
		if !strings.Contains(string(contract), "| `"+e+"` |") {
			t.Errorf("the contract does not describe %s", e)
		}
	}
}

func sorted(list []string) []string { return slices.Sorted(slices.Values(list)) }
