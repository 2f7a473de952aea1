package dashboard

import (
	"context"
	"net/http"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// workRequest is a method of lifecycle.Service that requests a job for a domain.
type workRequest func(ctx context.Context, actor controlplane.Actor, orgID,
	ref string) (*controlplane.Job, bool, error)

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
func (d *Dashboard) requestWork(
	w http.ResponseWriter, v *visit, flash string, start workRequest,
) error {
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

func (d *Dashboard) redirectToDomain(
	w http.ResponseWriter, v *visit, domainID, flash string, started bool,
) {
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
