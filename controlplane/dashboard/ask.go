package dashboard

import (
	"context"
	"net/http"

	"github.com/gorilla/mux"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// request is one of lifecycle's verbs that ask for work on a domain.
type request func(ctx context.Context, actor controlplane.Actor, orgID, ref string) (*controlplane.Job, bool, error)

func (d *Dashboard) requestCheck(w http.ResponseWriter, v *visit) error {
	return d.ask(w, v, "check", d.lifecycle.RequestCheck)
}

func (d *Dashboard) requestIssue(w http.ResponseWriter, v *visit) error {
	return d.ask(w, v, "issue", d.lifecycle.RequestIssue)
}

func (d *Dashboard) requestRenew(w http.ResponseWriter, v *visit) error {
	return d.ask(w, v, "renew", d.lifecycle.RequestRenew)
}

// ask asks for work on the domain of the address, and goes back to its page, which says
// whether this started it.
func (d *Dashboard) ask(w http.ResponseWriter, v *visit, flash string, verb request) error {
	domain, err := d.domain(v)
	if err != nil {
		return err
	}
	_, started, err := verb(v.Context(), d.actor(v), v.org.ID, domain.ID)
	if err != nil {
		return err
	}
	d.done(w, v, domain.ID, flash, started)
	return nil
}

// retryJob starts a failed job afresh.
func (d *Dashboard) retryJob(w http.ResponseWriter, v *visit) error {
	id := mux.Vars(v.Request)["job"]
	if !controlplane.IsID(controlplane.PrefixJob, id) {
		return controlplane.NotFound("job", id)
	}
	job, started, err := d.lifecycle.RetryJob(v.Context(), d.actor(v), v.org.ID, id)
	if err != nil {
		return err
	}
	d.done(w, v, job.DomainID, "retry", started)
	return nil
}

func (d *Dashboard) done(w http.ResponseWriter, v *visit, domainID, flash string, started bool) {
	if !started {
		flash += "-running"
	}
	d.setFlash(w, flash)
	http.Redirect(w, v.Request, "/domains/"+domainID, http.StatusSeeOther)
}
