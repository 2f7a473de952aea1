package provider

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

var (
	_ resource.ResourceWithConfigure      = (*dnsConnectionResource)(nil)
	_ resource.ResourceWithModifyPlan     = (*dnsConnectionResource)(nil)
	_ resource.ResourceWithValidateConfig = (*dnsConnectionResource)(nil)
	_ resource.ResourceWithImportState    = (*dnsConnectionResource)(nil)
	_ resource.ResourceWithIdentity       = (*dnsConnectionResource)(nil)
)

type dnsConnectionResource struct {
	*configured
}

// dnsConnectionRename maps the API's field to the attribute that it comes from.
var dnsConnectionRename = map[string]string{"credentials": "credentials_wo"}

func (r *dnsConnectionResource) Metadata(
	_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse,
) {
	resp.TypeName = req.ProviderTypeName + "_dns_connection"
}

func (r *dnsConnectionResource) Configure(
	_ context.Context, req resource.ConfigureRequest, _ *resource.ConfigureResponse,
) {
	r.configured, _ = req.ProviderData.(*configured)
}

// ValidateConfig rejects a timeout that is not positive, which the validator of timeouts accepts.
func (r *dnsConnectionResource) ValidateConfig(
	ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse,
) {
	var m dnsConnectionModel
	if resp.Diagnostics.Append(req.Config.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	if d, _ := m.Timeouts.Delete(ctx, defaultRemoval); d <= 0 {
		resp.Diagnostics.AddAttributeError(path.Root("timeouts").AtName("delete"),
			"Invalid timeout",
			fmt.Sprintf("%s is not positive: use a duration such as 30s or 2h45m.", d))
	}
}

// ModifyPlan requires credentials for a creation, and keeps the result of the last test unless the
// credentials change.
func (r *dnsConnectionResource) ModifyPlan(
	ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse,
) {
	var state, plan *dnsConnectionModel
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.HasError() || plan == nil {
		return
	}
	if state != nil {
		planReplacement(ctx, resp.Private, state.ID, &resp.Diagnostics)
		plan.planUpdate(state)
		resp.Diagnostics.Append(resp.Plan.Set(ctx, plan)...)
		return
	}
	plan.OrganizationID = r.organization(ctx)
	resp.Diagnostics.Append(resp.Plan.Set(ctx, plan)...)
	var configured types.Object
	resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root("credentials_wo"),
		&configured)...)
	if configured.IsNull() {
		resp.Diagnostics.AddAttributeError(path.Root("credentials_wo"), "Credentials are missing",
			"A new connection needs credentials_wo and credentials_wo_version.")
		return
	}
	r.tryReplacement(ctx, req, plan, &resp.Diagnostics)
}

// tryReplacement checks the connection that replaces another one.
func (r *dnsConnectionResource) tryReplacement(
	ctx context.Context, req resource.ModifyPlanRequest, plan *dnsConnectionModel,
	diags *diag.Diagnostics,
) {
	replaces := replacedID(ctx, req.Private, diags)
	if replaces == "" || len(unknownAttributes(req.Config)) > 0 || r.configured == nil {
		return
	}
	var credentials *dnsCredentials
	if diags.Append(req.Config.GetAttribute(ctx, path.Root("credentials_wo"),
		&credentials)...); diags.HasError() {
		return
	}
	in := plan.toCreateRequest(credentials)
	trial{replaces: replaces,
		problem: problem{doing: "create the DNS connection " + plan.label(), schema: req.Plan.Schema,
			rename: dnsConnectionRename},
		run: func(ctx context.Context, replacing string) error {
			return r.client.TryCreateDNSConnection(ctx, in, replacing)
		}}.add(ctx, diags)
}

func (r *dnsConnectionResource) Create(
	ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse,
) {
	var plan dnsConnectionModel
	var credentials *dnsCredentials
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root("credentials_wo"),
		&credentials)...); resp.Diagnostics.HasError() {
		return
	}
	p := problem{doing: "create the DNS connection " + plan.label(), schema: req.Plan.Schema,
		rename: dnsConnectionRename}
	acting, ok := r.creating(ctx, plan.OrganizationID, p, &resp.Diagnostics)
	if !ok {
		return
	}
	if credentials == nil {
		resp.Diagnostics.AddAttributeError(path.Root("credentials_wo"), "Credentials are missing",
			"The value of credentials_wo is null, but a new connection needs credentials.")
		return
	}
	c, err := r.client.CreateDNSConnection(ctx, plan.toCreateRequest(credentials))
	if err != nil {
		p.add(ctx, &resp.Diagnostics, err)
		return
	}
	plan.OrganizationID = acting
	plan.fromAPI(c)
	plan.setZones(r.zones(ctx, c.Id))
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	resp.Diagnostics.Append(resp.Identity.Set(ctx, idIdentity{ID: plan.ID})...)
	resp.Diagnostics.Append(r.record(ctx, resp.Private)...)
}

// zones returns the zones of a connection, nil if they can't be read now: the connection is usable
// without them.
func (r *dnsConnectionResource) zones(ctx context.Context, id string) *client.DNSZoneList {
	zones, err := r.client.DNSConnectionZones(ctx, id)
	if err != nil {
		return nil
	}
	return zones
}

func (r *dnsConnectionResource) Read(
	ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse,
) {
	var state dnsConnectionModel
	if resp.Diagnostics.Append(req.State.Get(ctx, &state)...); resp.Diagnostics.HasError() {
		return
	}
	// The framework requires an identity even if the resource is gone.
	resp.Diagnostics.Append(resp.Identity.Set(ctx, idIdentity{ID: state.ID})...)
	p := problem{doing: "read the DNS connection " + state.label()}
	owner, ok := r.owner(ctx, req.Private, p, &resp.Diagnostics)
	if !ok {
		return
	}
	c, err := r.client.DNSConnection(ctx, state.ID.ValueString())
	if owner.isGone(err) {
		resp.State.RemoveResource(ctx)
		return
	}
	if err != nil {
		owner.add(ctx, p, &resp.Diagnostics, err)
		return
	}
	state.OrganizationID = r.organization(ctx)
	state.fromAPI(c)
	state.setZones(r.zones(ctx, c.Id))
	if c.Status == client.DNSConnectionStatusInvalid {
		resp.Diagnostics.AddAttributeWarning(path.Root("credentials_wo"),
			"The DNS connection "+state.label()+" is invalid", state.StatusDetail.ValueString()+
				" No records are created or removed through it. Fix the credentials at the DNS "+
				"host, or change credentials_wo and credentials_wo_version.")
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, state)...)
	resp.Diagnostics.Append(r.record(ctx, resp.Private)...)
}

func (r *dnsConnectionResource) Update(
	ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse,
) {
	var plan, state dnsConnectionModel
	var credentials *dnsCredentials
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root("credentials_wo"),
		&credentials)...); resp.Diagnostics.HasError() {
		return
	}
	p := problem{doing: "update the DNS connection " + state.label(), schema: req.Plan.Schema,
		rename: dnsConnectionRename}
	owner, ok := r.owner(ctx, req.Private, p, &resp.Diagnostics)
	if !ok {
		return
	}
	c, err := r.client.DNSConnection(ctx, state.ID.ValueString())
	if err != nil {
		owner.add(ctx, p, &resp.Diagnostics, err)
		return
	}
	// Otherwise, only the version or the timeouts differ, which the API does not have.
	if in, changed := plan.toUpdateRequest(&state, credentials); changed {
		current := state
		if current.fromAPI(c); p.overwrites(ctx, req, current, &resp.Diagnostics) {
			return
		}
		if c, err = r.client.UpdateDNSConnection(ctx, state.ID.ValueString(), in); err != nil {
			owner.add(ctx, p, &resp.Diagnostics, err)
			return
		}
	}
	planned := plan
	plan.fromAPI(c)
	plan.setZones(r.zones(ctx, c.Id))
	plan.keepKnown(&planned)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	resp.Diagnostics.Append(resp.Identity.Set(ctx, idIdentity{ID: plan.ID})...)
}

const (
	// defaultRemoval is how long a deletion waits for the removal of records.
	defaultRemoval = 10 * time.Minute
	// removalPoll is the shortest pause between two attempts, and the longest is removalPollMost.
	removalPoll     = time.Second
	removalPollMost = 30 * time.Second
)

// Delete deletes the connection after the records that it has to remove: those of domains that were
// destroyed with it.
func (r *dnsConnectionResource) Delete(
	ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse,
) {
	var state dnsConnectionModel
	if resp.Diagnostics.Append(req.State.Get(ctx, &state)...); resp.Diagnostics.HasError() {
		return
	}
	p := problem{doing: "delete the DNS connection " + state.label()}
	limit, diags := state.Timeouts.Delete(ctx, defaultRemoval)
	if resp.Diagnostics.Append(diags...); resp.Diagnostics.HasError() {
		return
	}
	r.destroy(ctx, req.Private, p, &resp.Diagnostics, func() error {
		return r.deleteWithin(ctx, state.ID.ValueString(), limit)
	})
}

// deleteWithin deletes a connection. While records are to be removed through it, it tries again
// until the limit, and then returns the API's error, which names them.
func (r *dnsConnectionResource) deleteWithin(
	ctx context.Context, id string, limit time.Duration,
) error {
	end := time.Now().Add(limit)
	for {
		err := r.client.DeleteDNSConnection(ctx, id)
		var e *client.Error
		if !errors.As(err, &e) || e.Code != client.CodeConnectionBusy {
			return err
		}
		pause := min(max(time.Until(e.RetryAt), removalPoll), removalPollMost)
		if time.Now().Add(pause).After(end) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// ImportState imports a connection by ID. credentials_wo_version stays null, so that the first
// apply sends the configured credentials.
func (r *dnsConnectionResource) ImportState(
	ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse,
) {
	r.importID(ctx, req, resp, "the DNS connection", connectionID,
		"the ID of a DNS connection (con_ and 26 characters); names are not unique")
}
