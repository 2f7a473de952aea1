package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"html/template"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// problemPages are the pages at /problems/{code}, one for each code of the catalog.
type problemPages struct {
	html   map[string][]byte
	policy string // Content-Security-Policy of the pages
}

const problemStyle = `body{font:1.0625rem/1.6 system-ui,sans-serif;max-width:42rem;margin:3rem auto;padding:0 1.25rem;color:#1b1f24;background:#fff}
h1{font-size:1.6rem;line-height:1.25}h2{font-size:1.05rem;margin-top:1.75rem}code{font:.95em ui-monospace,monospace;background:#eef1f4;padding:.1em .35em;border-radius:4px}
a{color:#0b5cad}@media(prefers-color-scheme:dark){body{color:#e6e9ec;background:#14171a}code{background:#272c31}a{color:#7ab7ff}}`

var problemTemplate = template.Must(template.New("problem").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}} · {{.Code.Code}}</title>
<style>` + problemStyle + `</style>
<main>
<p><code>{{.Code.Code}}</code></p>
<h1>{{.Title}}</h1>
<h2>What it means</h2>
<p>{{.Cause}}</p>
<h2>How to fix it</h2>
<p>{{.Fix}}</p>
<h2>Who acts</h2>
<p>{{.Actor}}.</p>
<h2>Where it appears</h2>
<ul>{{range .In.Names}}
<li>{{.}}</li>{{end}}
</ul>
<p>In an error, <code>detail</code>, <code>fix</code>, and <code>errors</code> describe your case. When you ask for help, include its <code>request_id</code>.</p>
<p><a href="{{.Contract}}">API description (OpenAPI)</a></p>
</main>
</html>
`))

// newProblemPages renders every page.
func newProblemPages(publicURL string) problemPages {
	sum := sha256.Sum256([]byte(problemStyle))
	p := problemPages{
		html: make(map[string][]byte),
		policy: "default-src 'none'; style-src 'sha256-" +
			base64.StdEncoding.EncodeToString(sum[:]) +
			"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	}
	for _, code := range controlplane.Codes() {
		var b bytes.Buffer
		err := problemTemplate.Execute(&b, struct {
			controlplane.Code
			Contract string
		}{code, publicURL + "/api/openapi.json"})
		if err != nil {
			panic(err) // a constant template on constant texts
		}
		p.html[code.Code] = b.Bytes()
	}
	return p
}
