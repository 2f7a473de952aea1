package dnsserver

// reply is what there is to do about one message.
type reply struct {
	wire  []byte // to send; empty for nothing
	qtype uint16 // for the metrics, as is
	rcode int    // what follows
	tc    bool
	wait  *call // not nil: ask again with slow when this look-up is done
}

// answer handles one message, into out's memory. now is in nanoseconds since 1970.
func (s *Server) answer(out, pkt []byte, tcp bool, now int64) reply {
	if q, ok := parse(pkt, false); ok {
		if r, ok := s.fast(out, pkt, q, tcp, now); ok {
			return r
		}
	}
	return s.slow(out, pkt, tcp, now, nil)
}

// state is what is known of a target.
type state int

const (
	absent  state = iota
	exists        // with the records beside it; those that have expired do not count
	unknown       // and it cannot be found out now
	pending       // until the look-up beside it is done
)

// recall says what is known of a target: from memory, where it holds live challenges or is
// in sync and holds the target at all; else from a look-up. done is that look-up when it has
// been waited for, else nil. What it returns may be in buf.
func (s *Server) recall(k key, now int64, done *call, buf *shortRecords) (state, records, *call) {
	known, recs := s.memory.find(k, buf)
	synced := s.memory.synced.Load()
	if known && (synced || recs.anyLive(now)) {
		return exists, recs, nil
	}
	c := done
	if c == nil {
		if c = s.through.begin(s.ctx, k, now); c == nil {
			if synced { // the feed would have told, but for the moment that a change is under way
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
