package provider

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// parseDuration reads "90d", "12h30m" or whatever else time.ParseDuration does; a day is 24 hours.
func parseDuration(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if errors.Is(err, strconv.ErrRange) {
			return 0, fmt.Errorf("%q is more than %d days", s, math.MaxUint16)
		}
		if err != nil {
			return 0, fmt.Errorf("%q is not a number of days such as 90d", s)
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration such as 90d, 12h or 30m", s)
	}
	return d, nil
}

// durationOf returns a duration that the validator has accepted; zero where there is none.
func durationOf(s types.String) time.Duration {
	d, _ := parseDuration(s.ValueString())
	return d
}

// durationValidator accepts positive durations, zero where that has a meaning, and no more than most where that is set.
type durationValidator struct {
	zero bool
	most time.Duration
}

func (durationValidator) Description(context.Context) string {
	return "must be a duration such as 90d, 12h or 30m"
}

func (v durationValidator) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (v durationValidator) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	d, err := parseDuration(req.ConfigValue.ValueString())
	switch {
	case err != nil:
	case d < 0 || d == 0 && !v.zero:
		err = fmt.Errorf("%q is not positive", req.ConfigValue.ValueString())
	case v.most > 0 && d > v.most:
		err = fmt.Errorf("%q is more than %d days", req.ConfigValue.ValueString(), v.most/(24*time.Hour))
	}
	if err != nil {
		resp.Diagnostics.AddAttributeError(req.Path, "Invalid duration", sentence(err.Error()))
	}
}
