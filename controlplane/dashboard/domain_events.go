package dashboard

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

const (
	// heartbeat keeps proxies from taking a quiet stream for a dead one.
	heartbeat = 15 * time.Second
	// streamLife ends a stream, so that its reader comes back and is let in anew.
	streamLife = 30 * time.Minute
	// writeLimit is how long a reader may take to accept an event.
	writeLimit = 10 * time.Second
)

// domainEvents streams what the state of a domain's page is (liveState): at once, and
// whenever it moves. A reader that was cut off and comes back is told the present state
// first, so it misses nothing. When the domain is deleted, the last event is "gone".
func (d *Dashboard) domainEvents(w http.ResponseWriter, v *visit) error {
	domain, err := d.domain(v)
	if err != nil {
		return err
	}
	done, err := d.config.Streams.Open(edge.Holder{OrgID: v.org.ID, Tier: v.org.Tier, Credential: v.session.ID}, v.now)
	if err != nil {
		return err
	}
	defer done()
	out := &stream{w: w, control: http.NewResponseController(w)}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	// A server's limit on reading the request would be taken for the reader's going away.
	_ = out.control.SetReadDeadline(time.Time{})
	moved, stop := d.store.Watch(domain.ID)
	defer stop()
	end := time.NewTimer(min(streamLife, v.session.ExpiresAt.Sub(v.now)))
	defer end.Stop()
	beat := time.NewTicker(d.heartbeat)
	defer beat.Stop()
	jobs := &jobWatcher{store: d.store}
	defer jobs.watch(nil)
	last := ""
	for {
		state, open, err := d.stateOf(v, domain.ID)
		switch {
		case controlplane.IsKind(err, controlplane.KindNotFound):
			return out.send("event: gone\ndata: \n\n")
		case err != nil:
			return errorIfUnsent(err, last)
		case state != last:
			if out.send(fmt.Sprintf("event: state\ndata: %s\n\n", state)) != nil {
				return nil
			}
			last = state
		}
		if jobs.watch(open) {
			continue // one may have moved before it was followed
		}
		select {
		case <-moved:
		case <-jobs.moved[0]:
		case <-jobs.moved[1]:
		case <-jobs.moved[2]:
		case <-beat.C:
			// What no one tells of, such as a sweep's new job, is found by looking again.
			if !d.stillSignedIn(v) || out.send(": still here\n\n") != nil {
				return nil
			}
		case <-end.C:
			return nil
		case <-d.stopping:
			return nil
		case <-v.Context().Done():
			return nil
		}
	}
}

// errorIfUnsent leaves the answer to an error to showError while nothing has been written. Later
// there is no way to say anything but to end the stream.
func errorIfUnsent(err error, sent string) error {
	if sent == "" {
		return err
	}
	return nil
}

// stateOf returns the present state of a domain's page, and its jobs that are open.
func (d *Dashboard) stateOf(v *visit, id string) (string, []string, error) {
	domain, err := d.store.Domain(v.Context(), v.org.ID, id)
	if err != nil {
		return "", nil, err
	}
	jobs, _, err := d.store.ListJobs(v.Context(), v.org.ID, postgres.JobFilter{DomainID: id, Limit: jobsShown})
	if err != nil {
		return "", nil, err
	}
	var open []string
	for i := range jobs {
		if !jobs[i].Status.Over() {
			open = append(open, jobs[i].ID)
		}
	}
	return liveState(domain, jobs), open, nil
}

// jobWatcher are the open jobs of a domain that are watched: at most one per slot, so three. A
// channel that is nil never gets a value.
type jobWatcher struct {
	store *postgres.Store
	ids   []string
	moved [3]<-chan struct{}
	stop  []func()
}

// watch watches these jobs and no others. It returns true where they are not those that
// were watched already.
func (f *jobWatcher) watch(ids []string) bool {
	ids = ids[:min(len(ids), len(f.moved))]
	if slices.Equal(ids, f.ids) {
		return false
	}
	for _, stop := range f.stop {
		stop()
	}
	f.ids, f.stop, f.moved = ids, nil, [3]<-chan struct{}{}
	for i, id := range ids {
		moved, stop := f.store.Watch(id)
		f.moved[i], f.stop = moved, append(f.stop, stop)
	}
	return true
}

// stream writes events (WHATWG HTML §9.2).
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func (s *stream) send(text string) error {
	// A server's limit on the whole answer is not meant for streams.
	_ = s.control.SetWriteDeadline(time.Now().Add(writeLimit))
	if _, err := s.w.Write([]byte(text)); err != nil {
		return err
	}
	return s.control.Flush()
}
