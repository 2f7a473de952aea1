package client

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
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

// Records are requested in as few calls as the limits of names and of the URL allow, and returned
// in the order of the names.
func TestDelegationRecords(t *testing.T) {
	var calls []int
	c := serve(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
		names := r.URL.Query()["name"]
		calls = append(calls, len(names))
		if n := len(r.URL.RequestURI()); n > 8000 {
			t.Errorf("URL of %d bytes, want at most 8000", n)
		}
		list := make([]map[string]string, len(names))
		for i, name := range names {
			list[i] = map[string]string{"name": name, "type": "CNAME", "target": "t." + name}
		}
		var body any = map[string]any{"data": list}
		if len(list) == 1 {
			body = list[0]
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(body)
	})
	long := strings.Repeat("a", 230) + ".example"
	for what, tt := range map[string]struct {
		names []string
		calls []int
	}{
		"none":  {nil, nil},
		"one":   {[]string{"a.example"}, []int{1}},
		"three": {[]string{"b.example", "a.example", "b.example"}, []int{3}},
		"201":   {slices.Repeat([]string{"a.example", "b.example", "c.example"}, 67), []int{100, 100, 1}},
		"long":  {slices.Repeat([]string{long}, 20), []int{17, 3}},
	} {
		calls = nil
		records, err := c.DelegationRecords(t.Context(), tt.names)
		var got []string
		for _, r := range records {
			got = append(got, r.Name)
		}
		if err != nil || !slices.Equal(got, tt.names) || !slices.Equal(calls, tt.calls) {
			t.Errorf("%s: DelegationRecords = %.80q, %v in calls of %d names, want all in %d", what,
				got, err, calls, tt.calls)
		}
	}
}
