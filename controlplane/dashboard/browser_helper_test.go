package dashboard

import (
	"context"

	"github.com/chromedp/cdproto/network"
)

// emulateOffline disconnects the browser from all servers, or reconnects it.
func emulateOffline(ctx context.Context, off bool) error {
	return network.EmulateNetworkConditions(off, 0, -1, -1).Do(ctx)
}

// checkContrast fails if a text or the border of a control has less contrast than WCAG AA requires
// (§1.4.3: 4.5, §1.4.11: 3), or if a target is smaller than 24 pixels (§2.5.8).
func (t *tab) checkContrast() {
	t.t.Helper()
	if got := t.js(contrastScript); got != "" {
		t.t.Errorf("contrast or target size below WCAG AA:\n%s", got)
	}
}

const contrastScript = `(() => {
  const rgb = (s) => { const m = s.match(/[\d.]+/g).map(Number); return { c: m.slice(0, 3), a: m.length > 3 ? m[3] : 1 }; };
  const light = (c) => { const [r, g, b] = c.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
  const ground = (e) => { for (; e; e = e.parentElement) { const b = rgb(getComputedStyle(e).backgroundColor); if (b.a === 1) return b.c; } return [255, 255, 255]; };
  const seen = (e) => e.checkVisibility({ visibilityProperty: true }) && !e.closest(".hidden, .skip");
  const wrong = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement, text = walk.currentNode.textContent.trim();
    if (!text || !seen(e) || e.closest("script")) continue;
    const r = ratio(rgb(getComputedStyle(e).color).c, ground(e));
    if (r < 4.5) wrong.push(r.toFixed(2) + " " + text.slice(0, 40) + " <" + e.tagName + " class=" + e.className + ">");
  }
  for (const e of document.querySelectorAll("button, a, input, summary")) {
    if (!seen(e) || ["hidden", "checkbox", "radio"].includes(e.type)) continue; // the label is the target
    const box = e.getBoundingClientRect();
    const inText = e.tagName === "A" && e.closest("p, .crumbs, .older");
    if (!inText && (box.height < 24 || box.width < 24)) wrong.push("small: " + Math.round(box.width) + "x" + Math.round(box.height) + " " + (e.textContent || e.name).trim());
    if (e.tagName === "INPUT" && ratio(rgb(getComputedStyle(e).borderTopColor).c, ground(e)) < 3) wrong.push("border of " + e.name);
  }
  return wrong.join("\n");
})()`
