package provider

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

// durationOf returns the value of an attribute with a durationValidator, and 0 for null.
func durationOf(s types.String) time.Duration {
	d, _ := rules.ParseDuration(s.ValueString())
	return d
}

// durationValidator accepts positive durations; also 0 if zero is set, and at most most if it is
// set.
type durationValidator struct {
	zero bool
	most time.Duration
}

func (durationValidator) Description(context.Context) string {
	return "must be a duration such as 90d, 12h, or 30m"
}

func (v durationValidator) MarkdownDescription(ctx context.Context) string {
	return v.Description(ctx)
}

func (v durationValidator) ValidateString(
	_ context.Context, req validator.StringRequest, resp *validator.StringResponse,
) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	d, err := rules.ParseDuration(req.ConfigValue.ValueString())
	switch {
	case err != nil:
	case d < 0 || d == 0 && !v.zero:
		err = fmt.Errorf("%q is not positive", req.ConfigValue.ValueString())
	case v.most > 0 && d > v.most:
		err = fmt.Errorf("%q is more than %d days", req.ConfigValue.ValueString(),
			v.most/(24*time.Hour))
	}
	if err != nil {
		resp.Diagnostics.AddAttributeError(req.Path, "Invalid duration", sentence(err.Error()))
	}
}
