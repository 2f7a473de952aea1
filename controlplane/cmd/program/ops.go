package program

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/mux"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/api"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
)

// startOps opens the operator listener: metrics, health, and the queue monitor, with the staff
// login.
func (a *App) startOps() error {
	c := &a.config
	if c.StaffLogin == "" && !isLoopback(c.OpsListen) {
		return errors.New(
			"staff-login (DCVAAS_STAFF_LOGIN) is required, because ops-listen (DCVAAS_OPS_LISTEN) is not on a loopback address")
	}
	r := mux.NewRouter()
	r.Path("/metrics").Handler(promhttp.HandlerFor(a.metrics, promhttp.HandlerOpts{}))
	r.Path("/livez").HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("ok\n"))
	})
	r.Path("/readyz").HandlerFunc(a.opsReady)
	if c.Redis != "" {
		monitor, err := queueMonitor(c.Redis, !c.QueueWrite)
		if err != nil {
			return err
		}
		r.Path(monitorPath).Handler(monitor)
		r.PathPrefix(monitorPath + "/").Handler(monitor)
		r.Path("/").Handler(http.RedirectHandler(monitorPath, http.StatusSeeOther))
	}
	l, err := listen("ops-listen (DCVAAS_OPS_LISTEN)", c.OpsListen)
	if err != nil {
		return err
	}
	a.opsAddr = l.Addr().String()
	a.log.Info("operator listener started", "address", a.opsAddr)
	a.ops = newServer(opsHosts(c, staffOnly(c.StaffLogin, r)), a.log)
	a.ops.WriteTimeout = 30 * time.Second
	a.running.Go(func() { a.serve(a.ops.Serve(l)) })
	return nil
}

// opsReady responds whether the process is ready, and otherwise with the cause of each part that is
// not, see describe.
func (a *App) opsReady(w http.ResponseWriter, r *http.Request) {
	if a.draining.Load() {
		http.Error(w, "stopping", http.StatusServiceUnavailable)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	var problems []string
	for part, err := range a.ready(ctx) {
		if _, degraded := errors.AsType[api.Degraded](err); err != nil && !degraded {
			problems = append(problems, part+" is not ready: "+describe(err))
		}
	}
	if len(problems) > 0 {
		slices.Sort(problems)
		http.Error(w, strings.Join(problems, "\n"), http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}

// opsHosts rejects requests for hosts that do not belong to the operator listener. This prevents
// DNS rebinding: another site could resolve its name to this machine and read the pages here.
// Health checks are exempt, because load balancers send any host name.
func opsHosts(c *Config, next http.Handler) http.Handler {
	names := c.OpsHosts
	if host, _, err := net.SplitHostPort(c.OpsListen); err == nil {
		names = append(slices.Clip(names), host)
	}
	checked := edge.OnlyHosts(names, !isLoopback(c.OpsListen), next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isHealth(r) {
			next.ServeHTTP(w, r)
			return
		}
		checked.ServeHTTP(w, r)
	})
}

func isHealth(r *http.Request) bool { return r.URL.Path == "/livez" || r.URL.Path == "/readyz" }

// staffOnly requires the login, user:password, if one is configured. Health checks are exempt,
// because load balancers have no login.
func staffOnly(login string, next http.Handler) http.Handler {
	if login == "" {
		return next
	}
	want := sha256.Sum256([]byte(login))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		got := sha256.Sum256([]byte(user + ":" + password))
		if !isHealth(r) && subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			w.Header().Set("WWW-Authenticate", `Basic realm="dcvaas staff", charset="UTF-8"`)
			http.Error(w, "staff only", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}
