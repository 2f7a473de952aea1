package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

const (
	// heartbeat keeps proxies from taking a quiet stream for a dead one.
	heartbeat = 15 * time.Second
	// streamLife ends a stream, so that its reader comes back and load spreads anew.
	streamLife = 30 * time.Minute
	// catchUpPage is how many events are read at a time for a reader that was away.
	catchUpPage = 200
)

// eventStream is the answer that goes on (WHATWG HTML §9.2). First it catches up from the
// log to where the feed stood when it subscribed, then it is told by the feed.
type eventStream struct {
	a      *API
	ctx    context.Context // of the call
	filter postgres.EventFilter
	sub    *subscription
	last   int64 // seq of the last event that was sent, or may be skipped

	w       http.ResponseWriter
	control *http.ResponseController
}

// streamEvents subscribes before anything is answered: what is wrong is still answered so.
func (a *API) streamEvents(ctx context.Context, f postgres.EventFilter, lastID string) (*eventStream, error) {
	org := principalOf(ctx).org()
	s := &eventStream{a: a, ctx: ctx, filter: f}
	if lastID != "" {
		var err error
		s.last, err = a.store.EntrySeq(ctx, org, lastID)
		if controlplane.IsKind(err, controlplane.KindNotFound) {
			const detail = "Last-Event-ID names no event that is still in the log."
			return nil, fieldsError([]controlplane.FieldError{{Pointer: "/Last-Event-ID", Code: codeInvalidParameter, Detail: detail}}, nil)
		}
		if err != nil {
			return nil, err
		}
	}
	var err error
	if s.sub, err = a.feeds.subscribe(ctx, org); err != nil {
		return nil, err
	}
	if lastID == "" {
		s.last = s.sub.from
	}
	return s, nil
}

// VisitListEventsResponse writes events until the reader goes, does not keep up, or is no
// longer let in, or the server stops.
func (s *eventStream) VisitListEventsResponse(w http.ResponseWriter) error {
	defer s.a.feeds.unsubscribe(s.sub)
	c := callOf(s.ctx)
	c.waited = true
	ctx, stop := c.untilGone(s.ctx, streamLife)
	defer stop()
	s.w, s.control = w, http.NewResponseController(w)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // nginx would hold it back
	w.WriteHeader(http.StatusOK)
	if c.head || s.send("retry: 2000\n\n") != nil {
		return nil
	}
	_ = s.control.SetReadDeadline(time.Time{}) // an error means that there is none
	if !s.catchUp(ctx) {
		return nil
	}
	beat := time.NewTicker(s.a.heartbeat)
	defer beat.Stop()
	for {
		select {
		case e, ok := <-s.sub.events:
			if !ok || s.sendEvent(e) != nil {
				return nil // it did not keep up, or it is gone
			}
		case <-beat.C:
			if !s.stillAdmitted(ctx) || s.send(": still here\n\n") != nil {
				return nil
			}
		case <-s.a.stopping:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// catchUp sends what the log has up to where the feed begins.
func (s *eventStream) catchUp(ctx context.Context) bool {
	f := s.filter
	f.UpTo, f.Limit = s.sub.from, catchUpPage
	for s.last < f.UpTo && !s.a.isStopping() {
		f.After = s.last
		entries, err := s.a.store.Events(ctx, callOf(s.ctx).principal.org(), f)
		if err != nil {
			return false // the reader comes back with the last id
		}
		for i := range entries {
			if s.sendEvent(&entries[i]) != nil {
				return false
			}
		}
		if len(entries) < f.Limit {
			s.last = f.UpTo
		}
	}
	return true
}

// sendEvent sends an event that was not sent and that the reader asks for.
func (s *eventStream) sendEvent(e *controlplane.AuditEntry) error {
	if e.Seq <= s.last {
		return nil
	}
	s.last = e.Seq
	domain := e.DomainID()
	if s.filter.Type != "" && s.filter.Type != e.Action || s.filter.DomainID != "" && s.filter.DomainID != domain ||
		!callOf(s.ctx).principal.grant.AllowsDomain(domain) {
		return nil
	}
	data, err := json.Marshal(eventBody(e))
	if err != nil {
		return err
	}
	return s.send("id: " + e.ID + "\nevent: " + e.Action + "\ndata: " + string(data) + "\n\n")
}

func (s *eventStream) send(text string) error {
	_ = s.control.SetWriteDeadline(time.Now().Add(writeLimit)) // an error means that there is none
	if _, err := s.w.Write([]byte(text)); err != nil {
		return err
	}
	return s.control.Flush()
}

// stillAdmitted reports whether the token is still there and neither it nor the secret that
// came with the call has ended. A database that is away does not end a stream.
func (s *eventStream) stillAdmitted(ctx context.Context) bool {
	p := callOf(s.ctx).principal
	if p.session != nil {
		now, err := s.a.store.Session(ctx, p.session.Hash, s.a.now())
		return err == nil && now.OrgID == p.orgID || err != nil && !controlplane.IsKind(err, controlplane.KindNotFound)
	}
	t := p.token
	for _, end := range []*time.Time{t.ExpiresAt, t.SecretUntil} {
		if end != nil && !s.a.now().Before(*end) {
			return false
		}
	}
	_, err := s.a.store.Token(ctx, t.OrgID, t.ID)
	return !controlplane.IsKind(err, controlplane.KindNotFound)
}

// acceptsStream reports whether the caller asks for a stream rather than a list.
func acceptsStream(h http.Header) bool {
	return strings.Contains(h.Get("Accept"), "text/event-stream")
}
