package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// catchUpPage is how many events are read at a time for a reader that reconnects.
const catchUpPage = 200

// eventStream is a streamed response (WHATWG HTML §9.2). It first reads the log up to the position
// of the feed at the time of the subscription, and then receives events from the feed.
type eventStream struct {
	a      *API
	ctx    context.Context // of the call
	filter postgres.EventFilter
	sub    *subscription
	last   int64  // seq of the last event that was sent or skipped
	id     string // of the last event that was sent, or the one to resume after
	live   bool   // caught up: last is the current position
	beat   *time.Ticker

	expired bool // the position to resume at: the stream starts at the current one

	out *edge.EventStream
}

// streamEvents subscribes before the response starts, so that an error still becomes a problem
// document.
func (a *API) streamEvents(
	ctx context.Context, f postgres.EventFilter, lastID string,
) (*eventStream, error) {
	org := principalOf(ctx).org()
	s := &eventStream{a: a, ctx: ctx, filter: f, id: lastID}
	var err error
	if lastID != "" {
		if s.last, s.expired, err = a.eventPosition(ctx, lastID); err != nil {
			return nil, err
		}
	}
	if s.sub, err = a.feeds.subscribe(ctx, org); err != nil {
		return nil, err
	}
	if lastID == "" || s.expired {
		s.last, s.live = s.sub.from, true
	}
	return s, nil
}

// VisitListEventsResponse writes events until the reader disconnects or is too slow, its credential
// becomes invalid, or the server stops.
func (s *eventStream) VisitListEventsResponse(w http.ResponseWriter) error {
	defer s.a.feeds.unsubscribe(s.sub)
	c := callOf(s.ctx)
	c.waited = true
	ctx, stop := c.untilGone(s.ctx, edge.StreamLife)
	defer stop()
	s.out = edge.NewEventStream(w)
	w.WriteHeader(http.StatusOK)
	if c.head || s.start() != nil {
		return nil
	}
	s.beat = time.NewTicker(s.a.heartbeat)
	defer s.beat.Stop()
	if !s.catchUp(ctx) {
		return nil
	}
	for {
		select {
		case e, ok := <-s.sub.events:
			if !ok || !s.keepsGoing(ctx) || s.sendEvent(e) != nil {
				return nil // too slow or disconnected
			}
		case <-s.beat.C:
			if !s.heartbeat(ctx) {
				return nil
			}
		case <-s.a.stopping:
			_ = s.out.SendReconnect("id: " + s.position() + "\n")
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// start sends the position at which the stream starts, so that a reader that has received nothing
// else can resume there. Instead of an error, on which EventSource gives up, a reader whose
// position is older than the log gets the event reset.
func (s *eventStream) start() error {
	text := "retry: 2000\n"
	if s.expired {
		data, err := json.Marshal(s.a.document(callOf(s.ctx), asHTTPError(errEventExpired)))
		if err != nil {
			return err
		}
		text += "event: reset\ndata: " + string(data) + "\n"
	}
	return s.out.Send(text + "id: " + s.position() + "\n\n")
}

// position returns the ID with which a reader resumes after everything that was sent or skipped.
func (s *eventStream) position() string {
	if !s.live { // a position between two events would claim to be current
		return s.id
	}
	return s.a.positionID(callOf(s.ctx).principal.org(), s.last)
}

// catchUp sends the events of the log up to the start of the feed.
func (s *eventStream) catchUp(ctx context.Context) bool {
	f := s.filter
	f.UpTo, f.Limit = s.sub.from, catchUpPage
	for s.last < f.UpTo && !s.a.isStopping() {
		f.After = s.last
		entries, err := s.a.store.Events(ctx, callOf(s.ctx).principal.org(), f)
		if err != nil {
			return false // the reader reconnects with the last ID
		}
		for i := range entries {
			if !s.keepsGoing(ctx) || s.sendEvent(&entries[i]) != nil {
				return false
			}
		}
		if len(entries) < f.Limit {
			s.last = f.UpTo
		}
	}
	s.live = true
	return true
}

// sendEvent sends an event if it is new and matches the filter.
func (s *eventStream) sendEvent(e *controlplane.AuditEntry) error {
	if e.Seq <= s.last {
		return nil
	}
	s.last = e.Seq
	domain := e.DomainID()
	if s.filter.Type != "" && s.filter.Type != e.Action || s.filter.DomainID != "" &&
		s.filter.DomainID != domain ||
		!callOf(s.ctx).principal.grant.AllowsDomain(domain) {
		return nil
	}
	data, err := json.Marshal(eventBody(e))
	if err != nil {
		return err
	}
	s.id = e.ID
	return s.out.Send("id: " + e.ID + "\nevent: " + e.Action + "\ndata: " + string(data) + "\n\n")
}

// keepsGoing runs a heartbeat that is due before another event is sent. So the credential is
// checked at every heartbeat, however many events there are and however slowly they are read.
func (s *eventStream) keepsGoing(ctx context.Context) bool {
	select {
	case <-s.beat.C:
		return s.heartbeat(ctx)
	default:
		return true
	}
}

// heartbeat sends a heartbeat with the position, which a reader of few events would otherwise keep
// until it is older than the log. It returns false if the credential is no longer valid or the
// client disconnected.
func (s *eventStream) heartbeat(ctx context.Context) bool {
	return s.a.stillAdmitted(ctx, callOf(s.ctx)) &&
		s.out.Send(": heartbeat\nid: "+s.position()+"\n\n") == nil
}

// acceptsStream reports whether the caller requests a stream instead of a list.
func acceptsStream(h http.Header) bool {
	return strings.Contains(h.Get("Accept"), edge.MediaEvents)
}
