package dashboard

import (
	"net/http"
	"net/url"

	"github.com/gorilla/mux"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

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
func (d *Dashboard) redirectAfterRetry(
	w http.ResponseWriter, v *visit, job *controlplane.Job, started bool,
) {
	if !v.PostForm.Has("list") && job.DomainID != "" {
		d.redirectToDomain(w, v, job.DomainID, "retry", started)
		return
	}
	q, err := url.ParseQuery(v.PostForm.Get("list"))
	l := newJobList(v.org.ID, q)
	if err != nil || l.check() != nil {
		l = jobList{Org: v.org.ID}
	}
	d.setWorkFlash(w, "retry", started)
	http.Redirect(w, v.Request, l.url(""), http.StatusSeeOther)
}
