package acmedns

import (
	"context"
	"encoding/json"
	"io"
	"net/http"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// registered is the response to a registration.
type registered struct {
	Username   string   `json:"username"`
	Password   string   `json:"password"`
	Fulldomain string   `json:"fulldomain"`
	Subdomain  string   `json:"subdomain"`
	Allowfrom  []string `json:"allowfrom"` // never null
}

// register adds an account. The checks are the registration key, the limits, the JSON, and the
// networks. As with acme-dns, the body can be empty, and needs no content type.
func (s *Server) register(w http.ResponseWriter, r *http.Request, c *call) {
	in, err := s.registrar(r.Context(), c)
	if err == nil {
		c.orgID = in.OrgID
		err = s.countRegistration(r.Context(), c, in)
	}
	if err != nil {
		s.fail(w, c, err)
		return
	}
	var wanted post
	body, err := io.ReadAll(r.Body)
	if err != nil || len(body) > 0 && json.Unmarshal(body, &wanted) != nil {
		writeError(w, http.StatusBadRequest, errJSON)
		return
	}
	in.AllowFrom = make([]string, len(wanted.AllowFrom))
	for i, network := range wanted.AllowFrom {
		if in.AllowFrom[i], err = rules.ParseNetwork(network); err != nil ||
			i >= rules.MaxNetworks {
			writeError(w, http.StatusBadRequest, errNetwork)
			return
		}
	}
	a, password, err := s.Lifecycle.RegisterACMEDNSAccount(r.Context(), in)
	if err != nil {
		s.fail(w, c, err)
		return
	}
	response, err := json.Marshal(registered{Username: a.Username, Password: password,
		Fulldomain: a.Subdomain + "." + s.Zone, Subdomain: a.Subdomain, Allowfrom: in.AllowFrom})
	if err != nil {
		s.fail(w, c, err)
		return
	}
	write(w, http.StatusCreated, string(response))
}

// registrar returns the organization of a registration, by its key or, at acme-dns's own path, the
// configured one. It returns KindUnauthorized for an invalid key.
func (s *Server) registrar(ctx context.Context, c *call) (lifecycle.Registration, error) {
	in := lifecycle.Registration{IP: c.ip, RequestID: c.requestID}
	if c.root {
		in.OrgID = s.Organization
		return in, s.Limiter.CountNetwork(ctx, c.ip)
	}
	if !controlplane.WellFormedRegistration(c.key) {
		return in, firstOf(s.Limiter.CountFailure(ctx, c.ip), unauthorized())
	}
	hash := controlplane.HashSecret(c.key)
	err := s.Limiter.Verify(ctx, hash, c.ip, func(edge.Caller) error { return nil },
		func() (edge.Caller, error) {
			key, err := s.Store.ACMEDNSKeyByHash(ctx, hash)
			if controlplane.IsKind(err, controlplane.KindNotFound) {
				err = unauthorized()
			}
			if err != nil {
				return edge.Caller{}, err
			}
			in.OrgID, in.Key = key.OrgID, key
			return edge.Caller{OrgID: key.OrgID}, nil
		})
	return in, err
}

// countRegistration counts a registration against the limits of its key and client network.
func (s *Server) countRegistration(
	ctx context.Context, c *call, in lifecycle.Registration,
) error {
	if s.Limiter == nil {
		return nil
	}
	if in.Key != nil {
		if err := s.Limiter.Check(ctx, s.Limiter.KeyRegistrations, in.Key.ID); err != nil {
			return err
		}
	}
	return s.Limiter.Check(ctx, s.Limiter.NetworkRegistrations, edge.Network(c.ip))
}

func unauthorized() error {
	return &controlplane.Error{Kind: controlplane.KindUnauthorized, Code: "unauthorized",
		Message: "The credentials are invalid."}
}

// firstOf returns the first error that is not nil.
func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
