package provider

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

// privateReplaced is the key in private state of the ID of the object that a plan may replace.
// Terraform plans a replacement in two calls, first against the state and then as a creation, and
// passes the private state of the first to the second. It passes none for another creation.
const privateReplaced = "replaced"

// planReplacement stores the ID of a planned object, in case that Terraform replaces it.
func planReplacement(
	ctx context.Context, private privateState, id types.String, diags *diag.Diagnostics,
) {
	if id.IsNull() || id.IsUnknown() {
		return
	}
	raw, err := json.Marshal(id.ValueString())
	if err != nil {
		return
	}
	diags.Append(private.SetKey(ctx, privateReplaced, raw)...)
}

// replacedID returns the ID of the object that a planned creation replaces, "" for none.
func replacedID(ctx context.Context, private privateState, diags *diag.Diagnostics) (id string) {
	raw, more := private.GetKey(ctx, privateReplaced)
	diags.Append(more...)
	if raw != nil {
		_ = json.Unmarshal(raw, &id) // unreadable: no object
	}
	return id
}

// unknownAttributes returns the names of the attributes whose configured values contain unknown
// ones.
func unknownAttributes(config tfsdk.Config) (names []string) {
	var values map[string]tftypes.Value
	if config.Raw.As(&values) != nil {
		return nil
	}
	for name, v := range values {
		if !v.IsFullyKnown() {
			names = append(names, name)
		}
	}
	return names
}

// trial is a dry run of a planned creation, which finds its problems before an object that it
// replaces is destroyed.
type trial struct {
	problem  problem
	replaces string   // ID of the object that the creation replaces, "" for none
	unknown  []string // attributes whose problems are not reported, because their values are unknown
	run      func(ctx context.Context, replacing string) error
}

// add runs the trial and adds its problems. If the API is unavailable, or does not support dry
// runs, it adds none: the apply reports the problems.
func (t trial) add(ctx context.Context, diags *diag.Diagnostics) {
	err := t.run(ctx, t.replaces)
	if t.replaces != "" && cannotReplace(err) {
		// It is already gone, or belongs to another organization, which its deletion reports.
		t.replaces = ""
		err = t.run(ctx, "")
	}
	if err == nil {
		return
	}
	e := t.relevant(ctx, err)
	if e == nil {
		tflog.Debug(ctx, "dry run skipped: left to the apply", map[string]any{
			"creation": t.problem.doing, "error": err.Error()})
		return
	}
	t.problem.replaces = t.replaces
	t.problem.add(ctx, diags, e)
}

// cannotReplace reports whether err is about the object to replace.
func cannotReplace(err error) bool {
	var e *client.Error
	return errors.As(err, &e) && e.API && slices.ContainsFunc(e.Fields,
		func(f client.FieldError) bool { return f.Pointer == "/replacing" })
}

// relevant returns the part of a trial's error that the apply would have, too. It returns nil if
// that is uncertain.
func (t trial) relevant(ctx context.Context, err error) error {
	var e *client.Error
	switch {
	case errors.Is(err, client.ErrNoDryRun) || !errors.As(err, &e) || !e.API,
		e.Status == http.StatusTooManyRequests || e.Status >= http.StatusInternalServerError:
		return nil
	case e.Code == "plan-limit" && t.replaces == "":
		return nil // the apply may delete another object first
	case len(t.unknown) == 0 || len(e.Fields) == 0:
		return e
	}
	known := *e
	known.Fields = slices.DeleteFunc(slices.Clone(e.Fields), func(f client.FieldError) bool {
		steps := t.problem.attribute(ctx, f.Pointer).Steps()
		return len(steps) > 0 && slices.ContainsFunc(t.unknown,
			func(name string) bool { return steps[0].Equal(path.PathStepAttributeName(name)) })
	})
	if known.FieldsTotal -= len(e.Fields) - len(known.Fields); len(known.Fields) == 0 {
		return nil
	}
	return &known
}
