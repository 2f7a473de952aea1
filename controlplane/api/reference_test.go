package api

import (
	"compress/gzip"
	"context"
	"fmt"
	"html"
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

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge/axetest"
)

// The page has every operation and object, its links lead to a place on it or to this service, and
// it names no file of another host.
func TestReference(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	page := w.do("GET", "/api/reference", nil, anonymous).is(200)
	policy := page.header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'; style-src 'self';") ||
		strings.Contains(policy, "http") {
		t.Errorf("Content-Security-Policy = %q, want only the page's own style", policy)
	}
	for _, op := range w.api.operations {
		if !strings.Contains(page.body, `<article id="`+op.id+`">`) {
			t.Errorf("the page lacks the operation %s", op.id)
		}
	}
	links := regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(page.body, -1)
	if len(links) < 2*len(w.api.operations) {
		t.Errorf("%d links, want two for each of %d operations", len(links), len(w.api.operations))
	}
	for _, link := range links {
		to := html.UnescapeString(link[1])
		switch {
		case strings.HasPrefix(to, "#"):
			if !strings.Contains(page.body, `id="`+to[1:]+`"`) {
				t.Errorf("a link leads to %s, which is not on the page", to)
			}
		case strings.HasPrefix(to, "/api/"):
			w.do("GET", to, nil, anonymous).is(200)
		default:
			t.Errorf("a link leads to %s, want a path of the API", to)
		}
	}
	for _, name := range []string{"reference.html", "rapidoc-9.3.8.min.js", "x"} {
		w.do("GET", "/api/reference/"+name, nil, anonymous).problem(404, "not-found")
	}
}

// The examples are calls that a shell can run, with the fields that the contract requires.
func TestReferenceExamples(t *testing.T) {
	t.Parallel()
	contract, err := parsedContract()
	if err != nil {
		t.Fatal(err)
	}
	page := newReferencePage(contract.doc)
	got := map[string]string{}
	for _, g := range page.Groups {
		for _, o := range g.Operations {
			got[o.ID] = o.Example
		}
	}
	for id, want := range map[string]string{
		"livez": `curl "$DCVAAS_ENDPOINT/livez"`,
		"deleteDomain": `curl -X DELETE "$DCVAAS_ENDPOINT/api/domains/{domain}" \
  -H "Authorization: Bearer $DCVAAS_API_TOKEN"`,
		"createDomain": `curl -X POST "$DCVAAS_ENDPOINT/api/domains" \
  -H "Authorization: Bearer $DCVAAS_API_TOKEN" \
  -H "Content-Type: application/json" \
  -d '{"name":"example.com"}'`,
	} {
		if got[id] != want {
			t.Errorf("example of %s = %s, want %s", id, got[id], want)
		}
	}
}

// Clients that accept gzip get the same content compressed.
func TestCompressed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, path := range []string{"/api/openapi.json", "/api/reference", "/api/reference/" +
		referenceStyle} {
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

// The page fits into each window and has no accessibility findings, light and dark. It needs no
// script, sends no request to other hosts, and logs nothing to its console.
func TestReferenceInABrowser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := newBrowser(t)
	script, err := axetest.Script()
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var requested []string
	chromedp.ListenTarget(ctx, func(ev any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := ev.(type) {
		case *network.EventRequestWillBeSent:
			requested = append(requested, e.Request.URL)
		case *log.EventEntryAdded:
			if e.Entry.Level == log.LevelError && !strings.HasSuffix(e.Entry.URL, "/favicon.ico") {
				t.Errorf("console error: %s %s", e.Entry.Text, e.Entry.URL)
			}
		}
	})
	run := func(actions ...chromedp.Action) {
		t.Helper()
		if err := chromedp.Run(ctx, actions...); err != nil {
			t.Fatal(err)
		}
	}
	run(network.Enable(), log.Enable(), chromedp.EmulateViewport(1280, 900),
		chromedp.Navigate(w.server.URL+"/api/reference"),
		chromedp.Poll(`document.readyState === "complete"`, nil,
			chromedp.WithPollingTimeout(time.Minute)),
		chromedp.Evaluate(script, nil))
	for _, width := range []int64{1280, 375, 320} {
		for _, scheme := range []string{"light", "dark"} {
			look := fmt.Sprintf("reference-%d-%s", width, scheme)
			var fits bool
			var findings string
			run(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{
				{Name: "prefers-color-scheme", Value: scheme}}),
				chromedp.EmulateViewport(width, 900),
				chromedp.Evaluate(`document.documentElement.scrollWidth <= innerWidth`, &fits),
				chromedp.Evaluate(axetest.Findings, &findings,
					func(p *runtime.EvaluateParams) *runtime.EvaluateParams {
						return p.WithAwaitPromise(true)
					}))
			if !fits {
				t.Errorf("%s is wider than the window", look)
			}
			if findings != "" {
				t.Errorf("axe on %s:\n%s", look, findings)
			}
			if dir := os.Getenv("DCVAAS_SCREENSHOTS"); dir != "" {
				var picture []byte
				run(chromedp.CaptureScreenshot(&picture))
				if err := os.WriteFile(filepath.Join(dir, look+".png"), picture,
					0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(requested) < 2 {
		t.Errorf("requests = %q, want the page and its style sheet", requested)
	}
	for _, url := range requested {
		if !strings.HasPrefix(url, w.server.URL+"/") {
			t.Errorf("the page requested %s, want only requests to its own host", url)
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
