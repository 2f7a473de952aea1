package api

import (
	"bytes"
	"context"
	_ "embed"
	"net/http"
	"sync"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// referenceStyle is the name of the style sheet of the API reference.
const referenceStyle = "reference.css"

//go:embed reference/reference.css
var referenceCSS []byte

// referencePolicy allows only the page's own style sheet. The page needs no script.
const referencePolicy = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// reference returns the API reference and its files by name; the name of the page is "". They are
// rendered once.
var reference = sync.OnceValues(func() (map[string]*asset, error) {
	contract, err := parsedContract()
	if err != nil {
		return nil, err
	}
	var page bytes.Buffer
	if err := referenceTemplate.Execute(&page, newReferencePage(contract.doc)); err != nil {
		return nil, err
	}
	return map[string]*asset{
		"": {contentType: "text/html; charset=utf-8", cacheControl: "no-cache",
			policy: referencePolicy, zipped: compress(page.Bytes())},
		referenceStyle: {contentType: "text/css; charset=utf-8", cacheControl: "no-cache",
			zipped: compress(referenceCSS)},
	}, nil
})

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
	if file == nil || r.File == "" {
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
