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

// GitHubConfig configures the stand-in.
type GitHubConfig struct {
	Listen   string   // host:port; with port 0 or "", a free port on 127.0.0.1
	ClientID string   // client ID of the only OAuth app
	Secret   string   // client secret of that app
	Logins   []string // logins on its page; users can also enter others
}

// GitHub is a stand-in for GitHub's sign-in and for the part of its API that identifies accounts:
// the OAuth authorization code flow with PKCE, /user, and /users/{login}. Every login is a personal
// account, except that logins starting with "no-such-" do not exist and those starting with "org-"
// are organizations. It requires no password, and must not be used in production.
type GitHub struct {
	cfg  GitHubConfig
	url  string
	http *http.Server

	mu sync.Mutex
	// by lowercase login; only requested or changed accounts
	accounts map[string]controlplane.GitHubAccount
	codes    map[string]githubCode
	tokens   map[string]string // lowercase login by access token
}

// StartGitHub starts the stand-in and returns when it accepts requests. It runs until Stop.
func StartGitHub(ctx context.Context, cfg GitHubConfig) (*GitHub, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", orLoopback(cfg.Listen))
	if err != nil {
		return nil, fmt.Errorf("GitHub stand-in: %w", err)
	}
	g := &GitHub{cfg: cfg, url: "http://" + l.Addr().String(),
		accounts: map[string]controlplane.GitHubAccount{},
		codes:    map[string]githubCode{}, tokens: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login/oauth/authorize", g.authorize)
	mux.HandleFunc("POST /login/oauth/access_token", g.accessToken)
	mux.HandleFunc("GET /user", g.user)
	mux.HandleFunc("GET /users/{login}", g.userByLogin)
	mux.HandleFunc("GET /playground.css", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFileFS(w, r, playgroundFiles, "playground.css")
	})
	g.http = &http.Server{Handler: edge.OnlyHosts([]string{orLoopback(cfg.Listen)}, false, mux),
		ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = g.http.Serve(l) }()
	return g, nil
}

// Stop stops the stand-in immediately.
func (g *GitHub) Stop() { _ = g.http.Close() }

// URL returns the base URL of its pages and API, without a trailing slash.
func (g *GitHub) URL() string { return g.url }

// Account returns the account of a login. Its ID is derived from the login, so it is the same after
// a restart. It is larger than any ID at GitHub.
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

// SetAccount assigns a login to an account, as if a user renamed their account.
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
