package dashboard

import (
	"cmp"
	"net/http"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
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

// titles are the headings of the error pages, by kind.
var titles = map[controlplane.Kind]string{
	controlplane.KindMalformed:    "Invalid request",
	controlplane.KindUnauthorized: "Sign-in required",
	controlplane.KindForbidden:    "Not allowed",
	controlplane.KindNotFound:     "Not found",
	controlplane.KindConflict:     "Not possible now",
	controlplane.KindPrecondition: "Changed in the meantime",
	controlplane.KindInvalid:      "Invalid input",
	controlplane.KindRateLimited:  "Too many requests",
	controlplane.KindUnavailable:  "Temporarily unavailable",
	controlplane.KindInternal:     "Internal error",
}

// statusOf returns an error's HTTP status and the title of its page.
func statusOf(e *controlplane.Error) (int, string) {
	if e.Code == "method-not-allowed" {
		return http.StatusMethodNotAllowed, "Method not allowed"
	}
	if e.Code == "wrong-host" {
		return http.StatusMisdirectedRequest, "Wrong host"
	}
	return edge.Status(e.Kind), cmp.Or(titles[e.Kind], titles[controlplane.KindInternal])
}

// showError responds with the page for an error. Internal causes are logged and never shown.
func (d *Dashboard) showError(w http.ResponseWriter, v *visit, err error) {
	if v.Context().Err() != nil { // the client disconnected
		d.log.DebugContext(v.Context(), "dashboard: client canceled the request",
			"request_id", v.id, "path", loggedPath(v.Request),
			"status", edge.StatusClientClosedRequest)
		w.WriteHeader(edge.StatusClientClosedRequest)
		return
	}
	e := controlplane.AsError(err)
	status, title := statusOf(e)
	if status >= http.StatusInternalServerError {
		d.log.ErrorContext(v.Context(), "dashboard: page failed", "request_id", v.id,
			"path", loggedPath(v.Request), "error", err)
	}
	edge.SetRetryAfter(w.Header(), status, e.RetryAt, d.now())
	view := errorView{Status: status, Message: e.Message, Fix: fixFor(e), Code: e.Code,
		Back: "/domains", BackLabel: "Go to your domains"}
	if v.session == nil {
		view.Back, view.BackLabel = "/login", "Go to sign-in"
	}
	if (status == http.StatusTooManyRequests || e.Code == "diagnosis-timeout") && v.Method == http.MethodGet &&
		v.URL.Path != CallbackPath {
		view.Back, view.BackLabel = v.URL.RequestURI(), "Retry"
	}
	if status >= http.StatusInternalServerError {
		view.RequestID = v.id
	}
	if (e.Kind == controlplane.KindConflict || e.Kind == controlplane.KindRateLimited) &&
		controlplane.IsID(controlplane.PrefixDomain, e.ExistingID) {
		view.Back, view.BackLabel = "/domains/"+e.ExistingID, "Back to the domain"
	}
	if e.Kind == controlplane.KindConflict &&
		controlplane.IsID(controlplane.PrefixCertificate, e.ExistingID) {
		view.Back, view.BackLabel = certificateURL(e.ExistingID), "Back to the certificate"
	}
	if err := d.render(w, v, status, "error", layout{Title: title, Page: view}); err != nil {
		d.log.ErrorContext(v.Context(), "dashboard: error page failed", "request_id", v.id,
			"error", err)
		http.Error(w, http.StatusText(status), status)
	}
}

// fixFor returns the fix of an error, in terms of the dashboard.
func fixFor(e *controlplane.Error) string {
	return cmp.Or(entryOf(e.Code).DashboardFix, e.Fix)
}

func pageNotFound(http.ResponseWriter, *visit) error {
	return &controlplane.Error{Kind: controlplane.KindNotFound,
		Code: "no-page", Message: "Page not found.", Fix: "Check the URL."}
}

func methodNotAllowed(http.ResponseWriter, *visit) error {
	return &controlplane.Error{Kind: controlplane.KindMalformed,
		Code: "method-not-allowed", Message: "This URL does not support the request method.",
		Fix: "Use the buttons of the dashboard."}
}

func crossOriginDenied(http.ResponseWriter, *visit) error {
	return &controlplane.Error{Kind: controlplane.KindForbidden, Code: "cross-origin",
		Message: "The form was sent from another site and was rejected.",
		Fix:     "Open the dashboard and use its form."}
}

func signInNotConfigured() error {
	return &controlplane.Error{Kind: controlplane.KindForbidden, Code: "sign-in-not-configured",
		Message: "Sign-in is not configured.", Fix: "Contact the operator of this installation."}
}

func hostNotAllowed() error {
	return &controlplane.Error{Kind: controlplane.KindMalformed, Code: "wrong-host",
		Message: "The development sign-in works only on localhost and at the public URL.",
		Fix:     "Open the dashboard at localhost or at its public URL."}
}
