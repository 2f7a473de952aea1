package provider

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

var (
	_ resource.ResourceWithConfigure      = (*domainValidationResource)(nil)
	_ resource.ResourceWithValidateConfig = (*domainValidationResource)(nil)
	_ resource.ResourceWithImportState    = (*domainValidationResource)(nil)
	_ resource.ResourceWithIdentity       = (*domainValidationResource)(nil)
)

// Values of wait_for.
const (
	waitForDelegation  = "delegation"
	waitForCertificate = "certificate"
)

// defaultWait exceeds the negative TTL of most zones, and the time that any CA needs.
const defaultWait = 45 * time.Minute

// domainValidationResource is a wait in the form of a resource. If it fails, the domain stays in
// the state; a failed wait in dcvaas_domain would taint the domain, and Terraform would replace it.
type domainValidationResource struct {
	*configured
}

type domainValidationModel struct {
	ID              types.String   `tfsdk:"id"`
	DomainID        types.String   `tfsdk:"domain_id"`
	RecordFQDN      types.String   `tfsdk:"record_fqdn"`
	RecordFQDNs     types.Set      `tfsdk:"record_fqdns"`
	WaitFor         types.String   `tfsdk:"wait_for"`
	OptionsRevision types.Int64    `tfsdk:"options_revision"`
	Timeouts        timeouts.Value `tfsdk:"timeouts"`
}

func (r *domainValidationResource) Metadata(
	_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse,
) {
	resp.TypeName = req.ProviderTypeName + "_domain_validation"
}

func (r *domainValidationResource) Schema(
	ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse,
) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Waits until a domain is delegated, with all of its names, or has its certificate. It does not represent an object: deleting it does nothing. " +
			"If the wait times out, the error states the cause and the fix, and the domain is unchanged.",
		Attributes: map[string]schema.Attribute{
			"id": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "ID of the domain.",
				PlanModifiers:       []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
			},
			"domain_id": schema.StringAttribute{
				Required:            true,
				MarkdownDescription: "ID of the domain to wait for. A change replaces the wait.",
				Validators: []validator.String{stringvalidator.RegexMatches(domainID,
					"must be the ID of a domain, dom_ and 26 characters")},
				PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()},
			},
			"record_fqdn": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: "Name of the record. Set it from the record's resource, so that the wait starts after its creation. " +
					"It must be the name in the domain's `delegation`; case and a trailing dot make no difference.",
				Validators: []validator.String{stringvalidator.LengthAtLeast(1),
					stringvalidator.ConflictsWith(path.MatchRoot("record_fqdns"))},
			},
			"record_fqdns": schema.SetAttribute{
				ElementType: types.StringType,
				Optional:    true,
				MarkdownDescription: "Names of the records of a domain with several names, in place of `record_fqdn`: set it from the resource that creates the records with `for_each`, so that the wait starts after their creation. " +
					"Each must be the name of a record in the domain's `delegations`.",
				Validators: []validator.Set{setvalidator.NoNullValues(),
					setvalidator.ValueStringsAre(stringvalidator.LengthAtLeast(1))},
			},
			"wait_for": schema.StringAttribute{
				Optional:            true,
				Computed:            true,
				Default:             stringdefault.StaticString(waitForDelegation),
				MarkdownDescription: "`delegation` (default) waits until the records of all names are found; `certificate` waits until the certificate is issued, too.",
				Validators: []validator.String{stringvalidator.OneOf(waitForDelegation,
					waitForCertificate)},
			},
			"options_revision": schema.Int64Attribute{
				Optional: true,
				MarkdownDescription: "Set it to the domain's `options_revision`, with `wait_for = \"certificate\"`: a change of the domain's options then waits until a certificate with them is issued. " +
					"A data source or resource that uses the certificate needs `depends_on` with this resource to see the new one in the same apply.",
				Validators: []validator.Int64{int64validator.AtLeast(0)},
			},
			"timeouts": timeouts.Attributes(ctx, timeouts.Opts{
				Create:            true,
				Update:            true,
				CreateDescription: "How long to wait, such as `30s` or `2h45m`. Default: `45m`.",
				UpdateDescription: "How long to wait after a change of `record_fqdn`, `record_fqdns`, `wait_for`, or `options_revision`. Default: `45m`.",
			}),
		},
	}
}

// ValidateConfig rejects timeouts that are not positive, which the validator of timeouts accepts,
// and a revision without a wait for the certificate.
func (r *domainValidationResource) ValidateConfig(
	ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse,
) {
	var m domainValidationModel
	if resp.Diagnostics.Append(req.Config.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	if !m.OptionsRevision.IsNull() && !m.WaitFor.IsUnknown() &&
		m.WaitFor.ValueString() != waitForCertificate {
		resp.Diagnostics.AddAttributeError(path.Root("options_revision"),
			"options_revision requires wait_for = \"certificate\"",
			"The delegation does not depend on the options. Set wait_for = \"certificate\", or remove options_revision.")
	}
	for name, limit := range map[string]func(context.Context, time.Duration) (time.Duration,
		diag.Diagnostics){"create": m.Timeouts.Create, "update": m.Timeouts.Update} {
		if d, _ := limit(ctx, defaultWait); d <= 0 {
			resp.Diagnostics.AddAttributeError(path.Root("timeouts").AtName(name),
				"Invalid timeout",
				fmt.Sprintf("%s is not positive: use a duration such as 30s or 2h45m.", d))
		}
	}
}

func (r *domainValidationResource) Configure(
	_ context.Context, req resource.ConfigureRequest, _ *resource.ConfigureResponse,
) {
	r.configured, _ = req.ProviderData.(*configured)
}

func (r *domainValidationResource) Create(
	ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse,
) {
	var plan domainValidationModel
	if resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...); resp.Diagnostics.HasError() {
		return
	}
	limit, diags := plan.Timeouts.Create(ctx, defaultWait)
	if resp.Diagnostics.Append(diags...); resp.Diagnostics.HasError() {
		return
	}
	if r.wait(ctx, &plan, limit, &resp.Diagnostics); resp.Diagnostics.HasError() {
		return
	}
	plan.ID = plan.DomainID
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	resp.Diagnostics.Append(resp.Identity.Set(ctx, idIdentity{ID: plan.ID})...)
	resp.Diagnostics.Append(r.record(ctx, resp.Private)...)
}

// Read removes the wait from the state if its domain is gone.
func (r *domainValidationResource) Read(
	ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse,
) {
	var state domainValidationModel
	if resp.Diagnostics.Append(req.State.Get(ctx, &state)...); resp.Diagnostics.HasError() {
		return
	}
	// The framework requires an identity even if the domain is gone. Older Terraform versions
	// stored none.
	resp.Diagnostics.Append(resp.Identity.Set(ctx, idIdentity{ID: state.DomainID})...)
	p := problem{doing: "read the domain " + state.DomainID.ValueString()}
	owner, ok := r.owner(ctx, req.Private, p, &resp.Diagnostics)
	if !ok {
		return
	}
	_, err := r.domains.get(ctx, state.DomainID.ValueString())
	if owner.isGone(err) {
		resp.State.RemoveResource(ctx)
		return
	}
	if err != nil {
		owner.add(ctx, p, &resp.Diagnostics, err)
		return
	}
	state.ID = state.DomainID
	if state.WaitFor.IsNull() { // just imported
		state.WaitFor = types.StringValue(waitForDelegation)
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, state)...)
	resp.Diagnostics.Append(r.record(ctx, resp.Private)...)
}

// Update waits again if the record, wait_for, or options_revision has changed.
func (r *domainValidationResource) Update(
	ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse,
) {
	var plan, state domainValidationModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.Append(req.State.Get(ctx, &state)...); resp.Diagnostics.HasError() {
		return
	}
	if !plan.WaitFor.Equal(state.WaitFor) || !plan.RecordFQDN.Equal(state.RecordFQDN) ||
		!plan.RecordFQDNs.Equal(state.RecordFQDNs) ||
		!plan.OptionsRevision.Equal(state.OptionsRevision) {
		limit, diags := plan.Timeouts.Update(ctx, defaultWait)
		if resp.Diagnostics.Append(diags...); resp.Diagnostics.HasError() {
			return
		}
		p := problem{doing: "wait for the domain " + plan.DomainID.ValueString()}
		if _, ok := r.owner(ctx, req.Private, p, &resp.Diagnostics); !ok {
			return
		}
		if r.wait(ctx, &plan, limit, &resp.Diagnostics); resp.Diagnostics.HasError() {
			return
		}
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	resp.Diagnostics.Append(resp.Identity.Set(ctx, idIdentity{ID: plan.DomainID})...)
}

// Delete calls nothing, because a wait has nothing to undo. But it keeps the wait in the state if
// the provider acts for another organization, like the domain, whose deletion fails.
func (r *domainValidationResource) Delete(
	ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse,
) {
	var state domainValidationModel
	if resp.Diagnostics.Append(req.State.Get(ctx, &state)...); resp.Diagnostics.HasError() {
		return
	}
	if _, err := r.client.Identify(ctx); err != nil {
		return
	}
	p := problem{doing: "delete the wait for the domain " + state.DomainID.ValueString()}
	r.owner(ctx, req.Private, p, &resp.Diagnostics)
}

func (r *domainValidationResource) IdentitySchema(
	_ context.Context, _ resource.IdentitySchemaRequest, resp *resource.IdentitySchemaResponse,
) {
	resp.IdentitySchema = identityschema.Schema{
		Attributes: map[string]identityschema.Attribute{
			"id": identityschema.StringAttribute{RequiredForImport: true,
				Description: "ID of the domain, dom_…, or its name."},
		},
	}
}

// ImportState imports a wait by the ID or name of its domain, from an import ID or an identity.
func (r *domainValidationResource) ImportState(
	ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse,
) {
	ref := importRef(ctx, req, &resp.Diagnostics)
	if resp.Diagnostics.HasError() {
		return
	}
	d, err := findDomain(ctx, r.client, ref)
	if err != nil {
		problem{doing: "import the wait for the domain " + ref}.add(ctx, &resp.Diagnostics, err)
		return
	}
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("domain_id"), d.Id)...)
	resp.Diagnostics.Append(resp.Identity.Set(ctx, idIdentity{ID: types.StringValue(d.Id)})...)
	resp.Diagnostics.Append(r.record(ctx, resp.Private)...)
}
