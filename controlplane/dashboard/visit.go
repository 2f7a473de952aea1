package dashboard

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
)

// maxForm is the maximum size of a form in bytes. The largest form has the names of the domains
// that a token can access.
const maxForm = 64 << 10

// visit is a request to the dashboard, with one timestamp for the whole request.
type visit struct {
	*http.Request
	id      string // Request-Id
	nonce   string // of the page's scripts in the CSP
	now     time.Time
	session *controlplane.Session      // nil if not signed in
	org     *controlplane.Organization // of the session
	input   *keptInput                 // to fill in; nil if the query names none

	unstored bool // do not repeat the redirect for a repeated submission (submit)
}

type visitKey struct{}

// handler responds to a visit, or returns an error that showError turns into a page.
type handler func(w http.ResponseWriter, v *visit) error

// ServeHTTP serves all paths of the dashboard. A panic becomes the page for internal errors.
func (d *Dashboard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.compressed.ServeHTTP(w, r)
}

// serve responds to a request, without compression.
func (d *Dashboard) serve(w http.ResponseWriter, r *http.Request) {
	v := &visit{id: edge.RequestID(r), nonce: rand.Text(), now: d.now().UTC()}
	v.Request = r.WithContext(context.WithValue(r.Context(), visitKey{}, v))
	setHeaders(w.Header(), v)
	defer func() {
		edge.Recovered(r.Context(), d.log, v.id, recover(),
			func() { d.showError(w, v, controlplane.Internal(nil)) })
	}()
	v.Request.Body = http.MaxBytesReader(w, v.Request.Body, maxForm)
	d.handler.ServeHTTP(w, v.Request)
}

// page returns an http.HandlerFunc for h. Requests must come through ServeHTTP.
func (d *Dashboard) page(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v := r.Context().Value(visitKey{}).(*visit)
		v.Request = r // has the variables of mux
		var err error
		if v.session, err = d.readSession(w, v); err == nil && v.session != nil {
			v.org, err = d.store.Organization(r.Context(), v.session.OrgID)
			if controlplane.IsKind(err, controlplane.KindNotFound) {
				v.session, v.org, err = nil, nil, nil // it was deleted meanwhile, with its sessions
			}
		}
		if err == nil {
			v.input, err = d.readInput(v)
		}
		switch {
		case err != nil:
		case v.input != nil && v.input.orgID != "" && v.input.orgID != v.org.ID:
			err = d.showElsewhere(w, v)
		default:
			err = h(w, v)
		}
		if err != nil {
			d.showError(w, v, err)
		}
	}
}

// signedIn is h for signed-in users. Others are redirected to the login page, which redirects back
// after the sign-in. The input of a form is kept (submit).
func signedIn(h handler) handler {
	return func(w http.ResponseWriter, v *visit) error {
		switch {
		case v.session != nil:
			return h(w, v)
		case v.Method == http.MethodPost:
			return errSignedOut
		}
		return redirectToLogin(w, v)
	}
}

// allowed is signedIn for users whose role has the scope.
func allowed(s controlplane.Scope, h handler) handler {
	return signedIn(func(w http.ResponseWriter, v *visit) error {
		if !v.may(s) {
			return controlplane.RoleMissing(v.session.Role, s)
		}
		return h(w, v)
	})
}

// may reports whether the signed-in user has the scope.
func (v *visit) may(s controlplane.Scope) bool { return v.grant().Allows(s) }

// grant returns the permissions of the signed-in user.
func (v *visit) grant() *controlplane.Grant { return v.session.Role.Grant() }

func redirectToLogin(w http.ResponseWriter, v *visit) error {
	if strings.HasSuffix(v.URL.Path, "/events") {
		// The request is from a script, which cannot use a redirect to a page.
		w.WriteHeader(http.StatusUnauthorized)
		return nil
	}
	return redirectToSignIn(w, v, v.URL.RequestURI())
}

// redirectToSignIn redirects to the login page, which redirects to next after the sign-in.
func redirectToSignIn(w http.ResponseWriter, v *visit, next string) error {
	to := signInTo(next)
	if next == "/domains" { // the default
		to = "/login"
	}
	http.Redirect(w, v.Request, to, http.StatusSeeOther)
	return nil
}

// signInTo returns the URL of the login page that redirects to next.
func signInTo(next string) string { return "/login?" + url.Values{"next": {next}}.Encode() }

// actor returns the actor of this visit.
func (d *Dashboard) actor(v *visit) controlplane.Actor {
	return controlplane.Actor{Type: controlplane.ActorUser, ID: v.session.User.ID,
		IP: d.clientIP(v.Request), RequestID: v.id}
}

// loggedPath returns a request's path for logs, without the secret of an invitation.
func loggedPath(r *http.Request) string {
	if strings.HasPrefix(r.URL.Path, controlplane.InvitationPath("")) {
		return controlplane.InvitationPath("…")
	}
	return r.URL.Path
}

// clientIP returns the client's IP address, for limits and the audit log.
func (d *Dashboard) clientIP(r *http.Request) string {
	return edge.ClientIP(r, d.config.TrustedProxy)
}
