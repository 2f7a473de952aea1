package program

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// Config is everything that can be configured. A wrong value is refused at start, by name.
// Secrets can come from files: DCVAAS_SECRET_KEY_FILE instead of DCVAAS_SECRET_KEY.
type Config struct {
	Database   string   `name:"database-url" env:"DCVAAS_DATABASE_URL" placeholder:"URL" help:"Postgres, as postgres://user:password@host/database. A secret."`
	Redis      string   `name:"redis-url" env:"DCVAAS_REDIS_URL" placeholder:"URL" help:"Redis, as redis://:password@host:6379/0. A secret."`
	SecretKey  string   `env:"DCVAAS_SECRET_KEY" placeholder:"BASE64" help:"32 random bytes, base64. Targets, cursors and sessions are made with keys derived from it: it must stay the same for ever. A secret. Make one with: openssl rand -base64 32"`
	Keyset     string   `env:"DCVAAS_KEYSET" placeholder:"JSON" help:"Keyset that seals private keys; make one with: dcvaas admin new-keyset. A secret."`
	Zone       string   `env:"DCVAAS_ZONE" default:"acme.dcvaas-verify.com" help:"Validation zone, delegated to the name servers of dcvaas dns."`
	PublicURL  string   `env:"DCVAAS_PUBLIC_URL" default:"http://127.0.0.1:8080" help:"Where people reach the API and dashboard."`
	LogLevel   string   `env:"DCVAAS_LOG_LEVEL" default:"info" help:"debug, info, warn or error."`
	LogFormat  string   `env:"DCVAAS_LOG_FORMAT" default:"json" enum:"json,text" help:"json or text."`
	OpsListen  string   `env:"DCVAAS_OPS_LISTEN" default:"127.0.0.1:9090" help:"Operator's listener: metrics, health, queues. Empty for none."`
	OpsHosts   []string `name:"ops-hosts" env:"DCVAAS_OPS_HOSTS" placeholder:"NAME" help:"Host names by which the operator's listener is reached, such as those that Prometheus scrapes. Health checks take any; other requests need one of these, the name in ops-listen, localhost, or an IP address: a loopback one if ops-listen is."`
	StaffLogin string   `env:"DCVAAS_STAFF_LOGIN" placeholder:"USER:PASSWORD" help:"Login for the operator's listener; needed where that is not on a loopback address. A secret."`
	QueueWrite bool     `env:"DCVAAS_QUEUE_WRITE" help:"Let staff pause queues and delete tasks in the queue monitor."`

	HTTP   HTTPConfig   `embed:""`
	GitHub GitHubConfig `embed:""`
	Work   WorkConfig   `embed:""`
	DNS    DNSConfig    `embed:""`
	Check  CheckConfig  `embed:""`
	ACME   ACMEConfig   `embed:""`
	Hooks  HookConfig   `embed:""`
}

// The values of DCVAAS_SIGN_UP.
const signUpOpen, signUpInvited = "open", "invited"

// HTTPConfig is about the API and the dashboard.
type HTTPConfig struct {
	Listen       string `env:"DCVAAS_LISTEN" default:"127.0.0.1:8080" help:"Where the API and dashboard listen."`
	SignUp       string `name:"sign-up" env:"DCVAAS_SIGN_UP" default:"open" placeholder:"open|invited" help:"Who may sign in. open, the default: anybody with an account at GitHub; who belongs to no organization is given one of their own. invited: members and people with an invitation."`
	RateLimits   bool   `env:"DCVAAS_RATE_LIMITS" default:"true" negatable:"" help:"Limit requests: API calls and open streams of an organization by its plan, and requests of a session, person, and client network. Requests are counted in Redis; without one they are not limited."`
	TrustedProxy bool   `env:"DCVAAS_TRUSTED_PROXY" help:"Take the caller's address from X-Forwarded-For, of which a proxy of yours writes the last entry."`

	devSignIn *controlplane.GitHubAccount // set by dev: who comes in without a password
	limits    controlplane.Limits         // set by tests; controlplane.DefaultLimits where zero
}

// GitHubConfig is about signing in at GitHub. Without a client nobody signs in.
type GitHubConfig struct {
	ClientID     string `name:"github-client-id" env:"DCVAAS_GITHUB_CLIENT_ID" help:"Client id of the OAuth app at GitHub by which people sign in to the dashboard."`
	ClientSecret string `name:"github-client-secret" env:"DCVAAS_GITHUB_CLIENT_SECRET" help:"Client secret of that app. A secret."`
	URL          string `name:"github-url" env:"DCVAAS_GITHUB_URL" default:"https://github.com" placeholder:"URL" help:"Where GitHub's pages are; of an Enterprise Server https://HOST."`
	APIURL       string `name:"github-api-url" env:"DCVAAS_GITHUB_API_URL" default:"https://api.github.com" placeholder:"URL" help:"Where GitHub's API is; of an Enterprise Server https://HOST/api/v3."`
}

// WorkConfig is about workers.
type WorkConfig struct {
	Concurrency int           `env:"DCVAAS_CONCURRENCY" default:"32" help:"Jobs at a time in this process."`
	SweepEvery  time.Duration `env:"DCVAAS_SWEEP_EVERY" default:"1m" help:"How often due renewals are looked for."`
	SweepSpread time.Duration `env:"DCVAAS_SWEEP_SPREAD" default:"1m" help:"How far apart renewals that fall due together may begin."`
	RetryBase   time.Duration `env:"DCVAAS_RETRY_BASE" default:"10s" help:"Wait before a failed job's first retry; each later one is four times as long."`
	Lease       time.Duration `env:"DCVAAS_LEASE" default:"10s" help:"How long a worker that is not heard of keeps its job."`
}

// DNSConfig is about the name server of the validation zone.
type DNSConfig struct {
	Listen      []string `name:"dns-listen" env:"DCVAAS_DNS_LISTEN" default:"127.0.0.1:5300" help:"Addresses to answer on, UDP and TCP; a public server listens on :53."`
	NameServers []string `name:"name-servers" env:"DCVAAS_NAME_SERVERS" placeholder:"HOST=IP/IP6" help:"The zone's NS records with their addresses, such as ns1.example.net=203.0.113.1/2001:db8::1."`
	Servers     []string `name:"dns-servers" env:"DCVAAS_DNS_SERVERS" placeholder:"HOST:PORT" help:"Every replica of the name server. A CA is told of a challenge only when all of them answer it."`
	RateExempt  []string `name:"dns-rate-exempt" env:"DCVAAS_DNS_RATE_EXEMPT" default:"127.0.0.0/8,::1/128" placeholder:"PREFIX" help:"Networks without that limit and without a limit of TCP connections, such as those of workers on other machines."`
	RateLimit   int      `name:"dns-rate-limit" env:"DCVAAS_DNS_RATE_LIMIT" default:"100" help:"Answers per second that one client network gets over UDP; those beyond are truncated, so that it comes over TCP. 0 for no limit."`
}

// CheckConfig is about looking at customers' delegations.
type CheckConfig struct {
	Resolvers    []string `env:"DCVAAS_RESOLVERS" placeholder:"NAME=URL" help:"DNS-over-HTTPS resolvers (RFC 8484); Cloudflare's and Google's if none is named."`
	AskAuthority bool     `env:"DCVAAS_ASK_AUTHORITY" default:"true" negatable:"" help:"Ask the zones' own name servers, too. Needs port 53 to the Internet."`
	Authority    string   `env:"DCVAAS_AUTHORITY" placeholder:"HOST:PORT" help:"A server that stands for every customer's name servers, for tests."`
}

// HookConfig is about customers' webhooks.
type HookConfig struct {
	Loopback bool `name:"webhook-loopback" env:"DCVAAS_WEBHOOK_LOOPBACK" help:"Let webhooks be on this machine, also without TLS there. For development: with it customers reach what listens on loopback addresses."`
}

// ACMEConfig is about the CAs.
type ACMEConfig struct {
	Email          string `name:"acme-email" env:"DCVAAS_ACME_EMAIL" help:"Contact for the accounts at the CAs."`
	Staging        bool   `name:"acme-staging" env:"DCVAAS_ACME_STAGING" help:"Let's Encrypt's staging environment instead of its production."`
	ZeroSSLKeyID   string `name:"zerossl-eab-kid" env:"DCVAAS_ZEROSSL_EAB_KID" help:"ZeroSSL's EAB key id; with it ZeroSSL is the backup."`
	ZeroSSLHMACKey string `name:"zerossl-eab-hmac" env:"DCVAAS_ZEROSSL_EAB_HMAC" help:"ZeroSSL's EAB HMAC key. A secret."`
	CAs            string `name:"cas" env:"DCVAAS_CAS" placeholder:"JSON" help:"CAs in order of preference, instead of those two: [{\"name\", \"directory\", \"email\", \"eab_key_id\", \"eab_hmac\", \"profile\", \"roots_file\", \"limits\"}]. A secret."`
}

var errNoDatabase = errors.New("database-url (DCVAAS_DATABASE_URL) is needed, such as postgres://dcvaas@localhost/dcvaas")

// check names the first value that makes no sense.
func (c *Config) check() error {
	switch {
	case c.Database == "":
		return errNoDatabase
	case c.Zone == "":
		return errors.New("zone (DCVAAS_ZONE) is needed")
	case (c.GitHub.ClientID == "") != (c.GitHub.ClientSecret == ""):
		return errors.New("github-client-id (DCVAAS_GITHUB_CLIENT_ID) and github-client-secret (DCVAAS_GITHUB_CLIENT_SECRET) go together: both or neither")
	case c.GitHub.ClientID != "" && !isWebURL(c.GitHub.URL):
		return errors.New("github-url (DCVAAS_GITHUB_URL) is no URL such as https://github.com")
	case c.GitHub.ClientID != "" && !isWebURL(c.GitHub.APIURL):
		return errors.New("github-api-url (DCVAAS_GITHUB_API_URL) is no URL such as https://api.github.com")
	case c.Work.Concurrency < 1:
		return fmt.Errorf("concurrency (DCVAAS_CONCURRENCY): %d is less than 1", c.Work.Concurrency)
	case c.Work.Lease < time.Second:
		return fmt.Errorf("lease (DCVAAS_LEASE): %s is less than a second", c.Work.Lease)
	case c.Work.SweepSpread < 0 || c.Work.SweepEvery <= 0:
		return errors.New("sweep-every (DCVAAS_SWEEP_EVERY) must be a wait, and sweep-spread (DCVAAS_SWEEP_SPREAD) one or 0 for none")
	case c.Work.RetryBase <= 0:
		return fmt.Errorf("retry-base (DCVAAS_RETRY_BASE): %s is not a wait", c.Work.RetryBase)
	case c.HTTP.SignUp != signUpOpen && c.HTTP.SignUp != signUpInvited:
		return fmt.Errorf("sign-up (DCVAAS_SIGN_UP): %q is none of open, invited", c.HTTP.SignUp)
	}
	return nil
}

func isWebURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http")
}
