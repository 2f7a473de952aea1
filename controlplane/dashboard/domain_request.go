package dashboard

import (
	"context"
	"net/http"
	"net/url"

	"github.com/gorilla/mux"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// workRequest is a method of lifecycle.Service that requests a job for a domain.
type workRequest func(ctx context.Context, actor controlplane.Actor, orgID, ref string) (*controlplane.Job, bool, error)

func (d *Dashboard) requestCheck(w http.ResponseWriter, v *visit) error {
	return d.requestWork(w, v, "check", d.lifecycle.RequestCheck)
}

func (d *Dashboard) requestIssue(w http.ResponseWriter, v *visit) error {
	return d.requestWork(w, v, "issue", d.lifecycle.RequestIssue)
}

func (d *Dashboard) requestRenew(w http.ResponseWriter, v *visit) error {
	return d.requestWork(w, v, "renew", d.lifecycle.RequestRenew)
}

// requestWork requests a job for the domain in the URL and redirects to the domain's page, which
// states whether the job was started or was already in progress.
func (d *Dashboard) requestWork(w http.ResponseWriter, v *visit, flash string, start workRequest) error {
	domain, err := d.domain(v)
	if err != nil {
		return err
	}
	_, started, err := start(v.Context(), d.actor(v), v.org.ID, domain.ID)
	if err != nil {
		return err
	}
	d.redirectToDomain(w, v, domain.ID, flash, started)
	return nil
}

// retryJob restarts a failed job.
func (d *Dashboard) retryJob(w http.ResponseWriter, v *visit) error {
	id := mux.Vars(v.Request)["job"]
	if !controlplane.IsID(controlplane.PrefixJob, id) {
		return controlplane.NotFound("job", id)
	}
	if err := v.ParseForm(); err != nil {
		return badForm(err)
	}
	job, started, err := d.lifecycle.RestartJob(v.Context(), d.actor(v), v.org.ID, id)
	if err != nil {
		return err
	}
	d.redirectAfterRetry(w, v, job, started)
	return nil
}

// redirectAfterRetry redirects to the page that the retry came from: the filtered list of jobs in
// the form, or the domain's page.
func (d *Dashboard) redirectAfterRetry(w http.ResponseWriter, v *visit, job *controlplane.Job, started bool) {
	if !v.PostForm.Has("list") && job.DomainID != "" {
		d.redirectToDomain(w, v, job.DomainID, "retry", started)
		return
	}
	q, err := url.ParseQuery(v.PostForm.Get("list"))
	l := jobListOf(v.org.ID, q)
	if err != nil || l.check() != nil {
		l = jobList{Org: v.org.ID}
	}
	d.setWorkFlash(w, "retry", started)
	http.Redirect(w, v.Request, l.url(""), http.StatusSeeOther)
}

func (d *Dashboard) redirectToDomain(w http.ResponseWriter, v *visit, domainID, flash string, started bool) {
	d.setWorkFlash(w, flash, started)
	http.Redirect(w, v.Request, "/domains/"+domainID, http.StatusSeeOther)
}

// setWorkFlash sets the flash for a started job, or for one that was already in progress.
func (d *Dashboard) setWorkFlash(w http.ResponseWriter, flash string, started bool) {
	if !started {
		flash += "-running"
	}
	d.setFlash(w, flash)
}
