// Package lifecycle tells the story of a domain, a file per verb: add, check, issue, renew,
// retry, delete. Every change to tenant data goes through it, in one transaction with the
// jobs and the audit entries that belong to it. The API, the dashboard and the queue call
// it; it reads and writes through postgres, and reaches the world only through the small
// interfaces declared here.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// Issuer carries out ACME orders (package acme).
type Issuer interface {
	// CAs returns the names of the configured CAs, in order of preference.
	CAs() []string
	// Healthy reports whether a CA answered when it was asked last, and until when it is left
	// alone where it did not.
	Healthy(ca string) (ok bool, until time.Time)
	// Prepare makes the order's key and request, before any CA hears of it.
	Prepare(ctx context.Context, o *controlplane.Order, csrDER []byte) error
	// Run takes an order on from its recorded step. Its error is, or wraps, a
	// controlplane.Judged or one of the journal's.
	Run(ctx context.Context, o *controlplane.Order, j controlplane.Journal) (*controlplane.Certificate, error)
	// Revoke asks the CA to revoke a certificate, for a reason code of RFC 5280 §5.3.1. One
	// that is revoked already is no error.
	Revoke(ctx context.Context, certDER []byte, ca string, reason int) error
	// Identities returns the configured CAs as CAA records know them.
	Identities(ctx context.Context) []controlplane.CAIdentity
	// RenewalInfo asks a CA when a certificate is best renewed. Its error wraps
	// controlplane.ErrRenewalInfoNotOffered or ErrNoRenewalInfo where there is nothing to know.
	RenewalInfo(ctx context.Context, ca, ariID string) (controlplane.RenewalInfo, error)
}

// Governor keeps count of the CAs' limits for all workers (package acme).
type Governor interface {
	// Reserve says whether an order may be placed now, and counts it if so.
	Reserve(ctx context.Context, q controlplane.QuotaRequest) (controlplane.QuotaDecision, error)
	// Refund gives back what was counted for an order that came to nothing.
	Refund(ctx context.Context, q controlplane.QuotaRequest, reachedCA bool) error
	// AuthorizationFailed counts a failed authorization.
	AuthorizationFailed(ctx context.Context, q controlplane.QuotaRequest) error
	// Learn takes in a refusal over a limit.
	Learn(ctx context.Context, q controlplane.QuotaRequest, v controlplane.Verdict) error
}

// Doctor looks at all that a CA will look at in DNS (package dnscheck).
type Doctor interface {
	Examine(ctx context.Context, domain, target string, wildcard bool, cas []controlplane.CAIdentity) (controlplane.Examination, error)
}

// Sealer seals webhooks' secrets, and opens them and the keys that the Issuer sealed (package
// seal).
type Sealer interface {
	Seal(plain []byte, associated string) ([]byte, error)
	Open(sealed []byte, associated string) ([]byte, error)
}

// Config is what a Service is made of.
type Config struct {
	Store     *postgres.Store
	Zone      string // validation zone, without a final dot
	TargetKey []byte // of the HMAC that makes targets; it must stay the same for ever
	Issuer    Issuer
	Doctor    Doctor
	Governor  Governor // no limits are kept where nil
	Sealer    Sealer
	Poster    Poster // of deliveries to webhooks
	// Visible returns when every name server of the zone answers all values for TXT at name.
	Visible func(ctx context.Context, name string, values []string) error
	Now     func() time.Time // time.Now where nil
	Rand    func() float64   // in [0,1), spreads what would come together; math/rand/v2's where nil
	Logger  *slog.Logger

	Backoff      controlplane.Backoff
	Lease        time.Duration // how long a worker that is not heard of keeps its job; 10 s where zero
	SweepSpread  time.Duration // how far apart renewals that fall due together may begin; a minute where zero, none where negative
	ChallengeTTL time.Duration // how long a challenge that is not removed stays; 1 h where zero
	Deliveries   int           // attempts at a time in this process; 16 where zero

	// InvitedOnly says that only members and those with an invitation come in. Otherwise who
	// belongs to no organization is given one of their own.
	InvitedOnly bool

	// MayCreate returns an error, such as KindRateLimited, if a person may create no further
	// organization for now. Any number may be created where nil.
	MayCreate func(ctx context.Context, userID string) error

	// WebhookLoopback lets webhooks be on this machine, and without TLS then. For development.
	WebhookLoopback bool
}

// Service is the life cycle of domains. It is safe for concurrent use.
type Service struct {
	Config
	posts posts
}

// New returns a Service, or an error that names what the configuration lacks.
func New(c Config) (*Service, error) {
	switch {
	case c.Store == nil:
		return nil, errors.New("lifecycle: Store is needed")
	case c.Zone == "":
		return nil, errors.New("lifecycle: Zone is needed")
	case len(c.TargetKey) < 16:
		return nil, errors.New("lifecycle: TargetKey needs at least 16 bytes")
	}
	c.Zone = strings.ToLower(strings.TrimSuffix(c.Zone, "."))
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Float64
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Lease == 0 {
		c.Lease = 10 * time.Second
	}
	if c.SweepSpread == 0 {
		c.SweepSpread = time.Minute
	}
	c.SweepSpread = max(c.SweepSpread, 0)
	if c.ChallengeTTL == 0 {
		c.ChallengeTTL = time.Hour
	}
	if c.Deliveries == 0 {
		c.Deliveries = 16
	}
	return &Service{Config: c, posts: newPosts(c.Deliveries)}, nil
}

// now returns the time to the microsecond, which is what Postgres keeps.
func (s *Service) now() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }

// audit returns an entry for the log.
func (s *Service) audit(orgID string, actor controlplane.Actor, action, entityType, entityID string, now time.Time) controlplane.AuditEntry {
	return controlplane.AuditEntry{ID: controlplane.NewID(controlplane.PrefixEvent), OrgID: orgID, Actor: actor, Action: action,
		EntityType: entityType, EntityID: entityID, CreatedAt: now}
}

// newJob returns a job that is due at now.
func newJob(t controlplane.JobType, q controlplane.Queue, d *controlplane.Domain, requestID string, now time.Time) *controlplane.Job {
	return &controlplane.Job{ID: controlplane.NewID(controlplane.PrefixJob), OrgID: d.OrgID, DomainID: d.ID, Type: t, Queue: q,
		Status: controlplane.JobQueued, RunAt: now, RequestID: requestID, CreatedAt: now}
}

func wrap(what string, err error) error { return fmt.Errorf("lifecycle: %s: %w", what, err) }
