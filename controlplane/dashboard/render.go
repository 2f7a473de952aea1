package dashboard

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed templates
var templateFiles embed.FS

// shared are the templates that all pages use. Every other file in templates/ is a page.
var shared = []string{"templates/layout.html", "templates/parts.html"}

// pages has the parsed templates by page name.
type pages map[string]*template.Template

// layout is the data for templates/layout.html, which surrounds every page.
type layout struct {
	Title   string
	Section string // in the main navigation
	Tab     string // in the settings navigation, if Section is settings
	Flash   string // message about the last action
	Page    any

	// Set by render.
	Nonce string
	Now   string
	Org   string
	User  string
	Open  int    // number of invitations that the user can accept
	Pages string // shortcuts
	Nav   navView
	Tabs  *navView // nil outside the settings
}

func parsePages(a *assets) (pages, error) {
	base, err := template.New("layout.html").Funcs(template.FuncMap{"static": a.url,
		"icon": icon}).ParseFS(templateFiles, shared...)
	if err != nil {
		return nil, err
	}
	files, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		return nil, err
	}
	all := pages{}
	for _, file := range files {
		if file == shared[0] || file == shared[1] {
			continue
		}
		t, err := base.Clone()
		if err != nil {
			return nil, err
		}
		if t, err = t.ParseFS(templateFiles, file); err != nil {
			return nil, err
		}
		all[strings.TrimSuffix(path.Base(file), ".html")] = t
	}
	return all, nil
}

// render responds with a page. If the template fails, it returns an error and writes nothing.
func (d *Dashboard) render(
	w http.ResponseWriter, v *visit, status int, name string, l layout,
) error {
	l.Nonce, l.Now = v.nonce, v.now.Format(time.RFC3339Nano)
	if v.session != nil {
		l.User, l.Open = v.session.User.Title(), v.session.Invitations
		l.Pages = shortcuts()
	}
	if v.org != nil {
		l.Org = v.org.Name
	}
	l.Nav = navView{Items: navigation, Current: l.Section, Alerts: d.alertCount(v)}
	if l.Tab != "" {
		l.Tabs = &navView{Items: settings, Current: l.Tab}
	}
	var b bytes.Buffer
	if err := d.pages[name].ExecuteTemplate(&b, "layout", l); err != nil {
		return fmt.Errorf("dashboard: page %s: %w", name, err)
	}
	page := d.addFormKeys(b.Bytes(), v)
	if v.input != nil {
		var err error
		if page, err = v.input.fill(page); err != nil {
			return err
		}
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(page) // the client may have disconnected
	return nil
}
