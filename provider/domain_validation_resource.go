package provider

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
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

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

var (
	_ resource.ResourceWithConfigure      = (*domainValidationResource)(nil)
	_ resource.ResourceWithValidateConfig = (*domainValidationResource)(nil)
	_ resource.ResourceWithImportState    = (*domainValidationResource)(nil)
	_ resource.ResourceWithIdentity       = (*domainValidationResource)(nil)
)

// What wait_for says.
const (
	waitForDelegation  = "delegation"
	waitForCertificate = "certificate"
)

// defaultWait is longer than the negative TTL of most zones and than any CA takes.
const defaultWait = 45 * time.Minute

// domainValidationResource is a wait in the shape of a resource: a failed one leaves the domain and its state alone,
// where a wait in dcvaas_domain would have it replaced.
type domainValidationResource struct {
	*configured
}

type domainValidationModel struct {
	ID         types.String   `tfsdk:"id"`
	DomainID   types.String   `tfsdk:"domain_id"`
	RecordFQDN types.String   `tfsdk:"record_fqdn"`
	WaitFor    types.String   `tfsdk:"wait_for"`
	Timeouts   timeouts.Value `tfsdk:"timeouts"`
}

func (r *domainValidationResource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_domain_validation"
}

func (r *domainValidationResource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Waits until a domain is delegated or has its certificate. It stands for no object of its own: deleting it does nothing. " +
			"When the wait ends in vain, the error says the cause and the fix, and the domain stays as it is.",
		Attributes: map[string]schema.Attribute{
			"id": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "The domain's id.",
				PlanModifiers:       []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
			},
			"domain_id": schema.StringAttribute{
				Required:            true,
				MarkdownDescription: "Id of the domain to wait for. Another replaces the wait.",
				Validators:          []validator.String{stringvalidator.RegexMatches(domainID, "must be the id of a domain, dom_ and 26 characters")},
				PlanModifiers:       []planmodifier.String{stringplanmodifier.RequiresReplace()},
			},
			"record_fqdn": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: "Name of the record that was made, taken from the record's resource so that the wait begins after it. " +
					"It must be the name that the domain's `delegation` says; case and a trailing dot make no difference.",
				Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"wait_for": schema.StringAttribute{
				Optional:            true,
				Computed:            true,
				Default:             stringdefault.StaticString(waitForDelegation),
				MarkdownDescription: "`delegation` (default) waits until the record is seen, `certificate` until the certificate is issued too.",
				Validators:          []validator.String{stringvalidator.OneOf(waitForDelegation, waitForCertificate)},
			},
			"timeouts": timeouts.Attributes(ctx, timeouts.Opts{
				Create:            true,
				Update:            true,
				CreateDescription: "How long to wait, such as `30s` or `2h45m`. Default: `45m`.",
				UpdateDescription: "How long to wait after `record_fqdn` or `wait_for` has changed. Default: `45m`.",
			}),
		},
	}
}

// ValidateConfig refuses to wait for no time, which the timeouts' own check lets pass.
func (r *domainValidationResource) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	var m domainValidationModel
	if resp.Diagnostics.Append(req.Config.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	for name, limit := range map[string]func(context.Context, time.Duration) (time.Duration, diag.Diagnostics){"create": m.Timeouts.Create, "update": m.Timeouts.Update} {
		if d, _ := limit(ctx, defaultWait); d <= 0 {
			resp.Diagnostics.AddAttributeError(path.Root("timeouts").AtName(name), "Invalid timeout", fmt.Sprintf("%s is no time to wait: write one such as 30s or 2h45m.", d))
		}
	}
}

func (r *domainValidationResource) Configure(_ context.Context, req resource.ConfigureRequest, _ *resource.ConfigureResponse) {
	r.configured, _ = req.ProviderData.(*configured)
}

func (r *domainValidationResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
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
}

// Read forgets the wait when its domain is gone.
func (r *domainValidationResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var state domainValidationModel
	if resp.Diagnostics.Append(req.State.Get(ctx, &state)...); resp.Diagnostics.HasError() {
		return
	}
	// Also for a wait whose domain is gone: the framework asks for it, and older Terraform has kept none.
	resp.Diagnostics.Append(resp.Identity.Set(ctx, idIdentity{ID: state.DomainID})...)
	_, err := r.domains.get(ctx, state.DomainID.ValueString())
	if client.IsNotFound(err) {
		resp.State.RemoveResource(ctx)
		return
	}
	if err != nil {
		problem{doing: "read the domain " + state.DomainID.ValueString()}.add(ctx, &resp.Diagnostics, err)
		return
	}
	state.ID = state.DomainID
	if state.WaitFor.IsNull() { // just imported
		state.WaitFor = types.StringValue(waitForDelegation)
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, state)...)
}

// Update waits again where what is waited for has changed.
func (r *domainValidationResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var plan, state domainValidationModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.Append(req.State.Get(ctx, &state)...); resp.Diagnostics.HasError() {
		return
	}
	if !plan.WaitFor.Equal(state.WaitFor) || !plan.RecordFQDN.Equal(state.RecordFQDN) {
		limit, diags := plan.Timeouts.Update(ctx, defaultWait)
		if resp.Diagnostics.Append(diags...); resp.Diagnostics.HasError() {
			return
		}
		if r.wait(ctx, &plan, limit, &resp.Diagnostics); resp.Diagnostics.HasError() {
			return
		}
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	resp.Diagnostics.Append(resp.Identity.Set(ctx, idIdentity{ID: plan.DomainID})...)
}

// Delete does nothing: there is nothing to undo in a wait.
func (r *domainValidationResource) Delete(context.Context, resource.DeleteRequest, *resource.DeleteResponse) {
}

func (r *domainValidationResource) IdentitySchema(_ context.Context, _ resource.IdentitySchemaRequest, resp *resource.IdentitySchemaResponse) {
	resp.IdentitySchema = identityschema.Schema{
		Attributes: map[string]identityschema.Attribute{
			"id": identityschema.StringAttribute{RequiredForImport: true, Description: "The domain's id, dom_…, or its name."},
		},
	}
}

// ImportState takes the id or the name of the domain, as id or by identity.
func (r *domainValidationResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
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
}
