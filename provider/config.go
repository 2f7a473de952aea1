package provider

import (
	"cmp"
	"context"
	"errors"
	"os"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

// Environment variables that are used if the attributes are not set.
const (
	envEndpoint = "DCVAAS_ENDPOINT"
	envAPIToken = "DCVAAS_API_TOKEN"
)

type providerModel struct {
	Endpoint     types.String `tfsdk:"endpoint"`
	APIToken     types.String `tfsdk:"api_token"`
	APITokenFile types.String `tfsdk:"api_token_file"`
	MaxRetries   types.Int64  `tfsdk:"max_retries"`
}

// options reads the provider's configuration: attribute, then environment, then file, then default.
// An unknown value is an error: a fallback to the environment could act on another organization.
func (p *dcvaasProvider) options(
	ctx context.Context, req provider.ConfigureRequest, resp *provider.ConfigureResponse,
) client.Options {
	var m providerModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	for name, unknown := range map[string]bool{
		"endpoint":       m.Endpoint.IsUnknown(),
		"api_token":      m.APIToken.IsUnknown(),
		"api_token_file": m.APITokenFile.IsUnknown(),
		"max_retries":    m.MaxRetries.IsUnknown(),
	} {
		if unknown {
			resp.Diagnostics.AddAttributeError(path.Root(name), "Unknown provider configuration",
				"The value of "+name+
					" is known only after apply. Use a value that is known at plan time, or first apply the resources that it depends on with -target.")
		}
	}
	if resp.Diagnostics.HasError() {
		return client.Options{}
	}

	o := client.Options{
		Endpoint:   cmp.Or(m.Endpoint.ValueString(), os.Getenv(envEndpoint)),
		Token:      cmp.Or(m.APIToken.ValueString(), os.Getenv(envAPIToken)),
		MaxRetries: client.DefaultMaxRetries,
		UserAgent:  p.userAgent(req.TerraformVersion),
	}
	if !m.MaxRetries.IsNull() {
		o.MaxRetries = int(m.MaxRetries.ValueInt64())
	}
	if file := m.APITokenFile.ValueString(); o.Token == "" && file != "" {
		b, err := os.ReadFile(file)
		if err != nil {
			resp.Diagnostics.AddAttributeError(path.Root("api_token_file"),
				"Cannot read the API token", sentence(err.Error()))
			return o
		}
		if o.Token = strings.TrimSpace(string(b)); o.Token == "" {
			resp.Diagnostics.AddAttributeError(path.Root("api_token_file"),
				"Cannot read the API token", "The file "+file+" is empty.")
			return o
		}
	}
	if o.Endpoint == "" {
		resp.Diagnostics.AddAttributeError(path.Root("endpoint"), "Missing API endpoint",
			"Set the attribute endpoint or the environment variable "+envEndpoint+
				" to the base URL of the API, such as https://dcvaas.example.com.")
	}
	if o.Token == "" {
		resp.Diagnostics.AddAttributeError(path.Root("api_token"), "Missing API token",
			"Set the attribute api_token, the environment variable "+envAPIToken+
				", or the attribute api_token_file.")
	}
	o.Log = logTo(o.Token)
	return o
}

// addOptionError adds an error of client.New at the attribute that it is about.
func addOptionError(diags *diag.Diagnostics, err error) {
	const summary = "Invalid provider configuration"
	var e *client.OptionError
	if !errors.As(err, &e) {
		diags.AddError(summary, sentence(err.Error()))
		return
	}
	attribute := map[string]string{"Endpoint": "endpoint", "Token": "api_token",
		"MaxRetries": "max_retries"}[e.Option]
	diags.AddAttributeError(path.Root(attribute), summary, sentence(e.Reason))
}

func (p *dcvaasProvider) userAgent(terraform string) string {
	ua := "terraform-provider-dcvaas/" + p.version
	if terraform != "" {
		ua += " Terraform/" + terraform
	}
	return ua
}
