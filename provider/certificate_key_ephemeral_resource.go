package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

var _ ephemeral.EphemeralResourceWithConfigure = (*certificateKeyEphemeral)(nil)

// certificateKeyEphemeral downloads a certificate's private key for the duration of a Terraform
// run. It is the only type of the provider that reads keys, because Terraform stores ephemeral
// values neither in the plan nor in the state.
type certificateKeyEphemeral struct {
	*configured
}

type certificateKeyModel struct {
	CertificateID types.String `tfsdk:"certificate_id"`
	Domain        types.String `tfsdk:"domain"`
	PrivateKeyPEM types.String `tfsdk:"private_key_pem"`
}

func (c *certificateKeyEphemeral) Metadata(
	_ context.Context, req ephemeral.MetadataRequest, resp *ephemeral.MetadataResponse,
) {
	resp.TypeName = req.ProviderTypeName + "_certificate_key"
}

func (c *certificateKeyEphemeral) Schema(
	_ context.Context, _ ephemeral.SchemaRequest, resp *ephemeral.SchemaResponse,
) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "The private key of a certificate for the duration of a Terraform run: it is neither in the plan nor in the state. Pass it to a write-only argument, to the configuration of a provider, or to a provisioner. " +
			"Every plan and apply downloads it again, and the service records each download in the audit log. The provider's token needs the scope `certificates:key`, and with `domain` also `domains:read`.",
		Attributes: map[string]schema.Attribute{
			"certificate_id": schema.StringAttribute{
				Optional:            true,
				Computed:            true,
				MarkdownDescription: "ID of the certificate, `crt_…`. Set it from `dcvaas_certificate`, so that key and certificate match even if the certificate is renewed in between. Set either this or `domain`.",
				Validators: []validator.String{
					stringvalidator.ExactlyOneOf(path.MatchRoot("certificate_id"),
						path.MatchRoot("domain")),
					stringvalidator.RegexMatches(certificateID,
						"must be the ID of a certificate, crt_ and 26 characters"),
				},
			},
			"domain": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "ID or name of a domain, for the key of its current certificate.",
			},
			"private_key_pem": schema.StringAttribute{
				Computed:            true,
				Sensitive:           true,
				MarkdownDescription: "The key as PKCS#8 PEM. If you supplied a CSR, the service has no key, and reading it is an error.",
			},
		},
	}
}

func (c *certificateKeyEphemeral) Configure(
	_ context.Context, req ephemeral.ConfigureRequest, _ *ephemeral.ConfigureResponse,
) {
	c.configured, _ = req.ProviderData.(*configured)
}

func (c *certificateKeyEphemeral) Open(
	ctx context.Context, req ephemeral.OpenRequest, resp *ephemeral.OpenResponse,
) {
	var m certificateKeyModel
	if resp.Diagnostics.Append(req.Config.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	p := problem{doing: "download the private key of " + m.CertificateID.ValueString(),
		at: path.Root("certificate_id")}
	if m.CertificateID.IsNull() {
		p = problem{doing: "download the private key of " + m.Domain.ValueString(),
			at: path.Root("domain")}
		d, err := findDomain(ctx, c.client, m.Domain.ValueString())
		if err != nil {
			p.add(ctx, &resp.Diagnostics, err)
			return
		}
		id, err := d.CertificateId.Get()
		if err != nil {
			noCertificate(&resp.Diagnostics, p.at, d)
			return
		}
		m.CertificateID = types.StringValue(id)
	}
	key, err := c.client.CertificateKey(ctx, m.CertificateID.ValueString())
	if err != nil {
		p.add(ctx, &resp.Diagnostics, err)
		return
	}
	m.PrivateKeyPEM = types.StringValue(key)
	resp.Diagnostics.Append(resp.Result.Set(ctx, m)...)
}
