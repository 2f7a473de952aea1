package provider

import (
	"context"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/function"
)

var _ function.Function = (*normalizeDomainFunction)(nil)

type normalizeDomainFunction struct{}

func (f *normalizeDomainFunction) Metadata(
	_ context.Context, _ function.MetadataRequest, resp *function.MetadataResponse,
) {
	resp.Name = "normalize_domain"
}

func (f *normalizeDomainFunction) Definition(
	_ context.Context, _ function.DefinitionRequest, resp *function.DefinitionResponse,
) {
	resp.Definition = function.Definition{
		Summary:             "Domain name in canonical form",
		MarkdownDescription: "Returns the name in lowercase and A-labels (IDNA2008), without a trailing dot. It returns an error for an invalid domain name.",
		Parameters: []function.Parameter{
			function.StringParameter{Name: "domain",
				MarkdownDescription: "Domain name, in any spelling."},
		},
		Return: function.StringReturn{},
	}
}

func (f *normalizeDomainFunction) Run(
	ctx context.Context, req function.RunRequest, resp *function.RunResponse,
) {
	var in string
	if resp.Error = req.Arguments.Get(ctx, &in); resp.Error != nil {
		return
	}
	name, err := parseName(in)
	if err != nil {
		// Terraform adds a period
		resp.Error = function.NewArgumentFuncError(0, strings.TrimSuffix(err.Error(), "."))
		return
	}
	resp.Error = resp.Result.Set(ctx, name)
}
