package provider

import (
	"context"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/oapi-codegen/nullable"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

// defaultOverlap is the default of rotation_overlap: how long the replaced secret remains valid.
const defaultOverlap = 24 * time.Hour

type apiTokenModel struct {
	ID                 types.String      `tfsdk:"id"`
	OrganizationID     types.String      `tfsdk:"organization_id"`
	Name               types.String      `tfsdk:"name"`
	Scopes             types.Set         `tfsdk:"scopes"`
	DomainIDs          types.Set         `tfsdk:"domain_ids"`
	ExpiresAt          timetypes.RFC3339 `tfsdk:"expires_at"`
	ExpiresIn          types.String      `tfsdk:"expires_in"`
	RotateBeforeExpiry types.String      `tfsdk:"rotate_before_expiry"`
	RotateWhenChanged  types.Map         `tfsdk:"rotate_when_changed"`
	RotationOverlap    types.String      `tfsdk:"rotation_overlap"`
	Token              types.String      `tfsdk:"token"`
	TokenPrefix        types.String      `tfsdk:"token_prefix"`
	SecretVersion      types.Int64       `tfsdk:"secret_version"`
	ReadyForRotation   types.Bool        `tfsdk:"ready_for_rotation"`
	RotatedAt          timetypes.RFC3339 `tfsdk:"rotated_at"`
	PreviousValidUntil timetypes.RFC3339 `tfsdk:"previous_valid_until"`
	CreatedAt          timetypes.RFC3339 `tfsdk:"created_at"`
}

func (m *apiTokenModel) toCreateRequest(
	ctx context.Context, now time.Time,
) (client.TokenCreate, diag.Diagnostics) {
	in := client.TokenCreate{Name: m.Name.ValueString(), ExpiresAt: m.end(now)}
	diags := m.Scopes.ElementsAs(ctx, &in.Scopes, false)
	if len(m.DomainIDs.Elements()) > 0 {
		var ids []string
		diags.Append(m.DomainIDs.ElementsAs(ctx, &ids, false)...)
		in.DomainIds = &ids
	}
	return in, diags
}

func (m *apiTokenModel) toRotateRequest(now time.Time) client.TokenRotate {
	overlap := defaultOverlap
	if !m.RotationOverlap.IsNull() {
		overlap = durationOf(m.RotationOverlap)
	}
	return client.TokenRotate{OverlapSeconds: new(int(overlap.Seconds())), ExpiresAt: m.end(now)}
}

// end returns when a secret that is created now expires, null for never. It converts expires_in to
// a time in whole seconds.
func (m *apiTokenModel) end(now time.Time) nullable.Nullable[time.Time] {
	if d := durationOf(m.ExpiresIn); d > 0 {
		return nullable.NewNullableWithValue(now.Add(d).UTC().Truncate(time.Second))
	}
	if at, ok := m.expiry(); ok {
		return nullable.NewNullableWithValue(at)
	}
	return nullable.NewNullNullable[time.Time]()
}

// fromAPI sets the attributes from the API's response at the given time. The response does not
// contain the secret.
func (m *apiTokenModel) fromAPI(t *client.Token, now time.Time) {
	m.ID = types.StringValue(t.Id)
	if !sameDisplayName(m.Name, types.StringValue(t.Name)) {
		m.Name = types.StringValue(t.Name)
	}
	scopes := make([]attr.Value, len(t.Scopes))
	for i, s := range t.Scopes {
		scopes[i] = types.StringValue(string(s))
	}
	m.Scopes = types.SetValueMust(types.StringType, scopes)
	if len(t.DomainIds) > 0 || m.DomainIDs.IsUnknown() {
		ids := make([]attr.Value, len(t.DomainIds))
		for i, id := range t.DomainIds {
			ids[i] = types.StringValue(id)
		}
		m.DomainIDs = types.SetValueMust(types.StringType, ids)
	} else if len(m.DomainIDs.Elements()) > 0 {
		m.DomainIDs = types.SetNull(types.StringType)
	}
	m.ExpiresAt = keepSpelling(m.ExpiresAt, t.ExpiresAt)
	m.TokenPrefix = types.StringValue(t.TokenPrefix)
	m.CreatedAt = fromTime(t.CreatedAt)
	m.ReadyForRotation = types.BoolValue(m.ready(now))
	m.RotatedAt = fromNullableTime(t.RotatedAt)
	m.SecretVersion = types.Int64Value(secretVersion(t))
	m.PreviousValidUntil = fromNullableTime(t.PreviousValidUntil)
}

// secretVersion returns when the current secret was created, in microseconds, so that no two
// secrets of a token share a number.
func secretVersion(t *client.Token) int64 {
	created := t.CreatedAt
	if at, err := t.RotatedAt.Get(); err == nil {
		created = at
	}
	return created.UnixMicro()
}

// sameDisplayName reports whether two names differ in the white space around them only, which the
// API removes.
func sameDisplayName(a, b types.String) bool {
	na, errA := rules.DisplayName(a.ValueString())
	nb, errB := rules.DisplayName(b.ValueString())
	return errA == nil && errB == nil && na == nb
}

// expiry returns when the token expires, if that is known.
func (m *apiTokenModel) expiry() (time.Time, bool) {
	if m.ExpiresAt.IsNull() || m.ExpiresAt.IsUnknown() {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339, m.ExpiresAt.ValueString())
	return t, err == nil
}

// expired reports whether the token has expired. An expired token can't be rotated.
func (m *apiTokenModel) expired(now time.Time) bool {
	at, ok := m.expiry()
	return ok && !now.Before(at)
}

// stale reports whether the secret in the state is no longer the current one: the token was rotated
// outside Terraform, or by an apply that was killed.
func (m *apiTokenModel) stale() bool {
	return !m.Token.IsNull() && !strings.HasPrefix(m.Token.ValueString(),
		m.TokenPrefix.ValueString())
}

// validUntil returns when the secret in the state expires, if it is one of the previous secrets
// that are valid.
func (m *apiTokenModel) validUntil(secrets []client.ValidSecret) (time.Time, bool) {
	for _, s := range secrets {
		if until, err := s.ValidUntil.Get(); err == nil && strings.HasPrefix(m.Token.ValueString(),
			s.Prefix) {
			return until, true
		}
	}
	return time.Time{}, false
}

// ready reports whether the token has expired or expires within rotate_before_expiry.
func (m *apiTokenModel) ready(now time.Time) bool {
	at, ok := m.expiry()
	return ok && !now.Before(at.Add(-durationOf(m.RotateBeforeExpiry)))
}

// keepSpelling returns the prior text if it is the API's time in any offset, to the microsecond.
func keepSpelling(prior timetypes.RFC3339, n nullable.Nullable[time.Time]) timetypes.RFC3339 {
	at, err := n.Get()
	if err != nil {
		return timetypes.NewRFC3339Null()
	}
	if p, err := time.Parse(time.RFC3339, prior.ValueString()); err == nil &&
		p.Truncate(time.Microsecond).Equal(at.Truncate(time.Microsecond)) {
		return prior
	}
	return timetypes.NewRFC3339TimeValue(at.UTC())
}
