package rules_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

func TestCheckWebhookURL(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"https://example.com", "https://example.com/a?b=c",
		"HTTPS://Example.com:443/", "https://hooks.example.com:8443/x", "https://8.8.8.8/",
		"https://[2606:4700:4700::1111]:65535/",
		"https://bücher.example/", "https://example.com./x"} {
		if err := rules.CheckWebhookURL(url, false); err != nil {
			t.Errorf("CheckWebhookURL(%q) = %v, want no error", url, err)
		}
	}
	for _, url := range []string{"example.com", "/hook", "http://example.com",
		"ftp://example.com", "javascript:alert(1)", "https:example.com", "https://",
		"https://:443/", "https://user@example.com", "https://user:pw@example.com",
		"https://example.com#x", "https://example.com/#", "https://example.com:22/",
		"https://example.com:0/", "https://example.com:99999/", "https://example.com:x/",
		"https://127.0.0.1/", "https://[::1]/",
		"https://[::ffff:10.0.0.1]/", "https://[fe80::1%25eth0]/", "https://10.0.0.1/",
		"https://169.254.169.254/latest/meta-data", "https://localhost/", "https://db/",
		"https://a.local", "https://a.internal/", "https://a.onion/", "https://a.home.arpa/",
		"https://a.invalid/", "https://2130706433/",
		"https://127.1/", "https://0x7f.1/", "https://exa mple.com/", "https://example.com/\n",
		"https://-a.example.com/", "https://a..example.com/", "https://" + strings.Repeat("a", 64) +
			".example.com/"} {
		if err := rules.CheckWebhookURL(url, false); !hasCode(err, "webhook-url") {
			t.Errorf("CheckWebhookURL(%q) = %v, want the code webhook-url", url, err)
		}
	}
	for url, want := range map[string]bool{"http://127.0.0.1:81/": true,
		"https://localhost:8080": true, "http://[::1]/": true, "http://example.com": false,
		"https://10.0.0.1/": false, "http://localhost.example.com/": false,
		"http://u@localhost/": false} {
		if err := rules.CheckWebhookURL(url, true); (err == nil) != want {
			t.Errorf("CheckWebhookURL(%q, loopback) = %v, want valid %v", url, err, want)
		}
	}
}

func FuzzCheckWebhookURL(f *testing.F) {
	for _, s := range []string{"https://example.com/x", "https://[::1]:80", "https://%zz",
		"https://a@b#c", "https://\xff.example", "http://127.0.0.1"} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Add("", true)
	f.Fuzz(func(t *testing.T, url string, loopback bool) {
		err := rules.CheckWebhookURL(url, loopback)
		want := "webhook-url"
		switch n := utf8.RuneCountInString(url); {
		case n == 0:
			want = "too-short"
		case n > rules.MaxWebhookURL:
			want = "too-long"
		}
		if err != nil && !hasCode(err, want) {
			t.Errorf("CheckWebhookURL(%q) = %v, want the code %s", url, err, want)
		}
		if err == nil && !loopback && !strings.HasPrefix(strings.ToLower(url), "https://") {
			t.Errorf("CheckWebhookURL(%q) accepts a URL that is not https", url)
		}
	})
}

func TestWebhookKey(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]bool{0: false, 23: false, 24: true, 32: true, 64: true,
		65: false} {
		secret := "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, n))
		key, err := rules.WebhookKey(secret)
		if (err == nil) != want || (want && len(key) != n) {
			t.Errorf("WebhookKey of %d bytes = %d bytes, %v, want valid %v", n, len(key), err, want)
		}
	}
	for _, s := range []string{"whsec_", "whsec_!!!!", "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0"} {
		if _, err := rules.WebhookKey(s); !hasCode(err, "webhook-secret") ||
			strings.Contains(err.Error(), "MTIz") {
			t.Errorf("WebhookKey(%q) = %v, want the code webhook-secret and nothing of the secret",
				s, err)
		}
	}
}

func hasCode(err error, code string) bool {
	e, ok := errors.AsType[*rules.Error](err)
	return ok && e.Code == code && e.Message != "" && e.Fix != ""
}
