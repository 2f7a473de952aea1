package edge

import (
	"context"
	"strings"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const (
	// lookupLife is how long the account of a login is cached.
	lookupLife = 5 * time.Minute
	maxLookups = 10_000
)

// Lookups finds accounts at GitHub by login, within the limits of the organization, the user, and
// the service: GitHub counts all lookups together.
type Lookups struct {
	limiter *Limiter
	lookUp  func(ctx context.Context, login string) (controlplane.GitHubAccount, error)
	now     func() time.Time
	found   recent[lookup]
}

// lookup is a cached account.
type lookup struct {
	account controlplane.GitHubAccount
	at      time.Time
}

// NewLookups returns Lookups that call lookUp.
func NewLookups(
	l *Limiter, now func() time.Time,
	lookUp func(ctx context.Context, login string) (controlplane.GitHubAccount, error),
) *Lookups {
	return &Lookups{limiter: l, lookUp: lookUp, now: now,
		found: recent[lookup]{life: lookupLife, max: maxLookups}}
}

// LookUp returns the account of a login, on behalf of an organization and, if userID is not empty,
// a user. Recently found accounts are cached. It returns the errors of the policies and of the
// lookup.
func (s *Lookups) LookUp(
	ctx context.Context, orgID, userID, login string,
) (controlplane.GitHubAccount, error) {
	key, now := strings.ToLower(login), s.now()
	if l, ok := s.found.get(key, now); ok && now.Before(l.at.Add(lookupLife)) {
		return l.account, nil
	}
	// invalid logins are not sent to GitHub
	if l := s.limiter; l != nil && controlplane.IsLogin(login) {
		if err := l.Check(ctx, l.OrganizationLookups, orgID); err != nil {
			return controlplane.GitHubAccount{}, err
		}
		if userID != "" {
			if err := l.Check(ctx, l.PersonLookups, userID); err != nil {
				return controlplane.GitHubAccount{}, err
			}
		}
		if err := l.Check(ctx, l.AllLookups, ""); err != nil {
			return controlplane.GitHubAccount{}, err
		}
	}
	account, err := s.lookUp(ctx, login)
	if err == nil {
		s.found.put(key, lookup{account, now}, now)
	}
	return account, err
}
