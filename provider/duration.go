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

// durationValidator accepts the durations that a rule accepts.
type durationValidator struct {
	check func(time.Duration) error
}

// positive is the rule of durations that the API does not have.
func positive(d time.Duration) error {
	if d <= 0 {
		return fmt.Errorf("%s is not positive", d)
	}
	return nil
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
	if err == nil {
		err = v.check(d)
	}
	if err != nil {
		resp.Diagnostics.AddAttributeError(req.Path, "Invalid duration", sentence(err.Error()))
	}
}
