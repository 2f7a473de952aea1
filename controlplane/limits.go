package controlplane

import (
	"strconv"
	"time"
)

// AnswersKept is how long the response to a request with an Idempotency-Key is stored.
const AnswersKept = 24 * time.Hour

// RateLimit is a limit of Calls in each Window, spread evenly (GCRA). All of them may come at once
// after a quiet period.
type RateLimit struct {
	Calls  int
	Window time.Duration
}

// Policy is a rate limit with its name in counts and reports, and the error of a request over it.
// The caller determines what it counts (an organization, a session, a network); counts of different
// policies are independent.
type Policy struct {
	Name string // in RateLimit headers, metrics, and Redis's keys
	RateLimit
	Code    string // of the error
	Message string // of the error
}

// Exceeded returns the error of a request over the limit. The request passes at retryAt.
func (p Policy) Exceeded(retryAt time.Time) *Error {
	return &Error{Kind: KindRateLimited, Code: p.Code, Message: p.Message, RetryAt: retryAt}
}

// CodeRateLimited is the code of a request over a limit of requests in general.
const CodeRateLimited = "rate-limited"

// Limits are the rate limits that do not depend on a plan.
type Limits struct {
	Session  Policy // requests of one session, to dashboard and API
	Person   Policy // requests of one person, over all sessions and organizations
	Network  Policy // requests of one client network that carry no credential
	Failures Policy // failed authentications of one client network: tokens, sessions, sign-ins
	SignIns  Policy // sign-ins of one client network that start or return from GitHub

	OrganizationLookups Policy // of logins at GitHub, for one organization
	PersonLookups       Policy // of logins at GitHub, for one person
	AllLookups          Policy // of logins at GitHub, for all organizations together

	NewOrganizations Policy // organizations that one person creates

	KeyRegistrations     Policy // accounts of the acme-dns API, with one registration key
	NetworkRegistrations Policy // accounts of the acme-dns API, from one client network
}

// DefaultLimits returns the limits of a service on the public Internet. GitHub lets an OAuth
// app look up 5,000 logins an hour, of which one organization can use at most a quarter.
func DefaultLimits() Limits {
	return Limits{
		Session: Policy{"session", RateLimit{300, time.Minute}, CodeRateLimited,
			"This session has made 300 requests within a minute."},
		Person: Policy{"person", RateLimit{600, time.Minute}, CodeRateLimited,
			"Your sessions have made 600 requests within a minute."},
		Network: Policy{"network", RateLimit{300, time.Minute}, CodeRateLimited,
			"Your network has made 300 requests without a credential within a minute."},
		Failures: Policy{"failed-authentication", RateLimit{30, time.Minute}, "too-many-failures",
			"Too many requests from your network had an invalid or expired credential."},
		SignIns: Policy{"sign-in", RateLimit{60, time.Minute}, "too-many-sign-ins",
			"Too many sign-ins were started from your network."},
		OrganizationLookups: Policy{"organization-lookups", RateLimit{200, time.Hour},
			"too-many-lookups",
			"The organization has looked up 200 logins at GitHub within an hour."},
		PersonLookups: Policy{"person-lookups", RateLimit{300, time.Hour}, "too-many-lookups",
			"You have looked up 300 logins at GitHub within an hour."},
		AllLookups: Policy{"lookups", RateLimit{4000, time.Hour}, "too-many-lookups",
			"The service has used up its lookups at GitHub."},
		NewOrganizations: Policy{"new-organizations", RateLimit{5, 24 * time.Hour},
			"too-many-organizations",
			"You have created 5 organizations within a day."},
		KeyRegistrations: Policy{"acmedns-key", RateLimit{600, time.Hour}, CodeRateLimited,
			"The registration key has registered 600 accounts within an hour."},
		NetworkRegistrations: Policy{"acmedns-network", RateLimit{300, time.Hour},
			CodeRateLimited, "Your network has registered 300 accounts within an hour."},
	}
}

// RateLimit returns the limit that the tier includes.
func (t Tier) RateLimit() RateLimit {
	calls := 100
	switch t {
	case TierPro:
		calls = 1000
	case TierAgency:
		calls = 5000
	}
	return RateLimit{Calls: calls, Window: time.Minute}
}

// StreamLimit is how many event streams and requests with `wait` one process holds open at a time.
type StreamLimit struct {
	Organization int
	// one token or session: half of Organization, so that it leaves room for others
	Credential int
}

// StreamLimit returns the limit that the tier includes.
func (t Tier) StreamLimit() StreamLimit {
	n := 20
	switch t {
	case TierPro:
		n = 100
	case TierAgency:
		n = 500
	}
	return StreamLimit{Organization: n, Credential: n / 2}
}

// CallPolicy returns the policy that counts an organization's API requests.
func (t Tier) CallPolicy() Policy {
	limit := t.RateLimit()
	return Policy{"organization", limit, CodeRateLimited, "The organization's plan includes " +
		strconv.Itoa(limit.Calls) +
		" requests in " + strconv.Itoa(int(limit.Window/time.Second)) +
		" seconds, and they are used up."}
}

// UpdatePolicy returns the policy that counts the updates of all acme-dns accounts of an
// organization.
func (t Tier) UpdatePolicy() Policy {
	return Policy{"acmedns-updates", t.RateLimit(), CodeRateLimited,
		"The organization's plan includes " + strconv.Itoa(t.RateLimit().Calls) +
			" updates of TXT values within a minute, and they are used up."}
}

// LogKept returns how long the tier keeps the audit log, in whole days. The log of a deleted
// organization is kept for the longest of these times.
func (t Tier) LogKept() time.Duration {
	days := 90
	switch t {
	case TierPro:
		days = 365
	case TierAgency:
		days = 3 * 365
	}
	return time.Duration(days) * 24 * time.Hour
}

// Tokens returns how many API tokens the tier includes.
func (t Tier) Tokens() int {
	switch t {
	case TierPro:
		return 1000
	case TierAgency:
		return 5000
	}
	return 100
}

// Connections returns how many DNS connections the tier includes.
func (t Tier) Connections() int {
	switch t {
	case TierPro:
		return 100
	case TierAgency:
		return 1000
	}
	return 10
}

// ACMEDNSAccounts returns how many accounts of the acme-dns API the tier includes.
func (t Tier) ACMEDNSAccounts() int {
	switch t {
	case TierPro:
		return 500
	case TierAgency:
		return 5000
	}
	return 25
}

// ACMEDNSKeys returns how many registration keys of the acme-dns API the tier includes.
func (t Tier) ACMEDNSKeys() int {
	switch t {
	case TierPro:
		return 25
	case TierAgency:
		return 100
	}
	return 5
}

// Webhooks returns how many webhooks the tier includes.
func (t Tier) Webhooks() int {
	switch t {
	case TierPro:
		return 25
	case TierAgency:
		return 100
	}
	return 5
}
