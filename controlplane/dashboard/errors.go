package dashboard

import (
	"cmp"
	"math"
	"net/http"
	"strconv"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// errorView is the data for templates/error.html.
type errorView struct {
	Status    int
	Message   string
	Fix       string
	Code      string
	RequestID string
	Back      string // URL to continue at
	BackLabel string
}

// statuses is the dashboard's only mapping of errors to HTTP.
var statuses = map[controlplane.Kind]struct {
	status int
	title  string
}{
	controlplane.KindMalformed:    {http.StatusBadRequest, "Invalid request"},
	controlplane.KindUnauthorized: {http.StatusUnauthorized, "Sign-in required"},
	controlplane.KindForbidden:    {http.StatusForbidden, "Not allowed"},
	controlplane.KindNotFound:     {http.StatusNotFound, "Not found"},
	controlplane.KindConflict:     {http.StatusConflict, "Not possible now"},
	controlplane.KindPrecondition: {http.StatusPreconditionFailed, "Changed in the meantime"},
	controlplane.KindInvalid:      {http.StatusUnprocessableEntity, "Invalid input"},
	controlplane.KindRateLimited:  {http.StatusTooManyRequests, "Too many requests"},
	controlplane.KindUnavailable:  {http.StatusServiceUnavailable, "Temporarily unavailable"},
	controlplane.KindInternal:     {http.StatusInternalServerError, "Internal error"},
}

// statusOf returns an error's HTTP status and the title of its page.
func statusOf(e *controlplane.Error) (int, string) {
	if e.Code == "method-not-allowed" {
		return http.StatusMethodNotAllowed, "Method not allowed"
	}
	if e.Code == "wrong-host" {
		return http.StatusMisdirectedRequest, "Wrong host"
	}
	s, ok := statuses[e.Kind]
	if !ok {
		s = statuses[controlplane.KindInternal]
	}
	return s.status, s.title
}

// statusClientClosedRequest is the status of a request that the client canceled (as in nginx).
const statusClientClosedRequest = 499

// showError responds with the page for an error. Internal causes are logged and never shown.
func (d *Dashboard) showError(w http.ResponseWriter, v *visit, err error) {
	if v.Context().Err() != nil { // the client disconnected
		d.log.DebugContext(v.Context(), "dashboard: client canceled the request", "request_id", v.id, "path", loggedPath(v.Request), "status", statusClientClosedRequest)
		w.WriteHeader(statusClientClosedRequest)
		return
	}
	e := controlplane.AsError(err)
	status, title := statusOf(e)
	if status >= http.StatusInternalServerError {
		d.log.ErrorContext(v.Context(), "dashboard: page failed", "request_id", v.id, "path", loggedPath(v.Request), "error", err)
	}
	switch {
	case !e.RetryAt.IsZero():
		w.Header().Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(e.RetryAt.Sub(v.now).Seconds())))))
	case status == http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "5")
	}
	view := errorView{Status: status, Message: e.Message, Fix: fixFor(e), Code: e.Code, Back: "/domains", BackLabel: "Go to your domains"}
	if v.session == nil {
		view.Back, view.BackLabel = "/login", "Go to sign-in"
	}
	if status == http.StatusTooManyRequests && v.Method == http.MethodGet && v.URL.Path != CallbackPath {
		view.Back, view.BackLabel = v.URL.RequestURI(), "Retry"
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
		d.log.ErrorContext(v.Context(), "dashboard: error page failed", "request_id", v.id, "error", err)
		http.Error(w, http.StatusText(status), status)
	}
}

// fixFor returns the fix of an error, in terms of the dashboard.
func fixFor(e *controlplane.Error) string {
	return cmp.Or(entryOf(e.Code).DashboardFix, e.Fix)
}

func pageNotFound(http.ResponseWriter, *visit) error {
	return &controlplane.Error{Kind: controlplane.KindNotFound, Code: "no-page", Message: "Page not found.", Fix: "Check the URL."}
}

func methodNotAllowed(http.ResponseWriter, *visit) error {
	return &controlplane.Error{Kind: controlplane.KindMalformed, Code: "method-not-allowed", Message: "This URL does not support the request method.", Fix: "Use the buttons of the dashboard."}
}

func crossOriginDenied(http.ResponseWriter, *visit) error {
	return &controlplane.Error{Kind: controlplane.KindForbidden, Code: "cross-origin",
		Message: "The form was sent from another site and was rejected.", Fix: "Open the dashboard and use its form."}
}

func signInNotConfigured() error {
	return &controlplane.Error{Kind: controlplane.KindForbidden, Code: "sign-in-not-configured",
		Message: "Sign-in is not configured.", Fix: "Contact the operator of this installation."}
}

func hostNotAllowed() error {
	return &controlplane.Error{Kind: controlplane.KindMalformed, Code: "wrong-host",
		Message: "The development sign-in works only on localhost and at the public URL.", Fix: "Open the dashboard at localhost or at its public URL."}
}
