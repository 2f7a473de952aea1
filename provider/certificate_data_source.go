package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

var _ datasource.DataSourceWithConfigure = (*certificateDataSource)(nil)

// certificateDataSource reads a domain's current certificate. It does not read the private key,
// because data sources are stored in state.
type certificateDataSource struct {
	*configured
}

type certificateModel struct {
	Domain            types.String      `tfsdk:"domain"`
	ID                types.String      `tfsdk:"id"`
	DomainID          types.String      `tfsdk:"domain_id"`
	Names             types.List        `tfsdk:"names"`
	Serial            types.String      `tfsdk:"serial"`
	Issuer            types.String      `tfsdk:"issuer"`
	CA                types.String      `tfsdk:"ca"`
	Profile           types.String      `tfsdk:"profile"`
	KeyType           types.String      `tfsdk:"key_type"`
	HasKey            types.Bool        `tfsdk:"has_key"`
	OptionsRevision   types.Int64       `tfsdk:"options_revision"`
	NotBefore         timetypes.RFC3339 `tfsdk:"not_before"`
	NotAfter          timetypes.RFC3339 `tfsdk:"not_after"`
	FingerprintSHA256 types.String      `tfsdk:"fingerprint_sha256"`
	RevokedAt         timetypes.RFC3339 `tfsdk:"revoked_at"`
	CertificatePEM    types.String      `tfsdk:"certificate_pem"`
	ChainPEM          types.String      `tfsdk:"chain_pem"`
	FullChainPEM      types.String      `tfsdk:"fullchain_pem"`
}

func (c *certificateDataSource) Metadata(
	_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse,
) {
	resp.TypeName = req.ProviderTypeName + "_certificate"
}

func (c *certificateDataSource) Schema(
	_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse,
) {
	str := func(text string) schema.Attribute {
		return schema.StringAttribute{Computed: true, MarkdownDescription: text}
	}
	when := func(text string) schema.Attribute {
		return schema.StringAttribute{CustomType: timetypes.RFC3339Type{}, Computed: true,
			MarkdownDescription: text}
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "The current certificate of a domain, without its private key. Set `domain` from `dcvaas_domain_validation`, so that the certificate is read after it is issued. With `depends_on` on that resource and its `options_revision`, it is read after a change of options, too.",
		Attributes: map[string]schema.Attribute{
			"domain": schema.StringAttribute{Required: true,
				MarkdownDescription: "ID or name of the domain."},
			"id":        str("ID, `crt_…`."),
			"domain_id": str("ID of the domain."),
			"names": schema.ListAttribute{ElementType: types.StringType,
				Computed: true, MarkdownDescription: "Names in the certificate."},
			"serial":   str("Serial number, hexadecimal."),
			"issuer":   str("Common name of the issuing certificate."),
			"ca":       str("Name of the CA in the service's list."),
			"profile":  str("ACME profile of the order."),
			"key_type": str("Type of the key."),
			"has_key": schema.BoolAttribute{Computed: true,
				MarkdownDescription: "Whether the service has the private key; `false` if you supplied a CSR."},
			"options_revision": schema.Int64Attribute{Computed: true,
				MarkdownDescription: "The `options_revision` of the domain that it was ordered for."},
			"not_before":         when("Start of its validity."),
			"not_after":          when("End of its validity."),
			"fingerprint_sha256": str("SHA-256 of the certificate, hexadecimal."),
			"revoked_at":         when("When it was revoked."),
			"certificate_pem":    str("The certificate itself."),
			"chain_pem":          str("The certificates above it."),
			"fullchain_pem":      str("Both, the certificate first, as web servers want them."),
		},
	}
}

func (c *certificateDataSource) Configure(
	_ context.Context, req datasource.ConfigureRequest, _ *datasource.ConfigureResponse,
) {
	c.configured, _ = req.ProviderData.(*configured)
}

func (c *certificateDataSource) Read(
	ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse,
) {
	var m certificateModel
	if resp.Diagnostics.Append(req.Config.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	p := problem{doing: "read the certificate of " + m.Domain.ValueString(),
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
	crt, err := c.client.Certificate(ctx, id)
	if err != nil {
		p.add(ctx, &resp.Diagnostics, err)
		return
	}
	m.fromAPI(crt)
	for format, to := range map[client.DownloadCertificateParamsFormat]*types.String{
		client.DownloadCertificateParamsFormatLeaf:      &m.CertificatePEM,
		client.DownloadCertificateParamsFormatChain:     &m.ChainPEM,
		client.DownloadCertificateParamsFormatFullchain: &m.FullChainPEM,
	} {
		text, err := c.client.CertificatePEM(ctx, id, format)
		if err != nil {
			p.add(ctx, &resp.Diagnostics, err)
			return
		}
		*to = types.StringValue(text)
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

func noCertificate(diags *diag.Diagnostics, at path.Path, d *client.Domain) {
	diags.AddAttributeError(at, d.Name+" has no certificate yet",
		"Its status is "+string(d.Status)+
			". Wait with dcvaas_domain_validation and wait_for = \"certificate\", and set domain from its domain_id.")
}

func (m *certificateModel) fromAPI(c *client.Certificate) {
	names := make([]attr.Value, len(c.Names))
	for i, n := range c.Names {
		names[i] = types.StringValue(n)
	}
	m.ID = types.StringValue(c.Id)
	m.DomainID = types.StringValue(c.DomainId)
	m.Names = types.ListValueMust(types.StringType, names)
	m.Serial = types.StringValue(c.Serial)
	m.Issuer = types.StringValue(c.Issuer)
	m.CA = types.StringValue(c.Ca)
	m.Profile = fromNullable(c.Profile)
	m.KeyType = types.StringValue(string(c.KeyType))
	m.HasKey = types.BoolValue(c.HasKey)
	m.OptionsRevision = types.Int64Value(c.OptionsRevision)
	m.NotBefore = fromTime(c.NotBefore)
	m.NotAfter = fromTime(c.NotAfter)
	m.FingerprintSHA256 = types.StringValue(c.FingerprintSha256)
	m.RevokedAt = fromNullableTime(c.RevokedAt)
}
