package edge

import (
	"fmt"
	"sync"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// retryIn is the retry delay of a caller that has too many streams. It is a guess: the end of a
// stream is unknown.
const retryIn = 10 * time.Second

// Streams counts the responses that this process holds open: event streams and calls with `wait`.
// It limits the share of one organization and one credential. Each process counts its own
// connections. A nil *Streams has no limits.
type Streams struct {
	mu   sync.Mutex
	open map[string]int // by ID of the organization, token, or session
}

// NewStreams returns a counter without open streams.
func NewStreams() *Streams { return &Streams{open: make(map[string]int)} }

// Holder is the caller that opens a stream.
type Holder struct {
	OrgID      string
	Tier       controlplane.Tier
	Credential string // ID of the token or session
}

// Open counts one stream and returns the function that closes it, which is idempotent. It returns
// KindRateLimited "too-many-streams" if the credential or the organization has reached the limit of
// its plan.
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
	return &controlplane.Error{Kind: controlplane.KindRateLimited,
		Code: "too-many-streams", RetryAt: now.Add(retryIn),
		Message: fmt.Sprintf(
			"%s has %d open event streams and waiting calls, the maximum of the plan.", holder,
			limit),
		Fix: "Close unused streams, or retry after the time in Retry-After."}
}
