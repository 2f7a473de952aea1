package provider

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// ModifyPlan decides which changes replace a token, which rotate its secret, and which do neither.
// A change of scopes or domains replaces it. A change of rotate_when_changed or of the expiry, the
// approaching expiry, and a stale secret rotate it: the token gets a new secret, and the previous
// one remains valid for a grace period. An expired token can't be rotated and is replaced.
func (r *apiTokenResource) ModifyPlan(
	ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse,
) {
	var state, config, plan *apiTokenModel
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.HasError() || plan == nil {
		return
	}
	if state == nil {
		plan.planCreate(config)
		plan.OrganizationID = r.organization(ctx)
		resp.Diagnostics.Append(resp.Plan.Set(ctx, plan)...)
		r.tryCreate(ctx, req, plan, &resp.Diagnostics)
		return
	}
	planReplacement(ctx, resp.Private, state.ID, &resp.Diagnostics)

	now := time.Now()
	if r.configured != nil {
		now = r.now()
	}
	replaces, rotates := plan.replaces(state), plan.rotates(config, state)
	plan.planUpdate(config, state)
	if len(rotates) == 0 && !plan.ExpiresIn.IsNull() && plan.ready(now) {
		rotates = []path.Path{path.Root("ready_for_rotation")}
	}
	if len(rotates) == 0 && state.stale() && !state.expired(now) {
		rotates = []path.Path{path.Root("token")}
	}
	if len(rotates) > 0 {
		// Terraform accepts a path as a reason to replace only if its value changes
		plan.planRotation(config)
		if state.expired(now) {
			replaces = append(replaces, rotates...)
		}
	}
	if len(replaces) > 0 && r.isOwnToken(state) {
		resp.Diagnostics.AddWarning("The API token "+state.label()+" is the provider's own",
			"This plan replaces it. Without create_before_destroy, it is revoked first, and then nothing else can be applied. "+
				"Use another token for the provider, or set create_before_destroy.")
	}
	resp.RequiresReplace = append(resp.RequiresReplace, replaces...)
	resp.Diagnostics.Append(resp.Plan.Set(ctx, plan)...)
}

// isOwnToken reports whether the provider uses the token.
func (r *apiTokenResource) isOwnToken(m *apiTokenModel) bool {
	prefix := m.TokenPrefix.ValueString()
	return r.configured != nil && prefix != "" && strings.HasPrefix(r.token, prefix)
}

// tryCreate checks the token that will be created, and that may replace another one. It leaves out
// unknown values, and checks nothing if the scopes are unknown.
func (r *apiTokenResource) tryCreate(
	ctx context.Context, req resource.ModifyPlanRequest, plan *apiTokenModel,
	diags *diag.Diagnostics,
) {
	unknown := unknownAttributes(req.Config)
	if slices.Contains(unknown, "scopes") || r.configured == nil {
		return
	}
	known := *plan
	if slices.Contains(unknown, "name") {
		known.Name = types.StringValue("unknown")
	}
	if slices.Contains(unknown, "domain_ids") {
		known.DomainIDs = types.SetNull(types.StringType)
	}
	in, more := known.toCreateRequest(ctx, r.now())
	if diags.Append(more...); more.HasError() {
		return
	}
	trial{replaces: replacedID(ctx, req.Private, diags), unknown: unknown,
		problem: problem{doing: strings.TrimSpace("create the API token " + plan.label()),
			schema: req.Plan.Schema, rename: plan.rename()},
		run: func(ctx context.Context, replacing string) error {
			return r.client.TryCreateToken(ctx, in, replacing)
		}}.add(ctx, diags)
}

// planCreate sets the values that are known before the token exists.
func (m *apiTokenModel) planCreate(config *apiTokenModel) {
	m.RotatedAt, m.PreviousValidUntil = timetypes.NewRFC3339Null(), timetypes.NewRFC3339Null()
	m.ReadyForRotation = types.BoolUnknown()
	if config.ExpiresAt.IsNull() {
		m.ExpiresAt = timetypes.NewRFC3339Unknown()
		if config.ExpiresIn.IsNull() {
			m.ExpiresAt = timetypes.NewRFC3339Null()
			m.ReadyForRotation = types.BoolValue(false)
		}
	}
}

// replaces returns the attributes whose change replaces the token.
func (m *apiTokenModel) replaces(state *apiTokenModel) []path.Path {
	var out []path.Path
	if !m.Scopes.Equal(state.Scopes) {
		out = append(out, path.Root("scopes"))
	}
	if !sameSet(m.DomainIDs, state.DomainIDs) {
		out = append(out, path.Root("domain_ids"))
	}
	return out
}

// rotates returns the attributes whose change rotates the secret.
func (m *apiTokenModel) rotates(config, state *apiTokenModel) []path.Path {
	var out []path.Path
	add := func(name string, changed bool) {
		if changed {
			out = append(out, path.Root(name))
		}
	}
	imported := state.Token.IsNull()
	add("rotate_when_changed", !m.RotateWhenChanged.Equal(state.RotateWhenChanged) &&
		(!imported || !state.RotateWhenChanged.IsNull()))

	switch {
	case !config.ExpiresAt.IsNull():
		add("expires_at", !sameInstant(config.ExpiresAt, state.ExpiresAt))
	case config.ExpiresIn.IsNull():
		add("expires_at", !state.ExpiresAt.IsNull())
	default:
		// An imported token that expires adopts expires_in, because its original value is unknown.
		adopts := state.ExpiresIn.IsNull() && imported && !state.ExpiresAt.IsNull()
		same := !m.ExpiresIn.IsUnknown() && !state.ExpiresIn.IsNull() &&
			durationOf(m.ExpiresIn) == durationOf(state.ExpiresIn)
		add("expires_in", !same && !adopts)
	}
	return out
}

// planRotation marks the values that change with a new secret as unknown.
func (m *apiTokenModel) planRotation(config *apiTokenModel) {
	m.Token, m.TokenPrefix = types.StringUnknown(), types.StringUnknown()
	m.SecretVersion = types.Int64Unknown()
	m.RotatedAt, m.PreviousValidUntil = timetypes.NewRFC3339Unknown(), timetypes.NewRFC3339Unknown()
	m.ReadyForRotation = types.BoolUnknown()
	if !config.ExpiresIn.IsNull() {
		m.ExpiresAt = timetypes.NewRFC3339Unknown()
	}
}

// planUpdate keeps the values that an update does not change, in the state's spelling.
func (m *apiTokenModel) planUpdate(config, state *apiTokenModel) {
	m.ID, m.OrganizationID, m.CreatedAt = state.ID, state.OrganizationID, state.CreatedAt
	m.Token, m.TokenPrefix = state.Token, state.TokenPrefix
	m.ReadyForRotation, m.RotatedAt, m.PreviousValidUntil = state.ReadyForRotation, state.RotatedAt,
		state.PreviousValidUntil
	m.SecretVersion = state.SecretVersion
	if sameDisplayName(m.Name, state.Name) {
		m.Name = state.Name
	}
	if !m.RotateBeforeExpiry.Equal(state.RotateBeforeExpiry) {
		m.ReadyForRotation = types.BoolValue(false) // otherwise it is rotated
	}
	if !m.ExpiresIn.IsNull() && !m.ExpiresIn.IsUnknown() && !state.ExpiresIn.IsNull() &&
		durationOf(m.ExpiresIn) == durationOf(state.ExpiresIn) {
		m.ExpiresIn = state.ExpiresIn
	}
	switch {
	case config.ExpiresAt.IsNull() && config.ExpiresIn.IsNull():
		m.ExpiresAt = timetypes.NewRFC3339Null()
	case config.ExpiresAt.IsNull() || sameInstant(config.ExpiresAt, state.ExpiresAt):
		m.ExpiresAt = state.ExpiresAt
	}
}

func sameInstant(a, b timetypes.RFC3339) bool {
	ta, errA := time.Parse(time.RFC3339, a.ValueString())
	tb, errB := time.Parse(time.RFC3339, b.ValueString())
	return errA == nil && errB == nil &&
		ta.Truncate(time.Microsecond).Equal(tb.Truncate(time.Microsecond))
}

// sameSet reports whether two sets have the same elements. An empty set equals null.
func sameSet(a, b types.Set) bool {
	if a.IsUnknown() || b.IsUnknown() {
		return false
	}
	return a.Equal(b) || (len(a.Elements()) == 0 && len(b.Elements()) == 0)
}
