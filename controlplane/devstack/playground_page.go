package devstack

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

//go:embed playground.html playground.css
var playgroundFiles embed.FS

var playgroundTemplate = template.Must(template.ParseFS(playgroundFiles, "playground.html"))

// playgroundPage is the data of the page: the records, and the submitted form if it was rejected.
type playgroundPage struct {
	DNSAddr string
	DoHURL  string
	Zone    string
	Types   []string
	Records []RecordSet
	Form    playgroundForm
	Error   *controlplane.Error
}

type playgroundForm struct{ Name, Type, Values, TTL string }

func (p *Playground) pageRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		p.page(w, http.StatusOK, playgroundForm{Name: r.FormValue("name"),
			Type: "CNAME", TTL: "60"}, nil)
	})
	mux.HandleFunc("POST /{$}", p.setByForm)
	mux.HandleFunc("POST /remove", p.removeByForm)
	mux.HandleFunc("GET /playground.css", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFileFS(w, r, playgroundFiles, "playground.css")
	})
}

// setByForm sets the records of a form with one value per line.
func (p *Playground) setByForm(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
	form := playgroundForm{r.PostFormValue("name"), r.PostFormValue("type"),
		r.PostFormValue("values"), r.PostFormValue("ttl")}
	var values []string
	for line := range strings.Lines(form.Values) {
		if line = strings.TrimSpace(line); line != "" {
			values = append(values, line)
		}
	}
	ttl, err := strconv.Atoi(form.TTL)
	if err != nil {
		err = controlplane.Invalid("/ttl", "invalid-ttl", "The TTL must be a number.",
			"Enter the TTL in seconds, such as 60.")
	} else {
		_, err = p.store.set(form.Name, form.Type, values, ttl)
	}
	if err != nil {
		e := controlplane.AsError(err)
		p.page(w, playgroundStatus(e), form, e)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (p *Playground) removeByForm(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
	if _, err := p.store.remove(r.PostFormValue("name"), r.PostFormValue("type")); err != nil {
		e := controlplane.AsError(err)
		p.page(w, playgroundStatus(e), playgroundForm{Type: "CNAME", TTL: "60"}, e)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (p *Playground) page(
	w http.ResponseWriter, status int, form playgroundForm, e *controlplane.Error,
) {
	page := playgroundPage{
		DNSAddr: p.DNSAddr(), DoHURL: p.DoHURL(), Zone: strings.TrimSuffix(p.zone.name, "."),
		Records: p.store.list(), Form: form, Error: e,
	}
	for _, t := range playgroundTypes {
		page.Types = append(page.Types, dns.TypeToString[t])
	}
	var b bytes.Buffer
	if err := playgroundTemplate.Execute(&b, page); err != nil {
		p.log.Error("playground page", "error", err)
		http.Error(w, "rendering the page failed", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy",
		"default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = b.WriteTo(w)
}
