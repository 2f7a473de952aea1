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
	for _, url := range []string{"https://example.com", "https://example.com/a?b=c", "HTTPS://Example.com:443/", "https://hooks.example.com:8443/x", "https://8.8.8.8/", "https://[2606:4700:4700::1111]:65535/",
		"https://bücher.example/", "https://example.com./x"} {
		if err := controlplane.CheckWebhookURL(url, false); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	for _, url := range []string{"", "example.com", "/hook", "http://example.com", "ftp://example.com", "javascript:alert(1)", "https:example.com", "https://", "https://:443/", "https://user@example.com", "https://user:pw@example.com",
		"https://example.com#x", "https://example.com/#", "https://example.com:22/", "https://example.com:0/", "https://example.com:99999/", "https://example.com:x/", "https://127.0.0.1/", "https://[::1]/",
		"https://[::ffff:10.0.0.1]/", "https://[fe80::1%25eth0]/", "https://10.0.0.1/", "https://169.254.169.254/latest/meta-data", "https://localhost/", "https://db/", "https://a.local", "https://a.internal/", "https://a.onion/", "https://a.home.arpa/", "https://a.invalid/", "https://2130706433/",
		"https://127.1/", "https://0x7f.1/", "https://exa mple.com/", "https://example.com/\n", "https://-a.example.com/", "https://a..example.com/", "https://" + strings.Repeat("a", 64) + ".example.com/", "https://example.com/" + strings.Repeat("a", 2048)} {
		if err := controlplane.CheckWebhookURL(url, false); !controlplane.HasCode(err, "webhook-url") {
			t.Errorf("%s: %v", url, err)
		}
	}
	for url, want := range map[string]bool{"http://127.0.0.1:81/": true, "https://localhost:8080": true, "http://[::1]/": true, "http://example.com": false, "https://10.0.0.1/": false, "http://localhost.example.com/": false, "http://u@localhost/": false} {
		if err := controlplane.CheckWebhookURL(url, true); (err == nil) != want {
			t.Errorf("%s in development: %v", url, err)
		}
	}
}

// Whatever is sent as an address, the answer is one about it.
func FuzzCheckWebhookURL(f *testing.F) {
	for _, s := range []string{"https://example.com/x", "https://[::1]:80", "https://%zz", "https://a@b#c", "https://\xff.example", "http://127.0.0.1"} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, url string, loopback bool) {
		err := controlplane.CheckWebhookURL(url, loopback)
		if err != nil && (!controlplane.HasCode(err, "webhook-url") || controlplane.AsError(err).Fix == "") {
			t.Errorf("%q: %v", url, err)
		}
		if err == nil && !loopback && !strings.HasPrefix(strings.ToLower(url), "https://") {
			t.Errorf("%q was taken", url)
		}
	})
}

func TestWebhookKey(t *testing.T) {
	t.Parallel()
	a, b := controlplane.NewWebhookSecret(), controlplane.NewWebhookSecret()
	if key, err := controlplane.WebhookKey(a); err != nil || len(key) != 32 || a == b || !strings.HasPrefix(a, "whsec_") {
		t.Errorf("%d bytes, %v", len(key), err)
	}
	for _, s := range []string{"", "whsec_", "whsec_!!!!", strings.TrimPrefix(a, "whsec_"), "whsec_MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM=", "whsec_" + strings.Repeat("AAAA", 22)} {
		if _, err := controlplane.WebhookKey(s); !controlplane.HasCode(err, "webhook-secret") || s != "" && strings.Contains(err.Error(), strings.TrimPrefix(s, "whsec_")+"x") {
			t.Errorf("%q: %v", s, err)
		}
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
