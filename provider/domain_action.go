package provider

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/action"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

// domainDescription describes the attribute domain of the actions.
const domainDescription = "ID or name of the domain."

// checkLimit is how long an action waits for the check that it starts. The check itself takes at
// most 10 seconds.
const checkLimit = time.Minute

// find returns the domain of an action. It adds a diagnostic if that fails.
func (c *configured) find(
	ctx context.Context, ref, doing string, resp *action.InvokeResponse,
) (*client.Domain, bool) {
	d, err := findDomain(ctx, c.client, ref)
	if err != nil {
		problem{doing: doing + " " + ref, at: path.Root("domain")}.add(ctx, &resp.Diagnostics, err)
		return nil, false
	}
	return d, true
}

func progress(resp *action.InvokeResponse, format string, args ...any) {
	resp.SendProgress(action.InvokeProgressEvent{Message: fmt.Sprintf(format, args...)})
}
