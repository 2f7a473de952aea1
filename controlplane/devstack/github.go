package devstack

import (
	"context"
	"fmt"
	"hash/fnv"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
)

// GitHubConfig says how the stand-in is run.
type GitHubConfig struct {
	Listen   string   // host:port; port 0 or "" takes a free port on 127.0.0.1
	ClientID string   // of the one OAuth app that it knows
	Secret   string   // of that app
	Logins   []string // that its page offers; any other can be typed
}

// GitHub stands in for GitHub's login and the part of its API that tells who somebody is: the
// OAuth authorization code with PKCE, /user and /users/{login}. Every login is an account of a
// person, but for those that begin with "no-such-" and "org-": nobody, and an organization. It
// asks for no password and is no part of a production system.
type GitHub struct {
	cfg  GitHubConfig
	url  string
	http *http.Server

	mu       sync.Mutex
	accounts map[string]controlplane.GitHubAccount // by login in lower case, that were asked for or changed
	codes    map[string]githubCode
	tokens   map[string]string // login in lower case by access token
}

// StartGitHub starts the stand-in and returns when it answers. It runs until Stop.
func StartGitHub(ctx context.Context, cfg GitHubConfig) (*GitHub, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", orLoopback(cfg.Listen))
	if err != nil {
		return nil, fmt.Errorf("GitHub stand-in: %w", err)
	}
	g := &GitHub{cfg: cfg, url: "http://" + l.Addr().String(), accounts: map[string]controlplane.GitHubAccount{},
		codes: map[string]githubCode{}, tokens: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login/oauth/authorize", g.authorize)
	mux.HandleFunc("POST /login/oauth/access_token", g.accessToken)
	mux.HandleFunc("GET /user", g.user)
	mux.HandleFunc("GET /users/{login}", g.userByLogin)
	mux.HandleFunc("GET /playground.css", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFileFS(w, r, playgroundFiles, "playground.css")
	})
	g.http = &http.Server{Handler: edge.OnlyHosts([]string{orLoopback(cfg.Listen)}, false, mux), ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = g.http.Serve(l) }()
	return g, nil
}

// Stop ends the stand-in at once.
func (g *GitHub) Stop() { _ = g.http.Close() }

// URL is the base of its pages and of its API, without a trailing slash.
func (g *GitHub) URL() string { return g.url }

// Account returns the account of a login. Its id follows from the login, so it is the same
// after a restart, and is larger than any at GitHub.
func (g *GitHub) Account(login string) controlplane.GitHubAccount {
	g.mu.Lock()
	defer g.mu.Unlock()
	key := strings.ToLower(login)
	a, ok := g.accounts[key]
	if !ok {
		h := fnv.New32a()
		_, _ = h.Write([]byte(key))
		a = controlplane.GitHubAccount{ID: 1<<40 + int64(h.Sum32()), Login: login}
		if login != "" {
			a.Name = strings.ToUpper(login[:1]) + login[1:]
		}
		g.accounts[key] = a
	}
	return a
}

// SetAccount gives a login to an account, as when somebody renames theirs.
func (g *GitHub) SetAccount(a controlplane.GitHubAccount) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for key, other := range g.accounts {
		if other.ID == a.ID {
			delete(g.accounts, key)
		}
	}
	g.accounts[strings.ToLower(a.Login)] = a
}
