package provider

import (
	"context"
	"iter"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/list"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// listed is one object of a list resource.
type listed struct {
	id, name string
	model    any // of the managed resource
}

// streamed converts pages of the API to the results that Terraform requests. It reads only the
// pages that it needs. An error is the last result.
func streamed[T any](
	ctx context.Context, req list.ListRequest, p problem, pages iter.Seq2[[]T, error],
	each func(*T) listed,
) iter.Seq[list.ListResult] {
	return func(yield func(list.ListResult) bool) {
		left := req.Limit
		for page, err := range pages {
			if err != nil {
				var diags diag.Diagnostics
				p.add(ctx, &diags, err)
				yield(list.ListResult{Diagnostics: diags})
				return
			}
			for i := range page {
				object := each(&page[i])
				result := req.NewListResult(ctx)
				result.DisplayName = object.name
				result.Diagnostics.Append(result.Identity.Set(ctx,
					idIdentity{ID: types.StringValue(object.id)})...)
				if req.IncludeResource {
					result.Diagnostics.Append(result.Resource.Set(ctx, object.model)...)
				}
				left--
				if !yield(result) || left == 0 {
					return
				}
			}
		}
	}
}

// pageFor returns the page size for a limit, nil for the maximum: a request for a few objects does
// not wait for many.
func pageFor(limit int64) *int {
	if limit < 1 || limit >= 200 {
		return nil
	}
	return new(int(limit))
}
