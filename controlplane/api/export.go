package api

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// exportLife is the maximum duration of an export.
const exportLife = time.Hour

// ExportAuditLogs implements GET /api/audit-logs/export.
func (a *API) ExportAuditLogs(
	ctx context.Context, r ExportAuditLogsRequestObject,
) (ExportAuditLogsResponseObject, error) {
	q := r.Params
	filter, err := a.logFilter(ctx, logQuery{q.Actor, q.Action, q.Entity, q.Since, q.Until})
	if err != nil {
		return nil, err
	}
	now := a.now()
	if filter.Until == nil || filter.Until.After(now) {
		filter.Until = &now // so that it ends
	}
	filter.Oldest, filter.Limit = true, edge.ExportPage
	leave, ok := a.exports.Enter(principalOf(ctx).org())
	if !ok {
		return nil, edge.ExportBusy(now)
	}
	e := &export{a: a, ctx: ctx, filter: filter, csv: deref(q.Format) != Ndjson, leave: leave}
	// The first page is read before anything is written, so that an error still becomes a problem
	// document.
	if e.entries, e.next, err = a.store.ListLog(ctx, principalOf(ctx).org(), filter); err != nil {
		leave()
		return nil, err
	}
	return e, nil
}

// export is a response that is written while the log is read.
type export struct {
	a       *API
	ctx     context.Context // of the call
	filter  postgres.LogFilter
	csv     bool
	entries []controlplane.AuditEntry
	next    *postgres.Cursor
	leave   func() // releases the export slot
}

// VisitExportAuditLogsResponse writes all pages. An error aborts the connection, so that clients
// can detect an incomplete export. So does the expiry or revocation of the credential, within one
// heartbeat.
func (e *export) VisitExportAuditLogsResponse(w http.ResponseWriter) error {
	defer e.leave()
	c := callOf(e.ctx)
	c.waited = true
	ctx, stop := c.untilGone(e.ctx, exportLife)
	defer stop()
	name := "audit-log-" + e.filter.Until.UTC().Format("20060102T150405Z")
	h := w.Header()
	out := bufio.NewWriter(w)
	put := e.json(out)
	if e.csv {
		h.Set("Content-Type", "text/csv; charset=utf-8; header=present")
		h.Set("Content-Disposition", edge.Attachment(name+".csv"))
		put = e.lines(out)
	} else {
		h.Set("Content-Type", "application/x-ndjson")
		h.Set("Content-Disposition", edge.Attachment(name+".ndjson"))
	}
	w.WriteHeader(http.StatusOK)
	control := http.NewResponseController(w)
	checked := time.Now()
	for {
		_ = control.SetWriteDeadline(time.Now().Add(edge.WriteTimeout)) // unsupported: no deadline
		err := put(e.entries)
		if err == nil {
			err = out.Flush()
		}
		if err == nil && e.next == nil {
			return nil
		}
		if err == nil {
			err = control.Flush()
		}
		if err == nil && time.Since(checked) >= e.a.heartbeat {
			checked = time.Now()
			if !e.a.stillAdmitted(ctx, c) {
				err = errors.New("credential no longer valid")
			}
		}
		if err == nil {
			e.filter.After = e.next
			e.entries, e.next, err = e.a.store.ListLog(ctx, c.principal.org(), e.filter)
		}
		if err != nil && c.connection.Err() != nil {
			c.gone = true
			return nil
		}
		if err != nil {
			e.a.log.LogAttrs(ctx, slog.LevelWarn, "export aborted",
				slog.String("request_id", c.requestID), slog.Any("error", err))
			panic(http.ErrAbortHandler)
		}
	}
}

func (e *export) json(w *bufio.Writer) func([]controlplane.AuditEntry) error {
	enc := json.NewEncoder(w)
	return func(entries []controlplane.AuditEntry) error {
		for i := range entries {
			if err := enc.Encode(auditEntryBody(&entries[i])); err != nil {
				return err
			}
		}
		return nil
	}
}

func (e *export) lines(w *bufio.Writer) func([]controlplane.AuditEntry) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true // RFC 4180 §2
	_ = out.Write([]string{"id", "created_at", "actor_type", "actor_id", "ip", "action",
		"entity_type", "entity_id", "before", "after", "details", "request_id"})
	return func(entries []controlplane.AuditEntry) error {
		for i := range entries {
			x := &entries[i]
			cell := edge.PlainCell
			_ = out.Write([]string{x.ID, x.CreatedAt.UTC().Format(time.RFC3339Nano),
				string(x.Actor.Type), cell(x.Actor.ID), cell(x.Actor.IP), x.Action, x.EntityType,
				cell(x.EntityID), objectCell(x.Before), objectCell(x.After), objectCell(x.Details),
				cell(x.Actor.RequestID)})
		}
		out.Flush()
		return out.Error()
	}
}

// objectCell returns an object as JSON, "" for nil.
func objectCell(m map[string]any) string {
	if m == nil {
		return ""
	}
	b, _ := json.Marshal(m) // decoded from JSON
	return string(b)
}
