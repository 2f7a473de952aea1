package dashboard

import (
	"cmp"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// errorView is what templates/error.html shows.
type errorView struct {
	Status    int
	Message   string
	Fix       string
	Code      string
	RequestID string
	Back      string // where to go from here
	BackLabel string
}

// statuses is the only error → HTTP mapping of the dashboard.
var statuses = map[controlplane.Kind]struct {
	status int
	title  string
}{
	controlplane.KindMalformed:    {http.StatusBadRequest, "That request cannot be read"},
	controlplane.KindUnauthorized: {http.StatusUnauthorized, "Sign in first"},
	controlplane.KindForbidden:    {http.StatusForbidden, "That is not allowed"},
	controlplane.KindNotFound:     {http.StatusNotFound, "There is nothing here"},
	controlplane.KindConflict:     {http.StatusConflict, "That cannot be done now"},
	controlplane.KindPrecondition: {http.StatusPreconditionFailed, "It has changed meanwhile"},
	controlplane.KindInvalid:      {http.StatusUnprocessableEntity, "That does not work"},
	controlplane.KindRateLimited:  {http.StatusTooManyRequests, "Too soon"},
	controlplane.KindUnavailable:  {http.StatusServiceUnavailable, "Back in a moment"},
	controlplane.KindInternal:     {http.StatusInternalServerError, "Something went wrong on our side"},
}

// statusOf returns an error's status, and the heading of its page.
func statusOf(e *controlplane.Error) (int, string) {
	if e.Code == "method-not-allowed" {
		return http.StatusMethodNotAllowed, "That cannot be done here"
	}
	if e.Code == "wrong-host" {
		return http.StatusMisdirectedRequest, "Not at this address"
	}
	s, ok := statuses[e.Kind]
	if !ok {
		s = statuses[controlplane.KindInternal]
	}
	return s.status, s.title
}

// statusClientClosedRequest is the status of a request whose visitor did not wait for the answer.
const statusClientClosedRequest = 499

// showError answers with the page for an error. Causes are logged and never shown.
func (d *Dashboard) showError(w http.ResponseWriter, v *visit, err error) {
	if v.Context().Err() != nil { // the visitor is gone, or the connection failed
		d.log.DebugContext(v.Context(), "dashboard: visitor did not wait", "request_id", v.id, "path", loggedPath(v.Request), "status", statusClientClosedRequest)
		w.WriteHeader(statusClientClosedRequest)
		return
	}
	e := controlplane.AsError(err)
	status, title := statusOf(e)
	if status >= http.StatusInternalServerError {
		d.log.ErrorContext(v.Context(), "dashboard: a page failed", "request_id", v.id, "path", loggedPath(v.Request), "error", err)
	}
	switch {
	case status == http.StatusTooManyRequests && !e.RetryAt.IsZero():
		w.Header().Set("Retry-After", strconv.Itoa(max(int((e.RetryAt.Sub(d.now())+time.Second-1)/time.Second), 1)))
	case status == http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "5")
	}
	if !e.RetryAt.IsZero() {
		w.Header().Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(e.RetryAt.Sub(v.now).Seconds())))))
	}
	view := errorView{Status: status, Message: e.Message, Fix: fixFor(e), Code: e.Code, Back: "/domains", BackLabel: "Go to your domains"}
	if v.session == nil {
		view.Back, view.BackLabel = "/login", "Go to the sign-in"
	}
	if status == http.StatusTooManyRequests && v.Method == http.MethodGet && v.URL.Path != CallbackPath {
		view.Back, view.BackLabel = v.URL.RequestURI(), "Try again"
	}
	if status >= http.StatusInternalServerError {
		view.RequestID = v.id
	}
	if (e.Kind == controlplane.KindConflict || e.Kind == controlplane.KindRateLimited) && controlplane.IsID(controlplane.PrefixDomain, e.ExistingID) {
		view.Back, view.BackLabel = "/domains/"+e.ExistingID, "Back to the domain"
	}
	if e.Kind == controlplane.KindConflict && controlplane.IsID(controlplane.PrefixCertificate, e.ExistingID) {
		view.Back, view.BackLabel = certificateURL(e.ExistingID), "Back to the certificate"
	}
	if err := d.render(w, v, status, "error", layout{Title: title, Page: view}); err != nil {
		d.log.ErrorContext(v.Context(), "dashboard: the page for an error failed", "request_id", v.id, "error", err)
		http.Error(w, http.StatusText(status), status)
	}
}

// fixFor returns what a person at the dashboard can do about an error.
func fixFor(e *controlplane.Error) string {
	return cmp.Or(entryOf(e.Code).DashboardFix, e.Fix)
}

func pageNotFound(http.ResponseWriter, *visit) error {
	return &controlplane.Error{Kind: controlplane.KindNotFound, Code: "no-page", Message: "There is no page at this address.", Fix: "Check the address."}
}

func methodNotAllowed(http.ResponseWriter, *visit) error {
	return &controlplane.Error{Kind: controlplane.KindMalformed, Code: "method-not-allowed", Message: "This address does not take that kind of request.", Fix: "Use the pages’ own buttons."}
}

func crossOriginDenied(http.ResponseWriter, *visit) error {
	return &controlplane.Error{Kind: controlplane.KindForbidden, Code: "cross-origin",
		Message: "The form was sent from another site, so nothing was done.", Fix: "Open the dashboard itself and press the button there."}
}

func signInNotConfigured() error {
	return &controlplane.Error{Kind: controlplane.KindForbidden, Code: "sign-in-not-configured",
		Message: "No way to sign in is configured.", Fix: "The operator of this installation sets one up."}
}

func hostNotAllowed() error {
	return &controlplane.Error{Kind: controlplane.KindMalformed, Code: "wrong-host",
		Message: "The development sign-in works only at an address of this machine.", Fix: "Open the dashboard at localhost, or at its public URL."}
}

func badForm(err error) error {
	return &controlplane.Error{Kind: controlplane.KindMalformed, Code: "form-unreadable",
		Message: "The form could not be read.", Fix: "Go back, reload the page and try again.", Err: err}
}
