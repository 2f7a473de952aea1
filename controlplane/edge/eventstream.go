package edge

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"
)

// MediaEvents is the media type of an event stream.
const MediaEvents = "text/event-stream"

const (
	// Heartbeat is the interval at which a quiet stream sends a comment, so that proxies do not
	// close it as idle, and at which the caller's credential is checked again.
	Heartbeat = 15 * time.Second
	// StreamLife is the maximum duration of a stream. Its reader then reconnects, which spreads the
	// load over all processes.
	StreamLife = 30 * time.Minute
	// WriteTimeout is the time in which a reader must accept each write of a response that is
	// written in parts.
	WriteTimeout = 10 * time.Second
)

// EventStream writes server-sent events (WHATWG HTML §9.2).
type EventStream struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

// NewEventStream sets the headers of an event stream and lifts the connection's read deadline,
// which would otherwise be taken for the reader's disconnect. It writes nothing.
func NewEventStream(w http.ResponseWriter) *EventStream {
	w.Header().Set("Content-Type", MediaEvents)
	w.Header().Set("X-Accel-Buffering", "no") // nginx buffers responses otherwise
	s := &EventStream{w: w, control: http.NewResponseController(w)}
	_ = s.control.SetReadDeadline(time.Time{}) // unsupported: no deadline
	return s
}

// Send writes text, which is one or more complete events, and flushes it.
func (s *EventStream) Send(text string) error {
	_ = s.control.SetWriteDeadline(time.Now().Add(WriteTimeout)) // unsupported: no deadline
	if _, err := s.w.Write([]byte(text)); err != nil {
		return err
	}
	return s.control.Flush()
}

// SendHeartbeat writes a comment, which readers ignore.
func (s *EventStream) SendHeartbeat() error { return s.Send(": heartbeat\n\n") }

// SendReconnect ends a stream because the server stops. It makes the reader reconnect after 1 to 3
// seconds, so that all readers do not reconnect at the same time. Fields are further lines, such as
// the ID at which the reader resumes.
func (s *EventStream) SendReconnect(fields string) error {
	return s.Send(fmt.Sprintf(": the server is stopping; reconnect\nretry: %d\n%s\n",
		1000+rand.IntN(2000), fields)) //nolint:gosec // spreads load
}
