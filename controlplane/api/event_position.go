package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
)

// positionMargin is how much earlier than the log a position expires: entries can be older than
// the position after which they were committed.
const positionMargin = time.Hour

// errEventExpired is the error of a reader whose position is older than the log.
var errEventExpired = httpError(http.StatusGone, "event-id-expired",
	"Last-Event-ID is no longer in the log, so events after it may be missing.")

// positionID returns the ID of a current position in an organization's log: everything up to seq
// was sent or skipped by now.
func (a *API) positionID(org string, seq int64) string {
	return a.cursors.Encode(positionOf(org), edge.Position{Key: strconv.FormatInt(seq, 10),
		ID: strconv.FormatInt(a.now().Unix(), 10)})
}

func positionOf(org string) listing { return listing{Operation: "streamEvents", Org: org} }

// eventPosition returns the seq after which a reader resumes that sends id: the ID of an event or
// of a position. expired reports whether entries after it may have been removed from the log. It
// returns 400 if id is neither.
func (a *API) eventPosition(ctx context.Context, id string) (seq int64, expired bool, err error) {
	p := principalOf(ctx)
	if controlplane.IsID(controlplane.PrefixEvent, id) {
		seq, err := a.store.EntrySeq(ctx, p.org(), id)
		if controlplane.IsKind(err, controlplane.KindNotFound) {
			return 0, true, nil
		}
		return seq, false, err
	}
	at, ok := a.cursors.Decode(positionOf(p.org()), id)
	seq, err = strconv.ParseInt(at.Key, 10, 64)
	unix, err2 := strconv.ParseInt(at.ID, 10, 64)
	if !ok || err != nil || err2 != nil {
		return 0, false, fieldsError([]controlplane.FieldError{{Pointer: "/Last-Event-ID",
			Code:   codeInvalidParameter,
			Detail: "Last-Event-ID is not an ID from the event stream of this organization."}}, nil)
	}
	return seq, a.now().Sub(time.Unix(unix, 0)) > p.tier.LogKept()-positionMargin, nil
}
