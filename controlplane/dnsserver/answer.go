package dnsserver

// reply is the result for one message.
type reply struct {
	wire  []byte // to send; empty to send nothing
	qtype uint16 // for the metrics
	rcode int
	tc    bool
	wait  *call // if not nil: call slow again when this lookup is done
}

// answer returns the reply to one message, in out's memory. now is in nanoseconds since 1970.
func (s *Server) answer(out, pkt []byte, tcp bool, now int64) reply {
	if q, ok := parse(pkt, false); ok {
		if r, ok := s.fast(out, pkt, q, tcp, now); ok {
			return r
		}
	}
	return s.slow(out, pkt, tcp, now, nil)
}

// state is the state of a target.
type state int

const (
	absent  state = iota
	exists        // with the returned records, except expired ones
	unknown       // and a lookup is not possible now
	pending       // until the returned lookup is done
)

// recall returns the state of a target. It uses memory if memory has live challenges, or has the
// target and is current. Otherwise it uses a lookup. done is that lookup after it has finished, or
// nil. The returned records may be in buf. Without its lease, the server knows nothing.
func (s *Server) recall(k key, now int64, done *call, buf *shortRecords) (state, records, *call) {
	if !s.lease.held(now) {
		return unknown, nil, nil
	}
	known, recs := s.memory.find(k, buf)
	synced := s.current(now)
	if known && (synced || s.lease.isCurrent(now) && recs.anyLive(now)) {
		return exists, recs, nil
	}
	c := done
	if c == nil {
		if c = s.through.start(s.ctx, k, now); c == nil {
			if synced { // the feed has sent every target, except for changes in transit
				return absent, nil, nil
			}
			return unknown, nil, nil
		}
		select {
		case <-c.done:
		default:
			return pending, nil, c
		}
	}
	switch {
	case c.err != nil:
		return unknown, nil, nil
	case c.exists:
		return exists, c.recs, nil
	}
	return absent, nil, nil
}
