package provider

import (
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

// The environment variables that stand in for attributes.
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

// options reads the provider's configuration: attribute, then environment, then file, then default. A value that is not
// known yet is an error: falling back to the environment could reach another organization.
func (p *dcvaasProvider) options(ctx context.Context, req provider.ConfigureRequest, resp *provider.ConfigureResponse) client.Options {
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
				"The value of "+name+" is known only after apply. Give the provider a value that is known at plan, or apply first what it comes from with -target.")
		}
	}
	if resp.Diagnostics.HasError() {
		return client.Options{}
	}

	o := client.Options{
		Endpoint:   firstOf(m.Endpoint.ValueString(), os.Getenv(envEndpoint)),
		Token:      firstOf(m.APIToken.ValueString(), os.Getenv(envAPIToken)),
		MaxRetries: client.DefaultMaxRetries,
		UserAgent:  p.userAgent(req.TerraformVersion),
	}
	if !m.MaxRetries.IsNull() {
		o.MaxRetries = int(m.MaxRetries.ValueInt64())
	}
	if file := m.APITokenFile.ValueString(); o.Token == "" && file != "" {
		b, err := os.ReadFile(file)
		if err != nil {
			resp.Diagnostics.AddAttributeError(path.Root("api_token_file"), "Cannot read the API token", sentence(err.Error()))
			return o
		}
		if o.Token = strings.TrimSpace(string(b)); o.Token == "" {
			resp.Diagnostics.AddAttributeError(path.Root("api_token_file"), "Cannot read the API token", "The file "+file+" is empty.")
			return o
		}
	}
	if o.Endpoint == "" {
		resp.Diagnostics.AddAttributeError(path.Root("endpoint"), "Missing API endpoint",
			"Set the attribute endpoint or the environment variable "+envEndpoint+" to the base URL of the API, such as https://dcvaas.example.com.")
	}
	if o.Token == "" {
		resp.Diagnostics.AddAttributeError(path.Root("api_token"), "Missing API token",
			"Set the attribute api_token, the environment variable "+envAPIToken+" or the attribute api_token_file.")
	}
	o.Log = logTo(o.Token)
	return o
}

// refuse puts what the client refuses at the attribute that it came from.
func refuse(diags *diag.Diagnostics, err error) {
	const summary = "Invalid provider configuration"
	var e *client.OptionError
	if !errors.As(err, &e) {
		diags.AddError(summary, sentence(err.Error()))
		return
	}
	attribute := map[string]string{"Endpoint": "endpoint", "Token": "api_token", "MaxRetries": "max_retries"}[e.Option]
	diags.AddAttributeError(path.Root(attribute), summary, sentence(e.Reason))
}

func (p *dcvaasProvider) userAgent(terraform string) string {
	ua := "terraform-provider-dcvaas/" + p.version
	if terraform != "" {
		ua += " Terraform/" + terraform
	}
	return ua
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
