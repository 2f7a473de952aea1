package api

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

const (
	// exportPage is how many entries are read and written at a time: no connection to the
	// database is held while the caller reads.
	exportPage = 500
	// exportsAtOnce is how many exports this process writes at a time: each holds a page in memory.
	exportsAtOnce = 64
	// exportsOfOne is how many of them one organization has.
	exportsOfOne = 2
	// exportRetry is when to retry while all are taken.
	exportRetry = 5 * time.Second
	// exportLife bounds an export altogether.
	exportLife = time.Hour
)

// ExportAuditLogs implements GET /api/audit-logs/export.
func (a *API) ExportAuditLogs(ctx context.Context, r ExportAuditLogsRequestObject) (ExportAuditLogsResponseObject, error) {
	q := r.Params
	filter, err := a.logFilter(ctx, logQuery{q.Actor, q.Action, q.Entity, q.Since, q.Until})
	if err != nil {
		return nil, err
	}
	now := a.now()
	if filter.Until == nil || filter.Until.After(now) {
		filter.Until = &now // so that it ends
	}
	filter.Oldest, filter.Limit = true, exportPage
	leave, ok := a.exports.Enter(principalOf(ctx).org())
	if !ok {
		return nil, &controlplane.Error{Kind: controlplane.KindRateLimited, Code: "export-busy", RetryAt: now.Add(exportRetry),
			Message: "As many exports as are possible at a time are in progress."}
	}
	e := &export{a: a, ctx: ctx, filter: filter, csv: deref(q.Format) != Ndjson, leave: leave}
	// The first page is read before anything is written: what is wrong is still answered so.
	if e.entries, e.next, err = a.store.ListLog(ctx, principalOf(ctx).org(), filter); err != nil {
		leave()
		return nil, err
	}
	return e, nil
}

// export is an answer that is written while it is read.
type export struct {
	a       *API
	ctx     context.Context // of the call
	filter  postgres.LogFilter
	csv     bool
	entries []controlplane.AuditEntry
	next    *postgres.Cursor
	leave   func() // gives back the place among exports
}

// VisitExportAuditLogsResponse writes every page. What goes wrong in between breaks the
// connection, so that nobody takes half for the whole; so does the end of the caller's credential,
// within one heartbeat.
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
		_ = control.SetWriteDeadline(time.Now().Add(edge.WriteTimeout)) // an error means that there is none
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
				err = errors.New("its caller is not admitted any more")
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
			e.a.log.LogAttrs(ctx, slog.LevelWarn, "an export was cut off", slog.String("request_id", c.requestID), slog.Any("error", err))
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
	_ = out.Write([]string{"id", "created_at", "actor_type", "actor_id", "ip", "action", "entity_type", "entity_id", "before", "after", "details", "request_id"})
	return func(entries []controlplane.AuditEntry) error {
		for i := range entries {
			x := &entries[i]
			_ = out.Write([]string{x.ID, x.CreatedAt.UTC().Format(time.RFC3339Nano), string(x.Actor.Type), plainCell(x.Actor.ID), plainCell(x.Actor.IP), x.Action, x.EntityType,
				plainCell(x.EntityID), objectCell(x.Before), objectCell(x.After), objectCell(x.Details), plainCell(x.Actor.RequestID)})
		}
		out.Flush()
		return out.Error()
	}
}

// plainCell keeps a spreadsheet from taking a text for a formula.
func plainCell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

// objectCell returns an object as JSON, which begins with a brace; nothing where there is none.
func objectCell(m map[string]any) string {
	if m == nil {
		return ""
	}
	b, _ := json.Marshal(m) // it came from JSON
	return string(b)
}
