package edge

import (
	"fmt"
	"sync"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// retryIn is when a caller that has too many streams should try again. When one of them closes is not known.
const retryIn = 10 * time.Second

// Streams counts the responses that this process holds open: event streams and calls with `wait`. It bounds what one
// organization and one credential take of the process. Each process counts its own, since each holds its own
// connections. A nil *Streams counts nothing and limits nothing.
type Streams struct {
	mu   sync.Mutex
	open map[string]int // by id of the organization, token, or session
}

// NewStreams returns a counter with nothing open.
func NewStreams() *Streams { return &Streams{open: make(map[string]int)} }

// Holder is who opens a stream.
type Holder struct {
	OrgID      string
	Tier       controlplane.Tier
	Credential string // id of the token or session
}

// Open counts one stream and returns the function that closes it; calling that again has no effect. It returns
// KindRateLimited "too-many-streams" if the credential or the organization has as many open as its plan includes.
func (s *Streams) Open(h Holder, now time.Time) (done func(), err error) {
	if s == nil {
		return func() {}, nil
	}
	limit := h.Tier.StreamLimit()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.open[h.Credential] >= limit.Credential:
		return nil, tooMany("This token or session", limit.Credential, now)
	case s.open[h.OrgID] >= limit.Organization:
		return nil, tooMany("The organization", limit.Organization, now)
	}
	s.open[h.Credential]++
	s.open[h.OrgID]++
	return sync.OnceFunc(func() { s.close(h) }), nil
}

func (s *Streams) close(h Holder) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range []string{h.Credential, h.OrgID} {
		if s.open[id]--; s.open[id] == 0 {
			delete(s.open, id)
		}
	}
}

func tooMany(holder string, limit int, now time.Time) error {
	return &controlplane.Error{Kind: controlplane.KindRateLimited, Code: "too-many-streams", RetryAt: now.Add(retryIn),
		Message: fmt.Sprintf("%s has %d event streams and waiting calls open, the maximum that the plan includes.", holder, limit),
		Fix:     "Close streams that are not needed, or retry after the time in Retry-After."}
}
