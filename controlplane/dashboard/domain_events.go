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

// domainEvents streams the liveState of a domain's page: immediately and after each change. A
// client that reconnects first gets the current state, so it misses nothing. If the domain is
// deleted, the last event is "gone".
func (d *Dashboard) domainEvents(w http.ResponseWriter, v *visit) error {
	domain, err := d.domain(v)
	if err != nil {
		return err
	}
	done, err := d.config.Streams.Open(edge.Holder{OrgID: v.org.ID, Tier: v.org.Tier,
		Credential: v.session.ID}, v.now)
	if err != nil {
		return err
	}
	defer done()
	out := edge.NewEventStream(w)
	moved, stop := d.store.Watch(domain.ID)
	defer stop()
	end := time.NewTimer(min(edge.StreamLife, v.session.ExpiresAt.Sub(v.now)))
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
			return out.Send("event: gone\ndata: \n\n")
		case err != nil:
			return errorIfUnsent(err, last)
		case state != last:
			if out.Send(fmt.Sprintf("event: state\ndata: %s\n\n", state)) != nil {
				return nil
			}
			last = state
		}
		if jobs.watch(open) {
			continue // a job may have changed before it was watched
		}
		select {
		case <-moved:
		case <-jobs.moved[0]:
		case <-jobs.moved[1]:
		case <-jobs.moved[2]:
		case <-beat.C:
			// Some changes notify nobody, such as a new job of the sweep: check again.
			if !d.stillSignedIn(v) || out.SendHeartbeat() != nil {
				return nil
			}
		case <-end.C:
			return nil
		case <-d.stopping:
			_ = out.SendReconnect("")
			return nil
		case <-v.Context().Done():
			return nil
		}
	}
}

// errorIfUnsent returns err if nothing was sent yet, so that showError responds. Later, the stream
// can only be closed.
func errorIfUnsent(err error, sent string) error {
	if sent == "" {
		return err
	}
	return nil
}

// stateOf returns the current liveState of a domain's page and the IDs of its open jobs.
func (d *Dashboard) stateOf(v *visit, id string) (string, []string, error) {
	domain, err := d.store.Domain(v.Context(), v.org.ID, id)
	if err != nil {
		return "", nil, err
	}
	jobs, _, err := d.store.ListJobs(v.Context(), v.org.ID,
		postgres.JobFilter{DomainID: id, Limit: jobsShown})
	if err != nil {
		return "", nil, err
	}
	var open []string
	for i := range jobs {
		if !jobs[i].Status.Over() {
			open = append(open, jobs[i].ID)
		}
	}
	return liveState(domain, jobs, d.now()), open, nil
}

// jobWatcher watches the open jobs of a domain: at most one per slot, so three. A nil channel
// never receives.
type jobWatcher struct {
	store *postgres.Store
	ids   []string
	moved [3]<-chan struct{}
	stop  []func()
}

// watch watches only the jobs with these IDs. It reports whether they differ from the jobs that
// were watched before.
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
