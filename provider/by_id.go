package provider

import (
	"context"
	"fmt"
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
)

// importID imports an object that only its ID identifies. noun is the object with its article, form
// the form of its ID, and wrong what is wrong with any other reference.
func (c *configured) importID(
	ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse,
	noun string, form *regexp.Regexp, wrong string,
) {
	p := problem{doing: "import " + noun}
	if req.ID != "" && !form.MatchString(req.ID) {
		p.add(ctx, &resp.Diagnostics, fmt.Errorf("%q is not %s", maskSecret(req.ID), wrong))
		return
	}
	if _, ok := c.owner(ctx, resp.Private, p, &resp.Diagnostics); !ok {
		return
	}
	resource.ImportStatePassthroughWithIdentity(ctx, path.Root("id"), path.Root("id"), req, resp)
	resp.Diagnostics.Append(c.record(ctx, resp.Private)...)
}

// destroy deletes the object of a state. One that is gone is not an error.
func (c *configured) destroy(
	ctx context.Context, private privateState, p problem, diags *diag.Diagnostics,
	remove func() error,
) {
	owner, ok := c.owner(ctx, private, p, diags)
	if !ok {
		return
	}
	if err := remove(); err != nil && !owner.isGone(err) {
		owner.add(ctx, p, diags, err)
	}
}
