package dashboard

import (
	"fmt"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// jobView is a job in a list.
type jobView struct {
	ID       string
	Title    string
	Pill     pill
	Attempts string
	Next     step // next attempt, or when the job finished
	Reason   string
	Error    string
	Code     string
	ACME     *acmeProblem
	RetryURL string // empty if the user cannot retry it
}

func (v *visit) jobView(j *controlplane.Job) jobView {
	view := jobView{ID: j.ID, Title: jobTitle(j.Type), Pill: jobPill(j), Attempts: "–"}
	if j.Attempts > 0 {
		view.Attempts = fmt.Sprintf("%d of %d attempts failed", j.Attempts, j.Type.MaxAttempts())
	}
	if j.Status != controlplane.JobSucceeded {
		view.Reason, view.Error, view.Code, view.ACME = reason(j.Reason), j.LastError,
			j.LastErrorCode, newACMEProblem(j.ID, j.LastErrorACME)
	}
	switch {
	case j.Status == controlplane.JobQueued && j.RunAt.After(v.now):
		view.Next = step{Text: "Next attempt", At: v.at(j.RunAt)}
	case j.Status == controlplane.JobQueued:
		view.Next = step{Text: "Next attempt due now"}
	case j.Status == controlplane.JobRunning:
		view.Next = step{Text: "Started", At: v.at(j.UpdatedAt)}
	default:
		view.Next = step{Text: "Finished", At: v.at(j.UpdatedAt)}
	}
	if j.Status == controlplane.JobFailed && v.may(controlplane.ScopeJobsWrite) {
		view.RetryURL = "/jobs/" + j.ID + "/retry"
	}
	return view
}
