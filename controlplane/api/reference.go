package api

import (
	"bytes"
	"context"
	"net/http"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// GetContract implements GET /api/openapi.json.
func (a *API) GetContract(context.Context, GetContractRequestObject) (GetContractResponseObject, error) {
	return contractResponse(a.contract), nil
}

// contractResponse is the contract, encoded once.
type contractResponse []byte

// VisitGetContractResponse writes the document.
func (c contractResponse) VisitGetContractResponse(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache")
	_, err := w.Write(c)
	return err
}

// ExplainProblem implements GET /problems/{code}.
func (a *API) ExplainProblem(_ context.Context, r ExplainProblemRequestObject) (ExplainProblemResponseObject, error) {
	html, ok := a.pages.html[r.Code]
	if !ok {
		return nil, controlplane.NotFound("problem", r.Code)
	}
	return problemPageResponse{html: html, policy: a.pages.policy}, nil
}

// problemPageResponse is a page for people, under a policy that lets it use its own style
// and nothing else.
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
