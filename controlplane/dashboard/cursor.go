package dashboard

import (
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// sealCursor returns the cursor of the page of list that starts after at, "" after the last page.
func (d *Dashboard) sealCursor(list any, at *postgres.Cursor) string {
	if at == nil {
		return ""
	}
	return d.cursors.Encode(list, edge.Position(*at))
}

// openCursor returns the position after which a page of list starts, nil for the first page. It
// returns an error for a cursor that was not created for this list.
func (d *Dashboard) openCursor(list any, cursor string) (*postgres.Cursor, error) {
	if cursor == "" {
		return nil, nil
	}
	at, ok := d.cursors.Decode(list, cursor)
	if !ok {
		return nil, &controlplane.Error{Kind: controlplane.KindMalformed, Code: "invalid-cursor",
			Message: "The link to this page of the list is invalid or out of date.",
			Fix:     "Start again at the first page."}
	}
	return (*postgres.Cursor)(&at), nil
}
