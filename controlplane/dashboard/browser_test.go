package dashboard

import (
	"context"
	"errors"
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

// screenshotDir is the environment variable with the directory for screenshots. If it is empty,
// the tests take none.
const screenshotDir = "DCVAAS_SCREENSHOTS"

// tab is a page in a real browser.
type tab struct {
	*site
	ctx context.Context
}

// expectedErrors matches the console messages that the tests provoke: a rejected form, a page of a
// deleted object or without access, and a disconnected network.
var expectedErrors = regexp.MustCompile(`status of (403|404|409|410|412|422)|net::ERR_`)

// navigatedAway matches the browser's errors about a page that was left during an action.
var navigatedAway = regexp.MustCompile(
	`Cannot find context with specified id|Execution context was destroyed|Inspected target navigated|No node with given id`)

// open starts a separate browser with an empty profile and opens the dashboard. It fails the test
// on errors in a page's console, such as a script that the CSP blocked.
func (s *site) open(width, height int64, dark, scripts bool) *tab {
	s.t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		s.t.Fatal("chromium is not on PATH: tools/install.sh test installs it")
	}
	profile, err := os.MkdirTemp("", "dcvaas-browser-")
	s.must(err)
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path),
		chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.UserDataDir(profile), chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.WSURLReadTimeout(2*time.Minute)) // the first start from a slow disk is slow
	alloc, cancelAlloc := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(alloc, chromedp.WithErrorf(unlessNew))
	ctx, cancelTime := context.WithTimeout(ctx, 4*time.Minute)
	s.t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // waits until the browser exits
		cancelTime()
		cancel()
		cancelAlloc()
		for range 50 { // child processes still write to the profile for a moment
			if os.RemoveAll(profile) == nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
	chromedp.ListenTarget(ctx, func(ev any) {
		switch e := ev.(type) {
		case *runtime.EventExceptionThrown:
			s.t.Errorf("JavaScript exception: %s", e.ExceptionDetails.Error())
		case *log.EventEntryAdded:
			if e.Entry.Level == log.LevelError && !expectedErrors.MatchString(e.Entry.Text) {
				s.t.Errorf("console error: %s %s", e.Entry.Text, e.Entry.URL)
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
		browser.SetPermission(&browser.PermissionDescriptor{Name: "clipboard-write"},
			browser.PermissionSettingGranted).WithOrigin(s.server.URL),
		browser.SetPermission(&browser.PermissionDescriptor{Name: "clipboard-read"},
			browser.PermissionSettingGranted).WithOrigin(s.server.URL),
		emulation.SetEmulatedMedia().WithFeatures(
			[]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}),
		emulation.SetScriptExecutionDisabled(!scripts),
		chromedp.EmulateViewport(width, height),
		goTo(s.server.URL+"/domains"),
		visible(`main button`),
	)
	return t
}

// unlessNew prints an error of the test library, unless it is about an event that it does not know
// yet.
func unlessNew(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !strings.HasPrefix(text, "unhandled") {
		fmt.Fprintln(os.Stderr, "chromedp:", text)
	}
}

func (t *tab) run(actions ...chromedp.Action) {
	t.t.Helper()
	for _, a := range actions {
		err := chromedp.Run(t.ctx, a)
		// A navigation cancels the actions on the previous page.
		for end := time.Now().Add(time.Minute); err != nil &&
			navigatedAway.MatchString(err.Error()) && time.Now().Before(end); {
			time.Sleep(20 * time.Millisecond)
			err = chromedp.Run(t.ctx, a)
		}
		if err != nil {
			var at, text string
			_ = chromedp.Run(t.ctx, chromedp.Location(&at),
				chromedp.Text("main", &text, chromedp.ByQuery))
			t.t.Fatalf("browser action failed: %v, at %s:\n%s", err, at, text)
		}
	}
}

// complete waits until the tab shows a complete page other than the one with the time origin
// before, for up to a minute, and returns the page's time origin. It asks repeatedly from outside:
// a script that waits on a page stops when the browser keeps that page in its cache, and the test
// library can lose a page that is left while it is loading.
func complete(ctx context.Context, before string) (string, error) {
	var now string
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		err := chromedp.Evaluate(`document.readyState + " " + performance.timeOrigin`,
			&now).Do(ctx)
		state, origin, _ := strings.Cut(now, " ")
		if err == nil && state == "complete" && origin != before {
			return origin, nil
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	return "", errors.New("no complete page: " + now)
}

// goTo opens an address and waits for its page.
func goTo(address string) chromedp.Action {
	return chromedp.ActionFunc(func(ctx context.Context) error {
		before, err := complete(ctx, "")
		if err != nil {
			return err
		}
		time.Sleep(100 * time.Millisecond) // until the test library knows the page
		_, _, failed, _, err := page.Navigate(address).Do(ctx)
		if err != nil || failed != "" {
			return errors.Join(err, errors.New(failed))
		}
		_, err = complete(ctx, before)
		return err
	})
}

// visible waits until the first element that matches the CSS selector is visible.
func visible(selector string) chromedp.Action {
	return until(fmt.Sprintf(`document.querySelector(%q)?.checkVisibility() ?? false`, selector))
}

// until waits until an expression is true on the page. It asks from outside (complete), so it works
// without JavaScript on the page, and while the page is replaced.
func until(expression string) chromedp.Action {
	return chromedp.ActionFunc(func(ctx context.Context) error {
		for {
			var now bool
			if err := chromedp.Evaluate(expression, &now).Do(ctx); err == nil && now {
				return nil
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
}

// js evaluates an expression on the page and returns its value as text.
func (t *tab) js(expression string) string {
	t.t.Helper()
	var v any
	t.run(chromedp.Evaluate(expression, &v,
		func(p *runtime.EvaluateParams) *runtime.EvaluateParams {
			return p.WithAwaitPromise(true)
		}))
	return fmt.Sprint(v)
}

// eventually waits until an expression is true on the page.
func (t *tab) eventually(expression string) {
	t.t.Helper()
	t.run(chromedp.Poll(expression, nil, chromedp.WithPollingTimeout(time.Minute),
		chromedp.WithPollingInterval(20*time.Millisecond)))
}

// key sends each text as keys to the element that has the focus. Keys that a page receives before
// it is complete, and before autofocus moved the focus, are lost, so it waits for both. Only the
// Tab key needs no focused element.
func (t *tab) key(keys ...string) {
	t.t.Helper()
	for _, k := range keys {
		ready := `document.readyState === "complete"`
		if k != kb.Tab {
			ready += ` && ![null, document.body].includes(document.activeElement)`
		}
		t.run(until(ready), chromedp.KeyEvent(k))
	}
}

// screenshot saves a screenshot of the whole page if screenshotDir is set.
func (t *tab) screenshot(name string) {
	t.t.Helper()
	dir := os.Getenv(screenshotDir)
	if dir == "" {
		return
	}
	var png []byte
	t.run(chromedp.FullScreenshot(&png, 100))
	t.must(os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600))
}

// checkFits fails if the page is wider than the window.
func (t *tab) checkFits() {
	t.t.Helper()
	t.checkFitsAs("the page")
}

// checkFitsAs is checkFits with a name for the page.
func (t *tab) checkFitsAs(name string) {
	t.t.Helper()
	if got := t.js(
		`document.documentElement.scrollWidth <= innerWidth ? "fits" : [...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 120)).join("\n")`); got != "fits" {
		t.t.Errorf("%s is wider than the window:\n%s", name, got)
	}
}

func TestBrowserFirstDomainByKeyboard(t *testing.T) {
	s := newSite(t)
	b := s.open(1200, 800, false, true)
	b.screenshot("login")
	b.key(kb.Enter) // the button has the focus
	b.run(visible(`#name`))
	b.eventually(`document.activeElement.id === "name"`)
	b.screenshot("empty")
	b.key("b", "a", "d", " ", kb.Enter)
	b.run(visible(`#name-error`))
	b.screenshot("error")
	b.eventually(`document.activeElement.id === "name"`)
	if got := b.js(
		`document.activeElement.id + " " + document.activeElement.value`); got != "name bad " {
		t.Errorf("focus after an error = %q, want the name field", got)
	}
	b.js(`document.activeElement.select()`)
	b.key("example.com", kb.Enter)
	b.run(visible(`#any-value`))
	d, err := s.store.Domain(t.Context(), s.org.ID, "example.com")
	s.must(err)
	target := d.Target + ".acme.dcvaas-verify.com"
	if got := b.js(`document.getElementById("any-value").textContent`); got != target {
		t.Errorf("record value = %q, want %q", got, target)
	}
	b.screenshot("pending")

	// Copy each field with the keyboard; each copy is announced.
	for _, f := range []struct{ label, value string }{
		{"Type", "CNAME"}, {"Host", "_acme-challenge"},
		{"Full host", "_acme-challenge.example.com"}, {"Value", target}, {"TTL", "300"},
	} {
		b.run(chromedp.Focus(`#form-any [aria-label="Copy ` + f.label + `"]`))
		b.key(kb.Enter)
		b.eventually(`document.getElementById("announce").textContent === "` + f.label + ` copied"`)
		if got := b.js(`navigator.clipboard.readText()`); got != f.value {
			t.Errorf("clipboard after Copy %s = %q, want %q", f.label, got, f.value)
		}
	}
	// The arrow keys select tabs.
	b.run(chromedp.Focus(`[role="tab"][aria-selected="true"]`))
	b.key(kb.ArrowLeft)
	b.run(visible(`#terraform-route53`), chromedp.WaitNotVisible(`#any-value`))
	b.screenshot("terraform")
	b.key(kb.Home)
	b.run(visible(`#any-value`))
	// The first focusable element of a page skips the navigation.
	b.run(chromedp.Reload(), visible(`#any-value`))
	b.key(kb.Tab)
	if got := b.js(`document.activeElement.className`); got != "skip" {
		t.Errorf("class of the first focusable element = %q, want skip", got)
	}
}

func TestBrowserLiveDomain(t *testing.T) {
	s := newSignedIn(t)
	d := s.add(s.org, "example.com")
	b := s.open(1200, 800, false, true)
	b.key(kb.Enter)
	b.run(visible(`#name`), goTo(s.server.URL+"/domains/"+d.ID),
		visible(`#pill`))
	b.js(`window.same = true`)
	b.eventually(
		`document.getElementById("live-note").textContent.includes("updates automatically")`)

	s.misconfigure(d)
	b.eventually(`document.getElementById("record-state").textContent.includes("Misconfigured")`)
	if got := b.js(`document.getElementById("conditions").innerText`); !strings.Contains(got,
		"old-target.example.net") || !strings.Contains(got, d.Target) {
		t.Errorf("checks = %s, want the found value and the expected value", got)
	}
	if got := b.js(`document.getElementById("status").innerText`); !strings.Contains(got,
		"CNAME points elsewhere") || !strings.Contains(got, "Replace the record") {
		t.Errorf("status = %s, want the cause and the fix", got)
	}
	b.screenshot("mismatch")

	b.run(chromedp.Focus(`#do-check`))
	s.change(d, func(d *controlplane.Domain) {
		now := time.Now()
		d.Status, d.StatusReason = controlplane.DomainIssuing, "issuing"
		d.SetCondition(controlplane.Condition{Type: controlplane.DNSReady,
			Status: "true", Reason: "ok", Message: "The CNAME points to its target.",
			LastCheckedAt: &now})
		d.SetCondition(controlplane.Condition{Type: controlplane.CertificateReady,
			Status: "false", Reason: "issuing", Message: "The certificate is being ordered.",
			LastCheckedAt: &now})
	})
	b.eventually(`document.getElementById("pill").textContent.includes("In progress")`)
	b.eventually(`document.getElementById("announce").textContent ===
		"Status: In progress Issuance in progress"`)
	if got := b.js(`document.activeElement.id`); got != "do-check" {
		t.Errorf("focus after the update = %q, want do-check", got)
	}
	b.screenshot("issuing")

	s.issue(d)
	b.eventually(
		`document.getElementById("pill").textContent.includes("Active") && document.getElementById("certificate").innerText.includes("Test Intermediate R3")`)
	s.deadLetter(d)
	b.eventually(`document.getElementById("jobs").innerText.includes("Dead-lettered")`)
	if got := b.js(`window.same`); got != "true" {
		t.Error("the page was reloaded")
	}
	b.screenshot("active")

	// Times have local time next to UTC.
	b.eventually(`document.querySelector("time[title*=local]") !== null`)

	// Changes during a disconnect are shown after the reconnect.
	b.run(chromedp.ActionFunc(func(ctx context.Context) error { return emulateOffline(ctx, true) }))
	s.server.CloseClientConnections()
	b.eventually(`document.getElementById("live-note").textContent.includes("Connection lost")`)
	s.change(d, func(d *controlplane.Domain) {
		now := time.Now()
		d.ExpiresAt = &now
	})
	b.run(chromedp.ActionFunc(func(ctx context.Context) error {
		return emulateOffline(ctx,
			false)
	}))
	b.eventually(`document.getElementById("pill").textContent.includes("Expired")`)
}

func TestBrowserWithoutJavaScript(t *testing.T) {
	s := newSite(t)
	b := s.open(1200, 800, false, false)
	b.key(kb.Enter)
	b.run(visible(`#name`))
	b.key("example.com", kb.Enter)
	b.run(visible(`#any-value`))
	b.screenshot("noscript")
	var shown bool
	b.run(chromedp.EvaluateAsDevTools(
		`[...document.querySelectorAll(".copy")].some(e => e.offsetParent)`, &shown))
	if shown {
		t.Error("copy buttons are visible without JavaScript")
	}
	// Opening one format of the record closes the other without JavaScript.
	b.run(chromedp.Click(`#form-bind summary`))
	var open string
	b.run(chromedp.EvaluateAsDevTools(
		`[...document.querySelectorAll("[data-tabs] details[open]")].map(e => e.id).join()`, &open))
	if open != "form-bind" {
		t.Errorf("open tabs = %q, want form-bind", open)
	}
	b.run(chromedp.Click(`#do-issue`),
		chromedp.WaitVisible(`//*[@class="flash"][contains(., "Certificate order started")]`,
			chromedp.BySearch))
}

func TestBrowserNarrowAndDark(t *testing.T) {
	s := newSignedIn(t)
	long := s.add(s.org, strings.Repeat("long-label-of-a-name.", 6)+"example.com")
	d := s.add(s.org, "example.com")
	gone := s.add(s.org, "kaputt.example.org")
	s.issue(d)
	s.issue(d)
	s.label(d, map[string]string{"team": "web",
		"description": strings.Repeat("a long value of a label ", 8)})
	s.add(s.org, "bücher.example")
	s.misconfigure(long)
	s.deadLetter(long)
	s.change(gone, func(d *controlplane.Domain) {
		d.Status, d.StatusReason = controlplane.DomainError, "delegation-timeout"
	})
	for _, look := range []struct {
		name          string
		width, height int64
		dark          bool
	}{{"narrow", 320, 640, false}, {"dark", 1200, 800, true}, {"light", 1200, 800, false},
		{"narrow-dark", 320, 640, true}} {
		b := s.open(look.width, look.height, look.dark, true)
		b.key(kb.Enter)
		b.run(visible(`#name`))
		b.checkFits()
		b.screenshot("domains-" + look.name)
		for name, id := range map[string]string{"active": d.ID, "wrong": long.ID} {
			b.run(goTo(s.server.URL+"/domains/"+id), visible(`#pill`),
				visible(`[role="tab"]`))
			b.checkFits()
			b.checkContrast()
			b.screenshot("domain-" + name + "-" + look.name)
		}
		b.run(goTo(s.server.URL + "/domains"))
		b.checkContrast()
		b.run(page.Close())
	}
}
