package provider

import (
	"context"
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

var _ ephemeral.EphemeralResourceWithConfigure = (*certificateKeyEphemeral)(nil)

// certificateKeyEphemeral takes out a certificate's private key for as long as Terraform runs. Terraform keeps nothing
// ephemeral, neither in plan nor in state, so this alone of the provider's types reads keys.
type certificateKeyEphemeral struct {
	*configured
}

type certificateKeyModel struct {
	CertificateID types.String `tfsdk:"certificate_id"`
	Domain        types.String `tfsdk:"domain"`
	PrivateKeyPEM types.String `tfsdk:"private_key_pem"`
}

var certificateID = regexp.MustCompile(`^crt_[0-7][0-9a-hjkmnp-tv-z]{25}$`)

func (c *certificateKeyEphemeral) Metadata(_ context.Context, req ephemeral.MetadataRequest, resp *ephemeral.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_certificate_key"
}

func (c *certificateKeyEphemeral) Schema(_ context.Context, _ ephemeral.SchemaRequest, resp *ephemeral.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "The private key of a certificate, for as long as Terraform runs: it is neither in the plan nor in the state. Hand it on to a write-only argument, to the configuration of a provider, or to a provisioner. " +
			"Every plan and apply takes it out anew, and the service records each time in the audit log. The provider's token needs the scope `certificates:key`, and with `domain` also `domains:read`.",
		Attributes: map[string]schema.Attribute{
			"certificate_id": schema.StringAttribute{
				Optional:            true,
				Computed:            true,
				MarkdownDescription: "Id of the certificate, `crt_…`. Take it from `dcvaas_certificate`, so that key and certificate belong together also when one is renewed in between. Either this or `domain`.",
				Validators: []validator.String{
					stringvalidator.ExactlyOneOf(path.MatchRoot("certificate_id"), path.MatchRoot("domain")),
					stringvalidator.RegexMatches(certificateID, "must be the id of a certificate, crt_ and 26 characters"),
				},
			},
			"domain": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Id or name of the domain whose current certificate is meant.",
			},
			"private_key_pem": schema.StringAttribute{
				Computed:            true,
				Sensitive:           true,
				MarkdownDescription: "The key, as one block of PKCS#8 PEM. Where a certificate request was sent there is none, which is an error.",
			},
		},
	}
}

func (c *certificateKeyEphemeral) Configure(_ context.Context, req ephemeral.ConfigureRequest, _ *ephemeral.ConfigureResponse) {
	c.configured, _ = req.ProviderData.(*configured)
}

func (c *certificateKeyEphemeral) Open(ctx context.Context, req ephemeral.OpenRequest, resp *ephemeral.OpenResponse) {
	var m certificateKeyModel
	if resp.Diagnostics.Append(req.Config.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	p := problem{doing: "take out the private key of " + m.CertificateID.ValueString(), at: path.Root("certificate_id")}
	if m.CertificateID.IsNull() {
		p = problem{doing: "take out the private key of " + m.Domain.ValueString(), at: path.Root("domain")}
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
