// Package provider is the Terraform provider dcvaas, built on package client. main.go serves it to
// Terraform; tests serve it in-process. Each file contains one resource, data source, ephemeral
// resource, list resource, action, or function. Only errors.go converts API errors to diagnostics.
// The provider never stores a private key in state and never logs a token.
package provider

import (
	"context"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/action"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/list"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

var (
	_ provider.Provider                       = (*dcvaasProvider)(nil)
	_ provider.ProviderWithFunctions          = (*dcvaasProvider)(nil)
	_ provider.ProviderWithEphemeralResources = (*dcvaasProvider)(nil)
	_ provider.ProviderWithListResources      = (*dcvaasProvider)(nil)
	_ provider.ProviderWithActions            = (*dcvaasProvider)(nil)
)

type dcvaasProvider struct {
	version string
	now     func() time.Time
}

// configured is the provider data that Configure passes to resources, data sources, and the other
// types.
type configured struct {
	client      *client.Client
	domains     *domainReads // for a refresh
	unplanned   *domainReads // of changes since the plan; this provider's own writes do not matter
	now         func() time.Time
	token       string // secret of the API token; never logged
	tokenSource string // for errors
}

// New returns a factory of the provider. The User-Agent contains version.
func New(version string) func() provider.Provider { return newAt(version, time.Now) }

// newAt is New with another clock, for tests of tokens that expire.
func newAt(version string, now func() time.Time) func() provider.Provider {
	return func() provider.Provider { return &dcvaasProvider{version: version, now: now} }
}

func (p *dcvaasProvider) Metadata(
	_ context.Context, _ provider.MetadataRequest, resp *provider.MetadataResponse,
) {
	resp.TypeName = "dcvaas"
	resp.Version = p.version
}

func (p *dcvaasProvider) Schema(
	_ context.Context, _ provider.SchemaRequest, resp *provider.SchemaResponse,
) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Issues and renews TLS certificates for domains that are delegated once with a single CNAME record.",
		Attributes: map[string]schema.Attribute{
			"endpoint": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Base URL of the API without `/api`: `https://…`, or `http://…` for a loopback address. Default: the environment variable `DCVAAS_ENDPOINT`.",
			},
			"api_token": schema.StringAttribute{
				Optional:            true,
				Sensitive:           true,
				MarkdownDescription: "API token, `dcv_…`. Default: the file `api_token_file`, then the environment variable `DCVAAS_API_TOKEN`.",
			},
			"api_token_file": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Path of a file that contains the API token. It is read if `api_token` is not set, and has precedence over the environment variable `DCVAAS_API_TOKEN`.",
			},
			"organization_id": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "ID of the only organization that the provider may act on, `org_…`. A token of another organization is an error before anything is read or changed. Set it where plans are saved: a plan is applied with the token of that moment.",
				Validators: []validator.String{stringvalidator.RegexMatches(organizationID,
					"must be the ID of an organization, org_ and 26 characters")},
			},
			"max_retries": schema.Int64Attribute{
				Optional:            true,
				MarkdownDescription: "Maximum retries of a retryable request; 0 disables retries. Default: 4. Retries after a rate limit are not counted.",
				Validators:          []validator.Int64{int64validator.Between(0, 100)},
			},
		},
	}
}

func (p *dcvaasProvider) Configure(
	ctx context.Context, req provider.ConfigureRequest, resp *provider.ConfigureResponse,
) {
	s := p.settings(ctx, req, resp)
	if resp.Diagnostics.HasError() {
		return
	}
	c, err := client.New(s.Options)
	if err != nil {
		s.addOptionError(&resp.Diagnostics, err)
		return
	}
	if s.identify(ctx, c, &resp.Diagnostics); resp.Diagnostics.HasError() {
		return
	}
	data := &configured{client: c, domains: &domainReads{client: c, now: p.now},
		unplanned: &domainReads{client: c, now: p.now}, now: p.now,
		token: s.Token, tokenSource: s.TokenSource}
	resp.ResourceData = data
	resp.DataSourceData = data
	resp.EphemeralResourceData = data
	resp.ListResourceData = data
	resp.ActionData = data
}

func (p *dcvaasProvider) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{
		func() resource.Resource { return &domainResource{} },
		func() resource.Resource { return &domainValidationResource{} },
		func() resource.Resource { return &delegationResource{} },
		func() resource.Resource { return &apiTokenResource{} },
		func() resource.Resource { return &webhookResource{} },
		func() resource.Resource { return &dnsConnectionResource{} },
		func() resource.Resource { return &acmednsAccountResource{} },
		func() resource.Resource { return &memberResource{} },
	}
}

func (p *dcvaasProvider) DataSources(context.Context) []func() datasource.DataSource {
	return []func() datasource.DataSource{
		func() datasource.DataSource { return &domainDataSource{} },
		func() datasource.DataSource { return &domainsDataSource{} },
		func() datasource.DataSource { return &delegationDataSource{} },
		func() datasource.DataSource { return &certificateDataSource{} },
		func() datasource.DataSource { return &organizationDataSource{} },
	}
}

func (p *dcvaasProvider) EphemeralResources(context.Context) []func() ephemeral.EphemeralResource {
	return []func() ephemeral.EphemeralResource{
		func() ephemeral.EphemeralResource { return &certificateKeyEphemeral{} },
		func() ephemeral.EphemeralResource { return &apiTokenEphemeral{} },
	}
}

func (p *dcvaasProvider) Functions(context.Context) []func() function.Function {
	return []func() function.Function{
		func() function.Function { return &challengeNameFunction{} },
		func() function.Function { return &normalizeDomainFunction{} },
	}
}

func (p *dcvaasProvider) ListResources(context.Context) []func() list.ListResource {
	return []func() list.ListResource{
		func() list.ListResource { return &domainListResource{} },
		func() list.ListResource { return &apiTokenListResource{} },
		func() list.ListResource { return &webhookListResource{} },
		func() list.ListResource { return &memberListResource{} },
	}
}

func (p *dcvaasProvider) Actions(context.Context) []func() action.Action {
	return []func() action.Action{
		func() action.Action { return &renewAction{} },
		func() action.Action { return &verifyAction{} },
	}
}
