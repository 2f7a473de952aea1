package api

import (
	"github.com/oapi-codegen/nullable"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

const defaultLimit = 50

// listing is the list for which a cursor is valid: one operation, organization, order, and set of
// filters. The order of its fields is part of the format.
type listing struct {
	Operation string
	Org       string
	Filters   any
}

// next returns the cursor of the page after this one, null after the last.
func (a *API) next(l listing, at *postgres.Cursor) nullable.Nullable[string] {
	if at == nil {
		return nullable.NewNullNullable[string]()
	}
	return nullable.NewNullableWithValue(a.cursors.Encode(l, edge.Position(*at)))
}

// position returns the position after which a page starts, nil for the first page. It returns 400
// "invalid-cursor" for a cursor that was not created for this listing.
func (a *API) position(l listing, cursor *string) (*postgres.Cursor, error) {
	if cursor == nil || *cursor == "" {
		return nil, nil
	}
	at, ok := a.cursors.Decode(l, *cursor)
	if !ok {
		return nil, errCursor()
	}
	return (*postgres.Cursor)(&at), nil
}

func errCursor() error {
	const detail = "The cursor is not from a page of this list with the same filters and order."
	return &controlplane.Error{Kind: controlplane.KindMalformed, Code: codeInvalidCursor,
		Message: detail,
		Fields: []controlplane.FieldError{{Pointer: "/cursor", Code: codeInvalidCursor,
			Detail: detail}}}
}

// limitOf returns the maximum number of objects per page. The contract already limits it.
func limitOf(limit *Limit) int {
	if limit == nil {
		return defaultLimit
	}
	return *limit
}
