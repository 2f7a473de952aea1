package client

import (
	"errors"
	"net/http"
	"slices"
	"sync"
	"testing"
)

// api is an API whose organization tests change. It records its requests.
type api struct {
	mu           sync.Mutex
	organization string
	status       int // of GET /api/organization
	requests     []string
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.requests = append(a.requests, r.Method+" "+r.URL.Path)
	w.Header().Set(headerOrganization, a.organization)
	switch {
	case r.URL.Path == "/api/organization":
		problemJSON(w, a.status, `{"code":"scope-missing","title":"t","request_id":"r"}`)
	case r.Method == http.MethodGet:
		domainJSON(w, "active", `"1"`)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

func (a *api) become(organization string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.organization = organization
}

// Identify needs no scope, and requests the organization at most once.
func TestIdentify(t *testing.T) {
	a := &api{organization: "org_2", status: http.StatusForbidden}
	c := serve(t, Options{}, a.ServeHTTP)
	for range 2 {
		if id, err := c.Identify(t.Context()); id != "org_2" || err != nil {
			t.Errorf("Identify = %q, %v, want org_2", id, err)
		}
	}
	if want := []string{"GET /api/organization"}; !slices.Equal(a.requests, want) {
		t.Errorf("the API received %v, want %v", a.requests, want)
	}

	a = &api{organization: "org_2"}
	c = serve(t, Options{}, a.ServeHTTP)
	if _, err := c.Domain(t.Context(), "example.com"); err != nil {
		t.Fatal(err)
	}
	if id, err := c.Identify(t.Context()); id != "org_2" || err != nil || len(a.requests) != 1 {
		t.Errorf("Identify = %q, %v after %v, want org_2 from the first response", id, err,
			a.requests)
	}
}

func TestIdentify_fails(t *testing.T) {
	a := &api{status: http.StatusServiceUnavailable}
	var e *Error
	if id, err := serve(t, Options{}, a.ServeHTTP).Identify(t.Context()); !errors.As(err, &e) ||
		!e.API || id != "" {
		t.Errorf("Identify = %q, %v, want an error of the API", id, err)
	}
	a = &api{status: http.StatusUnauthorized}
	_, err := serve(t, Options{TokenSource: "the file /t"}, a.ServeHTTP).Identify(t.Context())
	if !errors.As(err, &e) || e.TokenSource != "the file /t" {
		t.Errorf("Identify returns %v, want an error with the token's source", err)
	}
	foreign := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Del(headerAPI)
	}
	id, err := serve(t, Options{}, foreign).Identify(t.Context())
	if !errors.As(err, &e) || e.API || e.OrganizationID != "" || id != "" {
		t.Errorf("Identify = %q, %v, want an error that the endpoint is not the API", id, err)
	}
}

// With a guard, a token of another organization sends only the request that identifies it.
func TestOrganizationGuard(t *testing.T) {
	a := &api{organization: "org_2", status: http.StatusForbidden}
	c := serve(t, Options{OrganizationID: "org_1", TokenSource: "the attribute api_token"},
		a.ServeHTTP)
	for range 2 {
		err := c.DeleteDomain(t.Context(), "dom_1")
		want := OrganizationError{Want: "org_1", Got: "org_2", Guard: true,
			Source: "the attribute api_token"}
		if e, ok := errors.AsType[*OrganizationError](err); !ok || *e != want {
			t.Errorf("DeleteDomain returns %v, want %+v", err, want)
		}
	}
	if want := []string{"GET /api/organization", "GET /api/organization"}; !slices.Equal(a.requests,
		want) {
		t.Errorf("the API received %v, want %v", a.requests, want)
	}
	a.become("org_1")
	if err := c.DeleteDomain(t.Context(), "dom_1"); err != nil {
		t.Errorf("DeleteDomain = %v in the organization of the guard, want no error", err)
	}
}

// A response about another organization than the earlier ones is an error.
func TestOrganizationChanges(t *testing.T) {
	a := &api{organization: "org_1"}
	c := serve(t, Options{}, a.ServeHTTP)
	if _, err := c.Domain(t.Context(), "example.com"); err != nil {
		t.Fatal(err)
	}
	a.become("org_2")
	_, err := c.Domain(t.Context(), "example.com")
	if e, ok := errors.AsType[*OrganizationError](err); !ok || e.Guard || e.Want != "org_1" ||
		e.Got != "org_2" {
		t.Errorf("Domain returns %v, want an *OrganizationError", err)
	}
}
