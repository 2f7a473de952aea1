package program

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/acmedns"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/api"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/dashboard"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/github"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/seal"
)

// startWeb opens the listener of the API and the dashboard.
func (a *App) startWeb() error {
	c := &a.config
	sealer, err := seal.Open([]byte(c.Keyset))
	if err != nil {
		return fmt.Errorf("keyset (DCVAAS_KEYSET): %w", err)
	}
	secure := strings.HasPrefix(c.PublicURL, "https:")
	var streams *edge.Streams
	if c.HTTP.RateLimits {
		streams = edge.NewStreams()
	}
	diagnoses := edge.NewDiagnoses()
	config := api.Config{Store: a.store, Lifecycle: a.lifecycle, Sealer: sealer, Limiter: a.limiter,
		Streams: streams, Diagnoses: diagnoses, CursorKey: a.keys.cursor, PublicURL: c.PublicURL,
		CORSOrigins: c.HTTP.CORSOrigins, Ready: a.ready, TrustedProxy: c.HTTP.TrustedProxy,
		Logger: a.log, Registerer: a.metrics}
	pages := dashboard.Config{Store: a.store, Lifecycle: a.lifecycle, SessionKey: a.keys.session,
		Streams: streams, Diagnoses: diagnoses, PublicURL: c.PublicURL,
		Secure: secure, TrustedProxy: c.HTTP.TrustedProxy, Logger: a.log}
	pages.Sealer, pages.DevSignIn, pages.Limiter = sealer, c.HTTP.devSignIn, a.limiter
	if c.GitHub.ClientID != "" {
		client := &github.Client{ID: c.GitHub.ClientID, Secret: c.GitHub.ClientSecret,
			WebURL: c.GitHub.URL, APIURL: c.GitHub.APIURL,
			RedirectURL: strings.TrimSuffix(c.PublicURL, "/") + dashboard.CallbackPath}
		config.GitHub, pages.GitHub = client, client
	}
	if a.api, err = api.New(config); err != nil {
		return err
	}
	if a.pages, err = dashboard.New(pages); err != nil {
		return err
	}
	clients, err := acmedns.New(acmedns.Config{Store: a.store, Lifecycle: a.lifecycle,
		Zone: a.lifecycle.Zone, Organization: c.HTTP.ACMEDNSOrganization, Limiter: a.limiter,
		CORSOrigins: c.HTTP.CORSOrigins, TrustedProxy: c.HTTP.TrustedProxy, Logger: a.log,
		Registerer: a.metrics})
	if err != nil {
		return err
	}
	l, err := listen("listen (DCVAAS_LISTEN)", c.HTTP.Listen)
	if err != nil {
		return err
	}
	a.webAddr = l.Addr().String()
	a.log.Info("API and dashboard started", "address", a.webAddr)
	a.web = newServer(a.lastCalls(limitStatements(split(clients, a.api, a.pages))), a.log)
	a.web.RegisterOnShutdown(a.api.SetStopping) // after the listener is closed
	a.web.RegisterOnShutdown(a.pages.SetStopping)
	l = withFront(a.web, l, secure, a.api.Unparsed)
	a.running.Go(func() { a.serve(a.web.Serve(l)) })
	return nil
}

// limitStatements limits the time of the requests' statements, so that a client gets a response
// even if Postgres hangs.
func limitStatements(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(postgres.WithLimit(r.Context(), postgres.CallLimit)))
	})
}

// split routes the paths of the acme-dns API to clients, the API's to api, and all others to pages.
func split(clients *acmedns.Server, api, pages http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := r.URL.Path
		if clients.Serves(r) {
			clients.ServeHTTP(w, r)
			return
		}
		if p == "/api" || strings.HasPrefix(p, "/api/") || p == "/livez" || p == "/readyz" ||
			strings.HasPrefix(p, "/problems") {
			api.ServeHTTP(w, r)
			return
		}
		pages.ServeHTTP(w, r)
	})
}

// newServer returns a server with time limits. Handlers that wait longer, such as those with
// ?wait=, extend their own deadlines.
func newServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout: 30 * time.Second, WriteTimeout: 90 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
}

func (a *App) serve(err error) {
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		a.fail(err)
	}
}
