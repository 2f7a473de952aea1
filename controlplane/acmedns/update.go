package acmedns

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"net/http"

	"github.com/google/uuid"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
)

const (
	passwordLength = 40 // of acme-dns's passwords
	txtLength      = 43 // of the value of a DNS-01 challenge: SHA-256 in base64 (RFC 8555 §8.4)
)

// post is the body of a request. acme-dns reads all fields in each request, so that a field of the
// wrong type is malformed even where it has no effect.
type post struct {
	Username  uuid.UUID
	Password  string
	Subdomain string `json:"subdomain"`
	TXT       string `json:"txt"`
	AllowFrom []string
}

// update adds a TXT value of an account, or removes it. The checks are acme-dns's, in its order:
// the key, the client's address, the JSON with the subdomain, and the value. Each of the first
// three gives the same response. It responds to an added value when every name server serves it.
func (s *Server) update(w http.ResponseWriter, r *http.Request, c *call, add bool) {
	ctx := r.Context()
	account, err := s.authenticate(ctx, r.Header, c)
	if err != nil {
		s.fail(w, c, err)
		return
	}
	var in post
	allowed := account.AllowsSource(c.ip)
	if allowed {
		// As with acme-dns, malformed JSON has no subdomain, and a value that is not a string is
		// empty.
		_ = json.NewDecoder(r.Body).Decode(&in)
	}
	if !allowed || in.Subdomain != account.Subdomain {
		writeError(w, http.StatusUnauthorized, errForbidden)
		return
	}
	if !isBase64URL(in.TXT, txtLength) {
		writeError(w, http.StatusBadRequest, errBadTXT)
		return
	}
	leave, ok := s.updates.Enter(account.OrgID)
	if !ok {
		s.fail(w, c, &controlplane.Error{Kind: controlplane.KindRateLimited,
			Code: controlplane.CodeRateLimited, Message: "Too many updates are in progress."})
		return
	}
	defer leave()
	if add {
		err = s.Lifecycle.PublishACMEDNSValue(ctx, account, in.TXT)
	} else {
		err = s.Lifecycle.RemoveACMEDNSValue(ctx, account, in.TXT)
	}
	if err != nil {
		s.fail(w, c, err)
		return
	}
	write(w, http.StatusOK, `{"txt": "`+in.TXT+`"}`)
}

// authenticate returns the account whose username and password the request has, and counts the
// request against the limit of its organization. It returns KindUnauthorized if they are invalid.
func (s *Server) authenticate(
	ctx context.Context, h http.Header, c *call,
) (*controlplane.ACMEDNSCredential, error) {
	username, err := uuid.Parse(h.Get("X-Api-User"))
	password := h.Get("X-Api-Key")
	if err != nil || !isBase64URL(password, passwordLength) {
		return nil, firstOf(s.Limiter.CountFailure(ctx, c.ip), unauthorized())
	}
	var account *controlplane.ACMEDNSCredential
	hash := controlplane.HashSecret(username.String() + " " + password)
	counted := false
	err = s.Limiter.Verify(ctx, hash, c.ip,
		func(by edge.Caller) error {
			if by.OrgID == "" || counted || s.Limiter == nil {
				return nil
			}
			counted = true
			return s.Limiter.Check(ctx, by.Tier.UpdatePolicy(), by.OrgID)
		},
		func() (edge.Caller, error) {
			found, err := s.find(ctx, c, username.String(), password)
			if err != nil {
				return edge.Caller{}, err
			}
			account = found
			return edge.Caller{OrgID: found.OrgID, Tier: found.Tier}, nil
		})
	if err != nil {
		return nil, err
	}
	c.orgID = account.OrgID
	return account, nil
}

// find returns the account with the username and the password. At acme-dns's own paths, it finds
// only accounts of the configured organization.
func (s *Server) find(
	ctx context.Context, c *call, username, password string,
) (*controlplane.ACMEDNSCredential, error) {
	account, err := s.Store.ACMEDNSCredential(ctx, username)
	if controlplane.IsKind(err, controlplane.KindNotFound) {
		return nil, unauthorized()
	}
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare(controlplane.HashSecret(password), account.PasswordHash) != 1 ||
		c.root && account.OrgID != s.Organization {
		return nil, unauthorized()
	}
	return account, nil
}

// isBase64URL reports whether s has length characters of the URL-safe base64 alphabet.
func isBase64URL(s string, length int) bool {
	if len(s) != length {
		return false
	}
	for i := range len(s) {
		switch b := s[i]; {
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b >= '0' && b <= '9':
		case b == '-', b == '_':
		default:
			return false
		}
	}
	return true
}
