package api

import (
	"bytes"
	"context"
	"embed"
	"net/http"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// rapidoc is the file name of the script of the API reference.
const rapidoc = "rapidoc-9.3.8.min.js"

//go:embed reference/index.html reference/reference.js reference/rapidoc-9.3.8.min.js.gz reference/rapidoc-9.3.8.LICENSE.txt
var referenceFiles embed.FS

// referencePolicy allows only the page's own scripts and requests to this service. RapiDoc writes
// style attributes. Nothing is loaded from another host.
const referencePolicy = "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// newReference returns the API reference and its files by name; the name of the page is "".
func newReference() (map[string]*asset, error) {
	assets := map[string]*asset{
		"": {contentType: "text/html; charset=utf-8",
			cacheControl: "no-cache", policy: referencePolicy},
		"reference.js": {contentType: "text/javascript; charset=utf-8",
			cacheControl: "no-cache"},
		rapidoc: {contentType: "text/javascript; charset=utf-8",
			cacheControl: "public, max-age=31536000, immutable"},
		"rapidoc-9.3.8.LICENSE.txt": {contentType: "text/plain; charset=utf-8",
			cacheControl: "no-cache"},
	}
	for name, a := range assets {
		switch name {
		case "":
			name = "index.html"
		case rapidoc:
			name += ".gz"
		}
		b, err := referenceFiles.ReadFile("reference/" + name)
		if err != nil {
			return nil, err
		}
		if a.zipped = b; name != rapidoc+".gz" {
			a.zipped = compress(b)
		}
	}
	return assets, nil
}

// GetReference implements GET /api/reference.
func (a *API) GetReference(
	ctx context.Context, _ GetReferenceRequestObject,
) (GetReferenceResponseObject, error) {
	return assetResponse{a.reference[""], callOf(ctx)}, nil
}

// GetReferenceFile implements GET /api/reference/{file}.
func (a *API) GetReferenceFile(
	ctx context.Context, r GetReferenceFileRequestObject,
) (GetReferenceFileResponseObject, error) {
	file := a.reference[r.File]
	if file == nil {
		return nil, controlplane.NotFound("file", r.File)
	}
	return assetResponse{file, callOf(ctx)}, nil
}

// GetContract implements GET /api/openapi.json.
func (a *API) GetContract(
	ctx context.Context, _ GetContractRequestObject,
) (GetContractResponseObject, error) {
	return assetResponse{a.contract, callOf(ctx)}, nil
}

// assetResponse responds with an asset.
type assetResponse struct {
	asset *asset
	call  *call
}

// VisitGetReferenceResponse writes the page.
func (r assetResponse) VisitGetReferenceResponse(w http.ResponseWriter) error {
	return r.asset.write(w, r.call.takesGzip)
}

// VisitGetReferenceFileResponse writes the file.
func (r assetResponse) VisitGetReferenceFileResponse(w http.ResponseWriter) error {
	return r.asset.write(w, r.call.takesGzip)
}

// VisitGetContractResponse writes the document.
func (r assetResponse) VisitGetContractResponse(w http.ResponseWriter) error {
	return r.asset.write(w, r.call.takesGzip)
}

// ExplainProblem implements GET /problems/{code}.
func (a *API) ExplainProblem(
	_ context.Context, r ExplainProblemRequestObject,
) (ExplainProblemResponseObject, error) {
	html, ok := a.pages.html[r.Code]
	if !ok {
		return nil, controlplane.NotFound("problem", r.Code)
	}
	return problemPageResponse{html: html, policy: a.pages.policy}, nil
}

// problemPageResponse is an HTML page with a policy that allows only its own style.
type problemPageResponse struct {
	html   []byte
	policy string
}

// VisitExplainProblemResponse writes the page.
func (p problemPageResponse) VisitExplainProblemResponse(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("Content-Security-Policy", p.policy)
	_, err := bytes.NewReader(p.html).WriteTo(w)
	return err
}
