package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

const (
	// identifyTimeout limits how long Configure waits for the API. Resources can be configured
	// before the API is reachable.
	identifyTimeout = 10 * time.Second
	// privateOrganization is the key in private state of the ID of a resource's organization.
	privateOrganization = "organization"
)

// identify adds an error if the endpoint is not a DCVaaS API, rejects the token, or acts for
// another organization than the configured one. An API that is unreachable or unavailable is left
// to the first call that needs it.
func (s *settings) identify(ctx context.Context, c *client.Client, diags *diag.Diagnostics) {
	ctx, cancel := context.WithTimeout(ctx, identifyTimeout)
	defer cancel()
	_, err := c.Identify(ctx)
	var e *client.Error
	var other *client.OrganizationError
	attribute := "endpoint"
	switch {
	case errors.As(err, &other):
		attribute = "organization_id"
	case !errors.As(err, &e):
		return
	case e.API && e.Status == http.StatusUnauthorized:
		attribute = s.tokenAttribute
	case e.API && (e.Status == http.StatusTooManyRequests ||
		e.Status >= http.StatusInternalServerError):
		return
	}
	problem{doing: "use the API at " + c.Endpoint(), at: path.Root(attribute)}.add(ctx, diags, err)
}

// privateState is a resource's private state.
type privateState interface {
	GetKey(ctx context.Context, key string) ([]byte, diag.Diagnostics)
	SetKey(ctx context.Context, key string, value []byte) diag.Diagnostics
}

// ownership is the organization of a resource, compared with the one that the provider acts for.
type ownership struct {
	recorded string // in private state; "" if an earlier version of the provider wrote it
	acting   string // organization of the provider's token
}

// owner returns the ownership of a resource before a call about it. It adds an error, and returns
// false, if the resource belongs to another organization than the provider's token, or if that is
// unknown because the API does not respond.
func (c *configured) owner(
	ctx context.Context, private privateState, p problem, diags *diag.Diagnostics,
) (o ownership, ok bool) {
	raw, more := private.GetKey(ctx, privateOrganization)
	if diags.Append(more...); diags.HasError() {
		return o, false
	}
	if raw != nil {
		if err := json.Unmarshal(raw, &o.recorded); err != nil {
			p.add(ctx, diags, fmt.Errorf("the private state is malformed: %w", err))
			return o, false
		}
	}
	var err error
	if o.acting, err = c.client.Identify(ctx); err != nil {
		p.add(ctx, diags, err)
		return o, false
	}
	if o.recorded != "" && o.recorded != o.acting {
		p.add(ctx, diags, otherOrganization{o.recorded, o.acting, c.tokenSource})
		return o, false
	}
	return o, true
}

// record stores the organization that the provider acts for in a resource's private state, after a
// call that created or read the resource.
func (c *configured) record(ctx context.Context, private privateState) diag.Diagnostics {
	id, err := c.client.Identify(ctx) // known from that call
	if err != nil {
		return nil // the next read records it
	}
	raw, err := json.Marshal(id)
	if err != nil {
		return nil
	}
	return private.SetKey(ctx, privateOrganization, raw)
}

// organization returns the ID of the organization that the provider acts for, unknown if the API
// does not respond.
func (c *configured) organization(ctx context.Context) types.String {
	if c == nil {
		return types.StringUnknown()
	}
	id, err := c.client.Identify(ctx)
	if err != nil {
		return types.StringUnknown()
	}
	return types.StringValue(id)
}

// creating returns the ID of the organization that the provider acts for, before a planned
// creation. It adds an error, and returns false, if the creation was planned for another one.
func (c *configured) creating(
	ctx context.Context, planned types.String, p problem, diags *diag.Diagnostics,
) (acting types.String, ok bool) {
	id, err := c.client.Identify(ctx)
	if err == nil && planned.ValueString() != "" && planned.ValueString() != id {
		err = otherPlan{planned.ValueString(), id, c.tokenSource}
	}
	p.add(ctx, diags, err)
	return types.StringValue(id), err == nil
}

// otherPlan is the error of a creation that was planned for another organization.
type otherPlan struct{ planned, acting, tokenSource string }

// Error describes both organizations, and how to continue.
func (e otherPlan) Error() string {
	return fmt.Sprintf(
		"The plan was made for the organization %s, but the provider's token, from %s, belongs to %s. "+
			"Nothing was created. Apply the plan with a token of %s, or plan again.",
		e.planned, e.tokenSource, e.acting, e.planned)
}

// organizationAttribute is the attribute organization_id of resources.
func organizationAttribute() schema.StringAttribute {
	return schema.StringAttribute{Computed: true,
		PlanModifiers:       []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
		MarkdownDescription: "ID of the organization that it belongs to, `org_…`. It is known at plan time: a saved plan fails if it is applied with a token of another organization."}
}

// isGone reports whether err means that a resource no longer exists. If the organization of the
// resource is not recorded, it may exist in another one.
func (o ownership) isGone(err error) bool { return client.IsNotFound(err) && o.recorded != "" }

// add adds the diagnostics of an error of a call about the resource.
func (o ownership) add(ctx context.Context, p problem, diags *diag.Diagnostics, err error) {
	if client.IsNotFound(err) && o.recorded == "" {
		err = unrecorded{err}
	}
	p.add(ctx, diags, err)
}

// otherOrganization is the error of a resource that belongs to another organization.
type otherOrganization struct{ recorded, acting, tokenSource string }

// Error describes both organizations, and how to continue.
func (e otherOrganization) Error() string {
	return fmt.Sprintf(
		"According to the state, it belongs to the organization %s, but the provider's token, from %s, belongs to %s. "+
			"Nothing was changed. Configure the provider with a token of %s. "+
			"If Terraform must no longer manage it, remove it from the state: terraform state rm ADDRESS.",
		e.recorded, e.tokenSource, e.acting, e.recorded)
}

// unrecorded is the error of a resource that the provider's organization does not have, and whose
// own organization is unknown.
type unrecorded struct{ error }

// Unwrap returns the response of the API.
func (e unrecorded) Unwrap() error { return e.error }

// unrecordedFix follows the message of an unrecorded error.
const unrecordedFix = "The state does not record the organization that it belongs to, because an earlier version of the provider wrote the state. " +
	"So it may exist in another organization, and it stays in the state. " +
	"If the token is of another organization, use one of the right organization. If it was deleted, remove it from the state: terraform state rm ADDRESS."
