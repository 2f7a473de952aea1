package dashboard

import (
	"context"
	"encoding/csv"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
)

// exportLife is the maximum duration of an export.
const exportLife = 15 * time.Minute

// exportColumns are the columns of the exported list.
var exportColumns = []string{"name", "unicode_name", "additional_names", "wildcard", "state",
	"headline", "next_step", "expires_at", "labels", "id"}

// exportDomains responds with the list of domains as CSV (RFC 4180), with its filters and order. It
// has all pages. An error, and the end of the session, abort the connection, so that browsers
// report an incomplete file.
func (d *Dashboard) exportDomains(w http.ResponseWriter, v *visit) error {
	l, err := d.domainListOf(v)
	if err != nil {
		return err
	}
	leave, ok := d.exports.Enter(v.org.ID)
	if !ok {
		return edge.ExportBusy(v.now)
	}
	defer leave()
	ctx, cancel := context.WithTimeout(v.Context(), exportLife)
	defer cancel()
	filter := l.filter(edge.ExportPage)
	// The first page is read before anything is written, so that an error still gets a page.
	domains, next, err := d.store.ListDomains(ctx, v.org.ID, filter)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8; header=present")
	w.Header().Set("Content-Disposition",
		edge.Attachment("domains-"+v.now.UTC().Format("20060102T150405Z")+".csv"))
	control, out := http.NewResponseController(w), csv.NewWriter(w)
	out.UseCRLF = true // RFC 4180 §2
	_ = out.Write(exportColumns)
	for {
		_ = control.SetWriteDeadline(time.Now().Add(edge.WriteTimeout)) // unsupported: no deadline
		for i := range domains {
			_ = out.Write(v.exportRow(&domains[i])) // Error returns it
		}
		out.Flush()
		err := errors.Join(out.Error(), ctx.Err())
		if err == nil && next == nil {
			return nil
		}
		if err == nil && !d.stillSignedIn(v) {
			err = errors.New("the session has ended")
		}
		if err == nil {
			filter.After = next
			domains, next, err = d.store.ListDomains(ctx, v.org.ID, filter)
		}
		if err != nil {
			d.log.LogAttrs(ctx, slog.LevelWarn, "export aborted", slog.Any("error", err))
			panic(http.ErrAbortHandler)
		}
	}
}

func (v *visit) exportRow(d *controlplane.Domain) []string {
	s := d.Summary(v.now)
	expires := ""
	if d.ExpiresAt != nil {
		expires = d.ExpiresAt.UTC().Format(time.RFC3339)
	}
	row := []string{d.Name, rules.UnicodeName(d.Name), strings.Join(d.AdditionalNames, " "),
		yesNo(d.Wildcard), s.State.Title(), s.Headline,
		strings.Join(strings.Fields(s.DashboardStep), " "), expires,
		strings.Join(lines(labelLines(d.Labels)), " "), d.ID}
	for i, cell := range row {
		row[i] = edge.PlainCell(cell)
	}
	return row
}
