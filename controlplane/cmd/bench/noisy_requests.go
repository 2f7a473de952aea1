package main

import (
	"net/http"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// requests opens more event streams and waiting calls than the plan allows, fetches dashboard pages
// as fast as possible, and tries invalid tokens, sessions, and sign-ins.
func (n *noise) requests() error {
	var domain struct{ ID string }
	if err := n.mustCall(http.MethodPost,
		"/api/domains", map[string]any{"name": "requests.example.org"}, &domain); err != nil {
		return err
	}
	n.repeat(16, func(i int) int {
		return n.do(request{method: http.MethodGet, path: "/api/events", token: n.tokens[i%2],
			stream: true})
	})
	n.repeat(8, func(i int) int {
		return n.do(request{method: http.MethodGet, path: "/api/domains/" + domain.ID +
			"?wait=20s", token: n.tokens[i%2]})
	})
	n.repeat(2, func(int) int {
		return n.do(request{method: http.MethodGet, path: "/domains/" + domain.ID +
			"/events", cookie: n.cookie, stream: true})
	})
	pages := []string{"/domains", "/domains/" + domain.ID, "/jobs", "/expiry", "/settings/audit",
		"/settings/tokens", "/settings/sessions", "/webhooks"}
	n.repeat(6, func(i int) int {
		return n.do(request{method: http.MethodGet, path: pages[i%len(pages)], cookie: n.cookie})
	})
	wrong := []func(from *http.Client) int{
		func(from *http.Client) int {
			return n.do(request{method: http.MethodGet,
				path: "/api/domains", token: controlplane.NewSecret(), from: from})
		},
		func(from *http.Client) int {
			return n.do(request{method: http.MethodGet,
				path: "/domains", cookie: controlplane.NewRandomSecret(), from: from})
		},
		func(from *http.Client) int {
			return n.do(request{method: http.MethodGet,
				path: "/login/github/callback?code=bogus&state=bogus", from: from})
		},
		func(from *http.Client) int {
			return n.do(request{method: http.MethodGet, path: "/login/github", from: from})
		},
	}
	n.repeat(4, func(i int) int {
		return wrong[i%len(wrong)](
			n.others[i/len(wrong)%len(n.others)])
	})
	n.sleep(noiseReady)
	return nil
}
