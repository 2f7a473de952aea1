package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"slices"
)

// problemPage explains one code: what has happened, and how to mend it. Its Title is the
// `title` of every problem document with that code, and its Fix stands in where the error
// knows no better one.
type problemPage struct {
	Code    string
	Title   string
	Meaning string
	Fix     string
}

// problemPages are the pages at /problems/{code}, made once.
type problemPages struct {
	byCode map[string]problemPage
	html   map[string][]byte
	policy string // Content-Security-Policy of the pages
}

func (p problemPages) page(code string) problemPage { return p.byCode[code] }

const problemStyle = `body{font:1.0625rem/1.6 system-ui,sans-serif;max-width:42rem;margin:3rem auto;padding:0 1.25rem;color:#1b1f24;background:#fff}
h1{font-size:1.6rem;line-height:1.25}h2{font-size:1.05rem;margin-top:1.75rem}code{font:.95em ui-monospace,monospace;background:#eef1f4;padding:.1em .35em;border-radius:4px}
a{color:#0b5cad}@media(prefers-color-scheme:dark){body{color:#e6e9ec;background:#14171a}code{background:#272c31}a{color:#7ab7ff}}`

var problemTemplate = template.Must(template.New("problem").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}} · {{.Code}}</title>
<style>` + problemStyle + `</style>
<main>
<p><code>{{.Code}}</code></p>
<h1>{{.Title}}</h1>
<h2>What it means</h2>
<p>{{.Meaning}}</p>
<h2>How to mend it</h2>
<p>{{.Fix}}</p>
<p>The error's own <code>detail</code>, <code>fix</code> and <code>errors</code> say what it was in your case. When you ask for help, send its <code>request_id</code>.</p>
<p><a href="{{.Contract}}">The API's description (OpenAPI)</a></p>
</main>
</html>
`))

// newProblemPages renders every page. The code is the key, so a code that stands twice in
// the tables is a mistake that the tests find.
func newProblemPages(publicURL string) problemPages {
	sum := sha256.Sum256([]byte(problemStyle))
	p := problemPages{
		byCode: make(map[string]problemPage), html: make(map[string][]byte),
		policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	}
	for _, page := range problemTable() {
		var b bytes.Buffer
		err := problemTemplate.Execute(&b, struct {
			problemPage
			Contract string
		}{page, publicURL + "/api/openapi.json"})
		if err != nil {
			panic(err) // a constant template on constant texts
		}
		p.byCode[page.Code], p.html[page.Code] = page, b.Bytes()
	}
	return p
}

// problemTable returns every code that the API, or an object in its answers, can carry.
func problemTable() []problemPage {
	return slices.Concat(requestProblems, fieldProblems, objectProblems, delegationProblems, issuanceProblems, peopleProblems, webhookProblems)
}
