// Package lifecycle implements domain operations, one file per verb: add, check, issue, renew,
// revoke, delete. Every change to tenant data goes through it, in one transaction with its jobs and
// audit entries. The API, the dashboard, and the queue call it. It reads and writes through
// postgres, and reaches external systems only through the small interfaces declared here.
package lifecycle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// Issuer runs ACME orders (package acme).
type Issuer interface {
	// CAs returns the names of the configured CAs, in order of preference.
	CAs() []string
	// Accounts returns the names of the accounts that new orders at a CA use, at least one.
	Accounts(ca string) []string
	// Healthy reports whether a CA responded to its last request, and if not, until when it gets no
	// further requests.
	Healthy(ca string) (ok bool, until time.Time)
	// Prepare generates the order's key and CSR, before any request to a CA.
	Prepare(ctx context.Context, o *controlplane.Order, csrDER []byte) error
	// Run resumes an order at its recorded step. Its error is or wraps a controlplane.Judged or an
	// error of the journal.
	Run(
		ctx context.Context, o *controlplane.Order, j controlplane.Journal,
	) (*controlplane.Certificate, error)
	// Collect polls an order once that was set aside. It publishes, accepts, and finalizes nothing.
	// Its error is or wraps a controlplane.Judged, with Over if the order gives no certificate.
	Collect(ctx context.Context, o *controlplane.Order) (*controlplane.Certificate, error)
	// Revoke revokes a certificate that an account at the CA ordered, with a reason code of RFC
	// 5280 §5.3.1. It is idempotent.
	Revoke(ctx context.Context, certDER []byte, ca, account string, reason int) error
	// Identities returns the names of the configured CAs in CAA records.
	Identities(ctx context.Context) []controlplane.CAIdentity
	// RenewalInfo fetches the renewal window that the CA suggests for a certificate. Its error
	// wraps controlplane.ErrRenewalInfoNotOffered or ErrNoRenewalInfo if the CA has none.
	RenewalInfo(ctx context.Context, ca, ariID string) (controlplane.RenewalInfo, error)
}

// Governor tracks the CAs' rate limits for all workers (package acme).
type Governor interface {
	// Reserve decides whether an order can be placed now, and with which account, and counts it if
	// so.
	Reserve(ctx context.Context, q controlplane.QuotaRequest) (controlplane.QuotaDecision, error)
	// Refund stops counting an order that gave no certificate.
	Refund(ctx context.Context, q controlplane.QuotaRequest, reachedCA bool) error
	// AuthorizationFailed counts a failed authorization.
	AuthorizationFailed(ctx context.Context, q controlplane.QuotaRequest) error
	// Count counts an order that Reserve exempted and the CA counts.
	Count(ctx context.Context, q controlplane.QuotaRequest) error
	// Learn records that a CA rejected an order because of a limit.
	Learn(ctx context.Context, q controlplane.QuotaRequest, v controlplane.Verdict) error
}

// Doctor checks everything in DNS that a CA will check (package dnscheck).
type Doctor interface {
	// ExamineNames returns one examination for each name, in their order.
	ExamineNames(
		ctx context.Context, names []controlplane.NameCheck, cas []controlplane.CAIdentity,
	) ([]controlplane.Examination, error)
	// RehearseNames is ExamineNames that may reuse what earlier checks found out about the names'
	// zones and their parents. A result is of the time of the oldest such finding.
	RehearseNames(
		ctx context.Context, names []controlplane.NameCheck, cas []controlplane.CAIdentity,
	) ([]controlplane.Examination, error)
}

// Sealer encrypts webhook secrets and credentials, and decrypts them and the keys that the Issuer
// sealed (package seal).
type Sealer interface {
	Seal(plain []byte, associated string) ([]byte, error)
	Open(sealed []byte, associated string) ([]byte, error)
}

// Config configures a Service. Store, Zone, and TargetKey are required.
type Config struct {
	Store     *postgres.Store
	Zone      string // validation zone, without a trailing dot
	TargetKey []byte // HMAC key of CNAME targets; never change it
	Issuer    Issuer
	Doctor    Doctor
	Governor  Governor // nil: no limits are tracked
	Sealer    Sealer
	Poster    Poster   // posts webhook deliveries
	DNSHosts  DNSHosts // reaches customers' DNS hosts
	// Visible returns when every name server of the zone serves all values in the TXT records of
	// name.
	Visible func(ctx context.Context, name string, values []string) error
	// Prober tests the validation zone. Nil: it is not tested, and no order is held.
	Prober Prober
	// NameServers returns the name servers that must serve a value, host:port.
	NameServers func(context.Context) ([]string, error)
	Now         func() time.Time // default time.Now
	Rand        func() float64   // in [0,1), spreads simultaneous work; default math/rand/v2
	Logger      *slog.Logger

	Backoff controlplane.Backoff
	Lease   time.Duration // job lease, extended by heartbeats; default 10 s
	// spread of renewals that are due together; default 1 min, none if negative
	SweepSpread  time.Duration
	ChallengeTTL time.Duration // lifetime of a challenge that is not removed; default 1 h
	PublishWait  time.Duration // how long an acme-dns update waits for Visible; default 25 s
	Deliveries   int           // concurrent webhook attempts in this process; default 16

	// InvitedOnly limits sign-in to members and invited users. Otherwise a user without an
	// organization gets a new one.
	InvitedOnly bool

	// MayCreate returns an error, such as KindRateLimited, if a user can create no further
	// organization for now. nil means no limit.
	MayCreate func(ctx context.Context, userID string) error

	// WebhookLoopback allows webhook URLs on the loopback interface, without TLS. For development.
	WebhookLoopback bool
}

// Service implements the operations. It is safe for concurrent use.
type Service struct {
	Config
	slots slots
	hosts *controlplane.Gate // calls to DNS hosts for requests
	// the accounts that CAs have rejected or may have rejected, when last read, by AccountKey
	suspected sync.Map
	zone      zoneSeen
}

// New returns a Service, or an error that names the missing configuration.
func New(c Config) (*Service, error) {
	switch {
	case c.Store == nil:
		return nil, errors.New("lifecycle: Store is required")
	case c.Zone == "":
		return nil, errors.New("lifecycle: Zone is required")
	case len(c.TargetKey) < 16:
		return nil, errors.New("lifecycle: TargetKey must have at least 16 bytes")
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
	c.Lease = cmp.Or(c.Lease, 10*time.Second)
	c.SweepSpread = max(cmp.Or(c.SweepSpread, time.Minute), 0)
	c.ChallengeTTL = cmp.Or(c.ChallengeTTL, time.Hour)
	c.PublishWait = cmp.Or(c.PublishWait, 25*time.Second)
	c.Deliveries = cmp.Or(c.Deliveries, 16)
	return &Service{Config: c, slots: newSlots(c.Deliveries),
		hosts: newHostGate(c.Store.MaxConns())}, nil
}

// now returns the time in microseconds, the precision of Postgres.
func (s *Service) now() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }

// audit returns an entry for the audit log.
func (s *Service) audit(
	orgID string, actor controlplane.Actor, action, entityType, entityID string, now time.Time,
) controlplane.AuditEntry {
	return controlplane.AuditEntry{ID: controlplane.NewID(controlplane.PrefixEvent), OrgID: orgID,
		Actor: actor, Action: action,
		EntityType: entityType, EntityID: entityID, CreatedAt: now}
}

// newJob returns a job that is due at now.
func newJob(
	t controlplane.JobType, q controlplane.Queue, d *controlplane.Domain, requestID string,
	now time.Time,
) *controlplane.Job {
	return &controlplane.Job{ID: controlplane.NewID(controlplane.PrefixJob), OrgID: d.OrgID,
		DomainID: d.ID, Type: t, Queue: q,
		Status: controlplane.JobQueued, RunAt: now, RequestID: requestID, CreatedAt: now}
}

func wrap(action string, err error) error { return fmt.Errorf("lifecycle: %s: %w", action, err) }
