package dashboard

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge/axetest"
)

// widths are those of a desktop, a phone, and the narrowest window of WCAG 2.2 (§1.4.10), in
// pixels. At 400% zoom, a desktop has the last one.
var widths = []int64{1280, 375, 320}

// galleryParts is the number of browsers that share the pictures.
const galleryParts = 3

// Every page in every state fits into the window and has no accessibility findings, light and
// dark, on a desktop and on phones. With DCVAAS_SCREENSHOTS, it checks every look, and writes
// pictures to that folder. Otherwise, it checks two of the six.
func TestBrowserGallery(t *testing.T) {
	s := newSite(t, withSealer(t))
	pictures := s.pictures()
	script, err := axetest.Script()
	s.must(err)
	for part := range galleryParts {
		t.Run(fmt.Sprintf("part-%d", part+1), func(t *testing.T) {
			t.Parallel()
			b := s.withT(t).open(widths[0], 900, false, true)
			for i := part; i < len(pictures); i += galleryParts {
				b.exhibit(pictures[i], script)
			}
		})
	}
}

// exhibit opens a page and checks it in each look. script defines axe.
func (t *tab) exhibit(p picture, script string) {
	t.t.Helper()
	t.run(network.ClearBrowserCookies())
	if p.visitor != nil {
		t.signInBrowser(p.visitor)
	}
	t.look(widths[0], "light")
	t.run(goTo(t.server.URL+p.path), visible(`main`))
	if p.act != nil {
		p.act(t)
	}
	t.run(chromedp.Evaluate(script, nil))
	for _, l := range looks() {
		t.look(l.width, l.scheme)
		name := fmt.Sprintf("%s-%d-%s", p.name, l.width, l.scheme)
		t.screenshot(name)
		if l.width == p.shown && l.scheme == "light" {
			t.illustration(p.name)
		}
		t.checkFitsAs(name)
		if got := t.js(axetest.Findings); got != "" {
			t.t.Errorf("axe on %s:\n%s", name, got)
		}
	}
}

// look is how a page is shown.
type look struct {
	width  int64  // of the window, in pixels
	scheme string // of colors
}

// looks returns every look if screenshotDir is set, and otherwise those that differ most.
func looks() []look {
	if os.Getenv(screenshotDir) == "" {
		return []look{{widths[0], "light"}, {widths[len(widths)-1], "dark"}}
	}
	var all []look
	for _, width := range widths {
		all = append(all, look{width, "light"}, look{width, "dark"})
	}
	return all
}

// illustration saves the part of the page that the window shows, for docs/images, if screenshotDir
// is set.
func (t *tab) illustration(name string) {
	t.t.Helper()
	dir := os.Getenv(screenshotDir)
	if dir == "" {
		return
	}
	t.run(chromedp.ActionFunc(func(ctx context.Context) error {
		picture, err := page.CaptureScreenshot().WithFormat(page.CaptureScreenshotFormatWebp).
			WithQuality(80).Do(ctx)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, name+".webp"), picture, 0o600)
	}))
}

// look sets the width of the window and the color scheme.
func (t *tab) look(width int64, scheme string) {
	t.t.Helper()
	t.run(emulation.SetEmulatedMedia().WithFeatures(
		[]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}),
		chromedp.EmulateViewport(width, 900))
}
