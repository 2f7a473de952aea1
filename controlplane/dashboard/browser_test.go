package dashboard

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// shots is where the tests leave pictures of the pages, for people to look at. Empty: none.
const shots = "DCVAAS_SCREENSHOTS"

// tab is a page in a real browser.
type tab struct {
	*site
	ctx context.Context
}

// expected is what the tests bring about themselves: a form that is refused, and a network
// that is cut.
var expected = regexp.MustCompile(`status of 422|net::ERR_`)

// gaveWay is what the browser says of a page that was left while it was looked at.
var gaveWay = regexp.MustCompile(`Cannot find context with specified id|Execution context was destroyed|Inspected target navigated|No node with given id`)

// open starts a browser of the test's own with an empty profile, signs in, and fails the
// test when a page has an error on its console: a script that the policy kept out is one.
func (s *site) open(width, height int64, dark, scripts bool) *tab {
	s.t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		s.t.Fatal("there is no chromium on PATH: tools/install.sh test installs it")
	}
	profile, err := os.MkdirTemp("", "dcvaas-browser-")
	s.must(err)
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.UserDataDir(profile), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.WSURLReadTimeout(2*time.Minute)) // a first start from a slow disk takes its time
	alloc, cancelAlloc := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(alloc)
	ctx, cancelTime := context.WithTimeout(ctx, 4*time.Minute)
	s.t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // waits until the browser has ended
		cancelTime()
		cancel()
		cancelAlloc()
		for range 50 { // its children write into the profile for a moment longer
			if os.RemoveAll(profile) == nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
	chromedp.ListenTarget(ctx, func(ev any) {
		switch e := ev.(type) {
		case *runtime.EventExceptionThrown:
			s.t.Errorf("a script threw: %s", e.ExceptionDetails.Error())
		case *log.EventEntryAdded:
			if e.Entry.Level == log.LevelError && !expected.MatchString(e.Entry.Text) {
				s.t.Errorf("the console says: %s %s", e.Entry.Text, e.Entry.URL)
			}
		}
	})
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	t := &tab{s, ctx}
	t.run(
		log.Enable(),
		browser.SetPermission(&browser.PermissionDescriptor{Name: "clipboard-write"}, browser.PermissionSettingGranted).WithOrigin(s.server.URL),
		browser.SetPermission(&browser.PermissionDescriptor{Name: "clipboard-read"}, browser.PermissionSettingGranted).WithOrigin(s.server.URL),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}),
		emulation.SetScriptExecutionDisabled(!scripts),
		chromedp.EmulateViewport(width, height),
		chromedp.Navigate(s.server.URL+"/domains"),
		chromedp.WaitVisible(`main button`),
	)
	return t
}

func (t *tab) run(actions ...chromedp.Action) {
	t.t.Helper()
	for _, a := range actions {
		err := chromedp.Run(t.ctx, a)
		// A page that gives way to the next one takes with it what was being asked of it.
		for end := time.Now().Add(time.Minute); err != nil && gaveWay.MatchString(err.Error()) && time.Now().Before(end); {
			time.Sleep(20 * time.Millisecond)
			err = chromedp.Run(t.ctx, a)
		}
		if err != nil {
			var at, text string
			_ = chromedp.Run(t.ctx, chromedp.Location(&at), chromedp.Text("main", &text, chromedp.ByQuery))
			t.t.Fatalf("%v, at %s:\n%s", err, at, text)
		}
	}
}

// js returns what an expression is on the page.
func (t *tab) js(expression string) string {
	t.t.Helper()
	var v any
	t.run(chromedp.Evaluate(expression, &v, func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
	return fmt.Sprint(v)
}

// eventually waits until an expression is true on the page.
func (t *tab) eventually(expression string) {
	t.t.Helper()
	t.run(chromedp.Poll(expression, nil, chromedp.WithPollingTimeout(time.Minute), chromedp.WithPollingInterval(20*time.Millisecond)))
}

func (t *tab) key(keys ...string) {
	t.t.Helper()
	for _, k := range keys {
		t.run(chromedp.KeyEvent(k))
	}
}

// shot leaves a picture of the whole page where somebody wants to look at it.
func (t *tab) shot(name string) {
	t.t.Helper()
	dir := os.Getenv(shots)
	if dir == "" {
		return
	}
	var png []byte
	t.run(chromedp.FullScreenshot(&png, 100))
	t.must(os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600))
}

// fits fails when the page is wider than the window.
func (t *tab) fits() {
	t.t.Helper()
	if got := t.js(`document.documentElement.scrollWidth <= innerWidth ? "fits" : [...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 120)).join("\n")`); got != "fits" {
		t.t.Errorf("the page is wider than the window:\n%s", got)
	}
}

func TestBrowserFirstDomainByKeyboard(t *testing.T) {
	s := newSite(t)
	b := s.open(1200, 800, false, true)
	b.shot("login")
	b.key(kb.Enter) // the button has the focus
	b.run(chromedp.WaitVisible(`#name`))
	b.shot("empty")
	b.key("b", "a", "d", " ", kb.Enter)
	b.run(chromedp.WaitVisible(`#name-error`))
	b.shot("error")
	if got := b.js(`document.activeElement.id + " " + document.activeElement.value`); got != "name bad " {
		t.Errorf("after an error the focus is on %q", got)
	}
	b.js(`document.activeElement.select()`)
	b.run(chromedp.KeyEvent("example.com"))
	b.key(kb.Enter)
	b.run(chromedp.WaitVisible(`#any-value`))
	d, err := s.store.Domain(t.Context(), s.org.ID, "example.com")
	s.must(err)
	target := d.Target + ".acme.dcvaas-verify.com"
	if got := b.js(`document.getElementById("any-value").textContent`); got != target {
		t.Errorf("the record's value is %q, want %q", got, target)
	}
	b.shot("pending")

	// Each field by the keyboard, announced.
	for _, f := range []struct{ label, value string }{
		{"Type", "CNAME"}, {"Host", "_acme-challenge"}, {"Full host", "_acme-challenge.example.com"}, {"Value", target}, {"TTL", "300"},
	} {
		b.run(chromedp.Focus(`#form-any [aria-label="Copy ` + f.label + `"]`))
		b.key(kb.Enter)
		b.eventually(`document.getElementById("announce").textContent === "` + f.label + ` copied"`)
		if got := b.js(`navigator.clipboard.readText()`); got != f.value {
			t.Errorf("%s: the clipboard has %q, want %q", f.label, got, f.value)
		}
	}
	// The tabs go by the arrows.
	b.run(chromedp.Focus(`[role="tab"][aria-selected="true"]`))
	b.key(kb.ArrowLeft)
	b.run(chromedp.WaitVisible(`#terraform-route53`), chromedp.WaitNotVisible(`#any-value`))
	b.shot("terraform")
	b.key(kb.Home)
	b.run(chromedp.WaitVisible(`#any-value`))
	// The first stop of every page leads over the navigation.
	b.run(chromedp.Reload(), chromedp.WaitVisible(`#any-value`))
	b.key(kb.Tab)
	if got := b.js(`document.activeElement.className`); got != "skip" {
		t.Errorf("the first stop is %q", got)
	}
}

func TestBrowserFollowsADomain(t *testing.T) {
	s := newSignedIn(t)
	d := s.add(s.org, "example.com")
	b := s.open(1200, 800, false, true)
	b.key(kb.Enter)
	b.run(chromedp.WaitVisible(`#name`), chromedp.Navigate(s.server.URL+"/domains/"+d.ID), chromedp.WaitVisible(`#pill`))
	b.js(`window.same = true`)
	b.eventually(`document.getElementById("live-note").textContent.includes("by itself")`)

	s.mismatch(d)
	b.eventually(`document.getElementById("record-state").textContent.includes("Not right")`)
	if got := b.js(`document.getElementById("conditions").innerText`); !strings.Contains(got, "old-target.example.net") || !strings.Contains(got, d.Target) || !strings.Contains(got, "Replace the record") {
		t.Errorf("it does not say what is seen, expected and to do: %s", got)
	}
	b.shot("mismatch")

	b.run(chromedp.Focus(`#do-check`))
	s.change(d, func(d *controlplane.Domain) {
		now := time.Now()
		d.Status, d.StatusReason = controlplane.DomainIssuing, "issuing"
		d.SetCondition(controlplane.Condition{Type: controlplane.DNSReady, Status: "true", Reason: "ok", Message: "The CNAME leads to its target.", LastCheckedAt: &now})
	})
	b.eventually(`document.getElementById("pill").textContent.includes("Issuing")`)
	b.eventually(`document.getElementById("announce").textContent === "Status: Issuing"`)
	if got := b.js(`document.activeElement.id`); got != "do-check" {
		t.Errorf("the focus went to %q", got)
	}
	b.shot("issuing")

	s.issue(d)
	b.eventually(`document.getElementById("pill").textContent.includes("Active") && document.getElementById("certificate").innerText.includes("Test Intermediate R3")`)
	s.kill(d)
	b.eventually(`document.getElementById("jobs").innerText.includes("Gave up")`)
	if got := b.js(`window.same`); got != "true" {
		t.Error("the page was loaded again")
	}
	b.shot("active")

	// Times are kept fresh, with local time beside UTC.
	b.eventually(`document.querySelector("time[title*=local]") !== null`)

	// What happens while the stream is cut is shown when it is back.
	b.run(chromedp.ActionFunc(func(ctx context.Context) error { return emulateOffline(ctx, true) }))
	s.server.CloseClientConnections()
	b.eventually(`document.getElementById("live-note").textContent.includes("lost")`)
	s.change(d, func(d *controlplane.Domain) {
		d.Status, d.StatusReason = controlplane.DomainError, "delegation-timeout"
	})
	b.run(chromedp.ActionFunc(func(ctx context.Context) error { return emulateOffline(ctx, false) }))
	b.eventually(`document.getElementById("pill").textContent.includes("Error")`)
}

func TestBrowserWithoutScripts(t *testing.T) {
	s := newSite(t)
	b := s.open(1200, 800, false, false)
	b.key(kb.Enter)
	b.run(chromedp.WaitVisible(`#name`), chromedp.KeyEvent("example.com"))
	b.key(kb.Enter)
	b.run(chromedp.WaitVisible(`#any-value`))
	b.shot("noscript")
	var shown bool
	b.run(chromedp.EvaluateAsDevTools(`[...document.querySelectorAll(".copy")].some(e => e.offsetParent)`, &shown))
	if shown {
		t.Error("there are copy buttons that do nothing")
	}
	// One form of the record opens, and the other closes, without any script.
	b.run(chromedp.Click(`#form-bind summary`))
	var open string
	b.run(chromedp.EvaluateAsDevTools(`[...document.querySelectorAll("[data-tabs] details[open]")].map(e => e.id).join()`, &open))
	if open != "form-bind" {
		t.Errorf("what is open is %q", open)
	}
	b.run(chromedp.Click(`#do-issue`),
		chromedp.WaitVisible(`//*[@class="flash"][contains(., "A certificate is being ordered now")]`, chromedp.BySearch))
}

func TestBrowserNarrowAndDark(t *testing.T) {
	s := newSignedIn(t)
	long := s.add(s.org, strings.Repeat("long-label-of-a-name.", 6)+"example.com")
	d := s.add(s.org, "example.com")
	gone := s.add(s.org, "kaputt.example.org")
	s.issue(d)
	s.issue(d)
	s.mismatch(long)
	s.kill(long)
	s.change(gone, func(d *controlplane.Domain) {
		d.Status, d.StatusReason = controlplane.DomainError, "delegation-timeout"
	})
	for _, look := range []struct {
		name          string
		width, height int64
		dark          bool
	}{{"narrow", 320, 640, false}, {"dark", 1200, 800, true}, {"light", 1200, 800, false}, {"narrow-dark", 320, 640, true}} {
		b := s.open(look.width, look.height, look.dark, true)
		b.key(kb.Enter)
		b.run(chromedp.WaitVisible(`#name`))
		b.fits()
		b.shot("domains-" + look.name)
		for name, id := range map[string]string{"active": d.ID, "wrong": long.ID} {
			b.run(chromedp.Navigate(s.server.URL+"/domains/"+id), chromedp.WaitVisible(`#pill`), chromedp.WaitVisible(`[role="tab"]`))
			b.fits()
			b.contrast()
			b.shot("domain-" + name + "-" + look.name)
		}
		b.run(chromedp.Navigate(s.server.URL + "/domains"))
		b.contrast()
		b.run(page.Close())
	}
}
