package api

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// The page and all files that it names are served from here with their content types.
func TestReference(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	page := w.do("GET", "/api/reference", nil, anonymous).is(200)
	policy := page.header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'; script-src 'self';") ||
		strings.Contains(policy, "http") {
		t.Errorf("Content-Security-Policy %q", policy)
	}
	named := regexp.MustCompile(`(?:src|href|spec-url)="([^"]*)"`).FindAllStringSubmatch(page.body,
		-1)
	if len(named) < 4 {
		t.Errorf("it names %q", named)
	}
	for _, n := range named {
		if !strings.HasPrefix(n[1], "/api/") {
			t.Errorf("it names %s", n[1])
		}
		w.do("GET", n[1], nil, anonymous).is(200)
	}
	w.do("GET", "/api/reference/rapidoc-9.3.8.LICENSE.txt", nil, anonymous).is(200)
	for _, name := range []string{"index.html", "README.md", "rapidoc-9.3.8.min.js.gz", "x"} {
		w.do("GET", "/api/reference/"+name, nil, anonymous).problem(404, "not-found")
	}
}

// The stored RapiDoc script is the one that the README names.
func TestReferenceScriptIsThePublishedOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sum := sha256.Sum256([]byte(w.do("GET", "/api/reference/"+rapidoc, nil,
		anonymous).is(200).body))
	readme, err := os.ReadFile("reference/README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), hex.EncodeToString(sum[:])) {
		t.Errorf("the script's sum is %x", sum)
	}
}

// Clients that accept gzip get the same content compressed.
func TestCompressed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, path := range []string{"/api/openapi.json", "/api/reference", "/api/reference/" +
		rapidoc} {
		plain := w.do("GET", path, nil, anonymous, header("Accept-Encoding", "identity")).is(200)
		r := httptest.NewRequestWithContext(t.Context(), "GET", path, nil)
		r.Header.Set("Accept-Encoding", "br, gzip;q=0.5")
		packed := httptest.NewRecorder()
		w.api.ServeHTTP(packed, r)
		for _, h := range []http.Header{plain.header, packed.Header()} {
			if h.Get("Vary") != "Accept-Encoding" ||
				h.Get("Content-Type") != plain.header.Get("Content-Type") {
				t.Errorf("GET %s: headers = %v, want Vary Accept-Encoding and the same type", path,
					h)
			}
		}
		if plain.header.Get("Content-Encoding") != "" ||
			packed.Header().Get("Content-Encoding") != "gzip" {
			t.Errorf("GET %s: headers plain = %v, compressed = %v, want only the second gzip", path,
				plain.header, packed.Header())
		}
		in, err := gzip.NewReader(packed.Body)
		if err != nil {
			t.Fatal(err)
		}
		if unpacked, err := io.ReadAll(in); err != nil || string(unpacked) != plain.body ||
			len(plain.body) < 500 {
			t.Errorf("%s: %d bytes, packed %d (%v)", path, len(plain.body), len(unpacked), err)
		}
	}
	for accept, want := range map[string]bool{"": false, "gzip": true, "deflate,GZIP": true,
		"gzip;q=0": false, "gzip; q=0.000": false, "gzip; q=0.1": true, "x-gzip": false,
		"br": false} {
		if got := acceptsGzip(map[string][]string{"Accept-Encoding": {accept}}); got != want {
			t.Errorf("Accept-Encoding: %q: %v", accept, got)
		}
	}
}

// A browser shows every operation, sends no request to other hosts, and logs no policy violations
// to its console.
func TestReferenceInABrowser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := newBrowser(t)
	var mu sync.Mutex
	var asked []string
	chromedp.ListenTarget(ctx, func(ev any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := ev.(type) {
		case *network.EventRequestWillBeSent:
			asked = append(asked, e.Request.URL)
		case *runtime.EventExceptionThrown:
			t.Errorf("a script threw: %s", e.ExceptionDetails.Error())
		case *log.EventEntryAdded:
			if e.Entry.Level == log.LevelError && !strings.HasSuffix(e.Entry.URL, "/favicon.ico") {
				t.Errorf("the console says: %s %s", e.Entry.Text, e.Entry.URL)
			}
		}
	})
	const shown = `[...document.querySelector("rapi-doc").shadowRoot.querySelectorAll(".nav-bar-path")].length`
	var n int
	err := chromedp.Run(ctx, network.Enable(), log.Enable(), chromedp.EmulateViewport(1280, 900),
		chromedp.Navigate(w.server.URL+"/api/reference"),
		chromedp.Poll(
			`document.querySelector("rapi-doc")?.shadowRoot?.querySelectorAll(".nav-bar-path").length > 0`, nil, chromedp.WithPollingTimeout(time.Minute)),
		chromedp.Evaluate(shown, &n))
	if err != nil {
		t.Fatal(err)
	}
	if n != len(w.api.operations) {
		t.Errorf("%d operations are shown of %d", n, len(w.api.operations))
	}
	if dir := os.Getenv("DCVAAS_SCREENSHOTS"); dir != "" {
		var picture []byte
		if err := chromedp.Run(ctx, chromedp.Sleep(time.Second),
			chromedp.CaptureScreenshot(&picture)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "reference.png"), picture, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(asked) < 4 {
		t.Errorf("it asked for %q", asked)
	}
	for _, url := range asked {
		if !strings.HasPrefix(url, w.server.URL+"/") && !strings.HasPrefix(url, "data:") {
			t.Errorf("it asked for %s", url)
		}
	}
}

// newBrowser starts the test's own browser with an empty profile.
func newBrowser(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("chromium not found on PATH: run tools/install.sh test")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path),
		chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.WSURLReadTimeout(2*time.Minute))
	ctx, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewContext(ctx)
	t.Cleanup(stop)
	ctx, stop = context.WithTimeout(ctx, 4*time.Minute)
	t.Cleanup(stop)
	return ctx
}
