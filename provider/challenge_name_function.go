package provider

import (
	"context"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/function"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

var _ function.Function = (*challengeNameFunction)(nil)

type challengeNameFunction struct{}

func (f *challengeNameFunction) Metadata(
	_ context.Context, _ function.MetadataRequest, resp *function.MetadataResponse,
) {
	resp.Name = "challenge_name"
}

func (f *challengeNameFunction) Definition(
	_ context.Context, _ function.DefinitionRequest, resp *function.DefinitionResponse,
) {
	resp.Definition = function.Definition{
		Summary:             "Name of the record that delegates a domain",
		MarkdownDescription: "Returns `_acme-challenge.` and the domain name in lowercase and A-labels, without a trailing dot.",
		Parameters: []function.Parameter{
			function.StringParameter{Name: "domain",
				MarkdownDescription: "Domain name, in any spelling."},
		},
		Return: function.StringReturn{},
	}
}

func (f *challengeNameFunction) Run(
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
	resp.Error = resp.Result.Set(ctx, rules.ChallengeName(name))
}
