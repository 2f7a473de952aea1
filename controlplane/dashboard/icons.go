package dashboard

import (
	"fmt"
	"html/template"
)

// icons are SVG paths on a grid of 16 by 16, drawn in the color of the text. Every icon is next to
// a text with the same meaning, so screen readers skip it.
var icons = map[string]string{
	"check":    `<path d="m3.5 8.5 3 3 6-7"/>`,
	"clock":    `<circle cx="8" cy="8" r="6"/><path d="M8 4.75V8l2.25 1.5"/>`,
	"cycle":    `<path d="M13.5 8a5.5 5.5 0 0 1-9.6 3.7M2.5 8a5.5 5.5 0 0 1 9.6-3.7"/><path d="M12.5 1.75V4.5H9.75M3.5 14.25V11.5h2.75"/>`,
	"alert":    `<path d="M8 2.25 14.25 13H1.75L8 2.25Z"/><path d="M8 6.5v3M8 11.25v.01"/>`,
	"cross":    `<path d="m4.25 4.25 7.5 7.5m0-7.5-7.5 7.5"/>`,
	"dot":      `<circle cx="8" cy="8" r="2.5"/>`,
	"copy":     `<rect x="5.5" y="5.5" width="8" height="8" rx="1.5"/><path d="M10.5 5.5v-1a2 2 0 0 0-2-2h-4a2 2 0 0 0-2 2v4a2 2 0 0 0 2 2h1"/>`,
	"download": `<path d="M8 2.5v7m-3-3 3 3 3-3M2.5 13.25h11"/>`,
	"plus":     `<path d="M8 3v10M3 8h10"/>`,
	"search":   `<circle cx="7" cy="7" r="4.25"/><path d="m10.25 10.25 3.25 3.25"/>`,
	"person":   `<circle cx="8" cy="5.25" r="2.75"/><path d="M2.75 13.75a5.25 5.25 0 0 1 10.5 0"/>`,
	"gear":     `<circle cx="8" cy="8" r="2.25"/><path d="M8 1.75v2M8 12.25v2M1.75 8h2M12.25 8h2M3.6 3.6 5 5M11 11l1.4 1.4M12.4 3.6 11 5M5 11l-1.4 1.4"/>`,
	"lock":     `<rect x="3" y="7" width="10" height="6.5" rx="1.5"/><path d="M5.25 7V5a2.75 2.75 0 0 1 5.5 0v2"/>`,
	"down":     `<path d="m4 6.25 4 4 4-4"/>`,
	"arrow":    `<path d="M3 8h10m-4-4 4 4-4 4"/>`,
}

// icon returns an icon by name. Templates call it.
func icon(name string) (template.HTML, error) {
	paths, ok := icons[name]
	if !ok {
		return "", fmt.Errorf("unknown icon %q", name)
	}
	// The HTML is safe: it has only the constants above.
	return template.HTML(
		`<svg class="icon" viewBox="0 0 16 16" width="16" height="16" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">` + paths + `</svg>`), nil
}
