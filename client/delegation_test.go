package client

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
)

// Each call about a delegation has its method, path, and body.
func TestDelegationCalls(t *testing.T) {
	pinned := true
	for want, call := range map[string]func(ctx context.Context, c *Client) error{
		`POST /api/delegations {"name":"example.com"}`: func(ctx context.Context, c *Client) error {
			_, err := c.PinDelegation(ctx, "example.com")
			return err
		},
		"GET /api/delegations/example.com": func(ctx context.Context, c *Client) error {
			_, err := c.DelegationObject(ctx, "example.com")
			return err
		},
		"GET /api/delegations?pinned=true": func(ctx context.Context, c *Client) error {
			_, err := c.Delegations(ctx, ListDelegationsParams{Pinned: &pinned})
			return err
		},
		`PATCH /api/delegations/dlg_1 {"pinned":true}`: func(ctx context.Context, c *Client) error {
			_, err := c.UpdateDelegation(ctx, "dlg_1", DelegationUpdate{Pinned: &pinned})
			return err
		},
		"DELETE /api/delegations/dlg_1": func(ctx context.Context, c *Client) error {
			return c.DeleteDelegation(ctx, "dlg_1")
		},
		"POST /api/delegations/dlg_1/verify": func(ctx context.Context, c *Client) error {
			_, err := c.VerifyDelegation(ctx, "dlg_1")
			return err
		},
		"GET /api/delegations/dlg_1/diagnosis": func(ctx context.Context, c *Client) error {
			_, err := c.DelegationDiagnosis(ctx, "dlg_1")
			return err
		},
	} {
		var got string
		c := serve(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			got = strings.TrimSpace(r.Method + " " + r.URL.RequestURI() + " " + string(body))
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{}`)
		})
		if err := call(t.Context(), c); err != nil || got != want {
			t.Errorf("request = %s, %v, want %s", got, err, want)
		}
	}
}
