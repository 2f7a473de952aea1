package program

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
)

// Config has all settings. An invalid value is rejected at startup, with the name of its setting.
// Values can come from files: DCVAAS_SECRET_KEY_FILE instead of DCVAAS_SECRET_KEY. The tag for
// lists the commands that use a setting, see showOwnFlags; without it, all do.
type Config struct {
	Database    string   `name:"database-url" env:"DCVAAS_DATABASE_URL" placeholder:"URL" help:"Postgres URL, such as postgres://user:password@host/database. A secret."`
	Connections int      `name:"database-connections" env:"DCVAAS_DATABASE_CONNECTIONS" for:"serve work dns" default:"18" help:"Maximum connections of this process to Postgres. dcvaas dns opens at most 10."`
	Redis       string   `name:"redis-url" env:"DCVAAS_REDIS_URL" for:"serve work" placeholder:"URL" help:"Redis URL, such as redis://:password@host:6379/0. A secret."`
	SecretKey   string   `env:"DCVAAS_SECRET_KEY" for:"serve work admin" placeholder:"BASE64" help:"32 random bytes in base64. CNAME targets, cursors, and sessions depend on keys derived from it: never change it. A secret. Generate it with: openssl rand -base64 32"`
	Keyset      string   `env:"DCVAAS_KEYSET" for:"serve work account" placeholder:"JSON" help:"Keyset that seals private keys. A secret. Generate it with: dcvaas admin new-keyset"`
	Zone        string   `env:"DCVAAS_ZONE" for:"serve work dns admin" placeholder:"NAME" help:"Validation zone, such as acme.example.net, delegated to the name servers of dcvaas dns. Every CNAME contains it: never change it."`
	PublicURL   string   `env:"DCVAAS_PUBLIC_URL" for:"serve invite" default:"http://127.0.0.1:8080" help:"Public URL of the API and dashboard."`
	LogLevel    string   `env:"DCVAAS_LOG_LEVEL" for:"serve work dns" default:"info" help:"debug, info, warn, or error."`
	LogFormat   string   `env:"DCVAAS_LOG_FORMAT" for:"serve work dns" default:"json" enum:"json,text" help:"json or text."`
	OpsListen   string   `env:"DCVAAS_OPS_LISTEN" for:"serve work dns" default:"127.0.0.1:9090" help:"Address of the operator listener: metrics, health, and queue monitor. Empty disables it."`
	OpsHosts    []string `name:"ops-hosts" env:"DCVAAS_OPS_HOSTS" for:"serve work dns" placeholder:"NAME" help:"Host names of the operator listener, such as those that Prometheus scrapes. Requests other than health checks must use one of these, the name in ops-listen, localhost, or an IP address (a loopback one if ops-listen is)."`
	StaffLogin  string   `env:"DCVAAS_STAFF_LOGIN" for:"serve work dns" placeholder:"USER:PASSWORD" help:"Login for the operator listener. Required if the listener is not on a loopback address. A secret."`
	QueueWrite  bool     `env:"DCVAAS_QUEUE_WRITE" for:"serve work" help:"Allow staff to pause queues and delete tasks in the queue monitor."`

	DrainDelay  time.Duration `env:"DCVAAS_DRAIN_DELAY" for:"serve dns" default:"5s" help:"Time between a signal to stop, after which /readyz returns 503, and the close of the listeners. Set it to the time in which load balancers notice."`
	GracePeriod time.Duration `env:"DCVAAS_GRACE_PERIOD" for:"serve" default:"30s" help:"Maximum time for calls in progress to complete after the drain delay."`

	HTTP   HTTPConfig   `embed:""`
	GitHub GitHubConfig `embed:""`
	Work   WorkConfig   `embed:""`
	DNS    DNSConfig    `embed:""`
	Check  CheckConfig  `embed:""`
	ACME   ACMEConfig   `embed:""`
	Hooks  HookConfig   `embed:""`
	Hosts  HostConfig   `embed:""`
}

// The values of DCVAAS_SIGN_UP.
const signUpOpen, signUpInvited = "open", "invited"

// HTTPConfig configures the API and the dashboard.
type HTTPConfig struct {
	Listen       string `env:"DCVAAS_LISTEN" for:"serve" default:"127.0.0.1:8080" help:"Listen address of the API and dashboard."`
	SignUp       string `name:"sign-up" env:"DCVAAS_SIGN_UP" for:"serve" default:"open" placeholder:"open|invited" help:"Who can sign in. open, the default: anyone with a GitHub account; a person without an organization gets a new one. invited: only members and people with an invitation."`
	RateLimits   bool   `env:"DCVAAS_RATE_LIMITS" for:"serve" default:"true" negatable:"" help:"Limit requests: API calls and open streams of an organization according to its plan, and requests of a session, person, and client network. Requires Redis; without Redis, requests are not limited."`
	TrustedProxy bool   `env:"DCVAAS_TRUSTED_PROXY" for:"serve" help:"Take the client's address from the last entry of X-Forwarded-For, which your own proxy must set."`

	ACMEDNSOrganization string `name:"acmedns-organization" env:"DCVAAS_ACMEDNS_ORGANIZATION" for:"serve" placeholder:"ORG" help:"ID of the organization that the paths of acme-dns without a registration key (/register, /update, /delete, /health) are for. Anyone who reaches them can register accounts in it. Empty: only the paths below /acmedns are served."`

	CORSOrigins []string `name:"cors-origins" env:"DCVAAS_CORS_ORIGINS" for:"serve" default:"*" placeholder:"ORIGIN" help:"Origins whose pages can call the API with a token, such as https://app.example.com; * allows any origin, an empty value none. Session cookies are never accepted from other origins."`

	// set by dev: the account that signs in without a password
	devSignIn *controlplane.GitHubAccount
	limits    controlplane.Limits // set by tests; zero: controlplane.DefaultLimits
}

// GitHubConfig configures sign-in with GitHub. Without a client ID, sign-in is disabled.
type GitHubConfig struct {
	ClientID     string `name:"github-client-id" env:"DCVAAS_GITHUB_CLIENT_ID" for:"serve" help:"Client ID of the GitHub OAuth app for sign-in to the dashboard."`
	ClientSecret string `name:"github-client-secret" env:"DCVAAS_GITHUB_CLIENT_SECRET" for:"serve" help:"Client secret of that OAuth app. A secret."`
	URL          string `name:"github-url" env:"DCVAAS_GITHUB_URL" for:"serve" default:"https://github.com" placeholder:"URL" help:"URL of GitHub's web pages. For an Enterprise Server: https://HOST."`
	APIURL       string `name:"github-api-url" env:"DCVAAS_GITHUB_API_URL" for:"serve" default:"https://api.github.com" placeholder:"URL" help:"URL of GitHub's API. For an Enterprise Server: https://HOST/api/v3."`
}

// WorkConfig configures the workers.
type WorkConfig struct {
	Concurrency int           `env:"DCVAAS_CONCURRENCY" for:"work" default:"32" help:"Maximum concurrent jobs in this process."`
	SweepEvery  time.Duration `env:"DCVAAS_SWEEP_EVERY" for:"work" default:"1m" help:"Interval between renewal sweeps."`
	SweepSpread time.Duration `env:"DCVAAS_SWEEP_SPREAD" for:"work" default:"1m" help:"Period over which the start of simultaneously due renewals is spread; 0 disables spreading."`
	RetryBase   time.Duration `env:"DCVAAS_RETRY_BASE" for:"work" default:"10s" help:"Initial retry backoff; multiplied by 4 on each retry."`
	Lease       time.Duration `env:"DCVAAS_LEASE" for:"work" default:"10s" help:"Job lease; a job is requeued after this long without a heartbeat."`
}

// DNSConfig configures the name server of the validation zone.
type DNSConfig struct {
	Listen      []string `name:"dns-listen" env:"DCVAAS_DNS_LISTEN" for:"dns" default:"127.0.0.1:5300" help:"Listen addresses, UDP and TCP. A public server listens on port 53."`
	NameServers []string `name:"name-servers" env:"DCVAAS_NAME_SERVERS" for:"dns" placeholder:"HOST=IP/IP6" help:"The zone's name servers with their addresses, such as ns1.example.net=203.0.113.1/2001:db8::1."`
	Announce    string   `name:"dns-announce" env:"DCVAAS_DNS_ANNOUNCE" for:"dns" placeholder:"HOST:PORT" help:"Address at which workers query this replica. Default: its listen address, or the address from which it connects to Postgres if it listens on all addresses."`
	Servers     []string `name:"dns-servers" env:"DCVAAS_DNS_SERVERS" for:"serve work" placeholder:"HOST:PORT" help:"The name servers that must serve a challenge before it is reported to the CA, and the value of an acme-dns client before its update succeeds. Default: all replicas that run."`
	RateExempt  []string `name:"dns-rate-exempt" env:"DCVAAS_DNS_RATE_EXEMPT" for:"dns" default:"127.0.0.0/8,::1/128" placeholder:"PREFIX" help:"Networks that are exempt from dns-rate-limit and from the limit of TCP connections, such as those of workers on other machines."`
	RateLimit   int      `name:"dns-rate-limit" env:"DCVAAS_DNS_RATE_LIMIT" for:"dns" default:"100" help:"Maximum UDP answers per second to one client network. Answers beyond the limit are truncated, so that clients retry over TCP. 0 disables the limit."`
}

// CheckConfig configures the checks of customers' delegations.
type CheckConfig struct {
	Resolvers    []string `env:"DCVAAS_RESOLVERS" for:"serve work" placeholder:"NAME=URL" help:"DNS-over-HTTPS resolvers (RFC 8484). Default: Cloudflare's and Google's."`
	AskAuthority bool     `env:"DCVAAS_ASK_AUTHORITY" for:"serve work" default:"true" negatable:"" help:"Also query the zones' authoritative name servers. Requires outgoing port 53 (UDP and TCP)."`
	Authority    string   `env:"DCVAAS_AUTHORITY" for:"serve work" placeholder:"HOST:PORT" help:"For tests: a server to query instead of the customers' name servers."`
}

// HookConfig configures customers' webhooks.
type HookConfig struct {
	Loopback bool `name:"webhook-loopback" env:"DCVAAS_WEBHOOK_LOOPBACK" for:"serve work" help:"Allow webhook URLs on this machine, including plain HTTP. For development only: customers can then reach services on loopback addresses."`
}

// HostConfig configures the connections to customers' DNS hosts.
type HostConfig struct {
	Loopback bool `name:"dns-connection-loopback" env:"DCVAAS_DNS_CONNECTION_LOOPBACK" for:"serve work" help:"Allow DNS connections to name servers on this machine. For development only: customers can then reach services on loopback addresses."`
}

// ACMEConfig configures the CAs.
type ACMEConfig struct {
	Email          string `name:"acme-email" env:"DCVAAS_ACME_EMAIL" for:"work account ca" help:"Contact address of the accounts at the CAs."`
	Staging        bool   `name:"acme-staging" env:"DCVAAS_ACME_STAGING" for:"work account ca" help:"Use Let's Encrypt's staging environment."`
	ZeroSSLKeyID   string `name:"zerossl-eab-kid" env:"DCVAAS_ZEROSSL_EAB_KID" for:"work account ca" help:"EAB key ID at ZeroSSL. If set, ZeroSSL is the backup CA."`
	ZeroSSLHMACKey string `name:"zerossl-eab-hmac" env:"DCVAAS_ZEROSSL_EAB_HMAC" for:"work account ca" help:"EAB HMAC key at ZeroSSL. A secret."`
	CAs            string `name:"cas" env:"DCVAAS_CAS" for:"work account ca" placeholder:"JSON" help:"CAs in order of preference; replaces the two CAs above: [{\"name\", \"directory\", \"email\", \"eab_key_id\", \"eab_hmac\", \"profile\", \"roots_file\", \"limits\", \"accounts\"}]. A secret."`
}

var errNoDatabase = errors.New(
	"database-url (DCVAAS_DATABASE_URL) is required, such as postgres://dcvaas@localhost/dcvaas")

// check returns an error that names the first invalid setting.
func (c *Config) check() error {
	switch {
	case c.Database == "":
		return errNoDatabase
	case (c.GitHub.ClientID == "") != (c.GitHub.ClientSecret == ""):
		return errors.New(
			"github-client-id (DCVAAS_GITHUB_CLIENT_ID) and github-client-secret (DCVAAS_GITHUB_CLIENT_SECRET) must be set together")
	case c.GitHub.ClientID != "" && !isWebURL(c.GitHub.URL):
		return errors.New(
			"github-url (DCVAAS_GITHUB_URL): invalid URL, expected one such as https://github.com")
	case c.GitHub.ClientID != "" && !isWebURL(c.GitHub.APIURL):
		return errors.New(
			"github-api-url (DCVAAS_GITHUB_API_URL): invalid URL, expected one such as https://api.github.com")
	case c.Work.Concurrency < 1:
		return fmt.Errorf("concurrency (DCVAAS_CONCURRENCY): invalid number %d: must be at least 1",
			c.Work.Concurrency)
	case c.Work.Lease < time.Second:
		return fmt.Errorf("lease (DCVAAS_LEASE): invalid duration %s: must be at least 1s",
			c.Work.Lease)
	case c.Work.SweepEvery <= 0:
		return fmt.Errorf("sweep-every (DCVAAS_SWEEP_EVERY): invalid duration %s: must be positive",
			c.Work.SweepEvery)
	case c.Work.SweepSpread < 0:
		return fmt.Errorf(
			"sweep-spread (DCVAAS_SWEEP_SPREAD): invalid duration %s: must not be negative",
			c.Work.SweepSpread)
	case c.Work.RetryBase <= 0:
		return fmt.Errorf("retry-base (DCVAAS_RETRY_BASE): invalid duration %s: must be positive",
			c.Work.RetryBase)
	case c.Connections < minConnections:
		return fmt.Errorf(
			"database-connections (DCVAAS_DATABASE_CONNECTIONS): invalid number %d: must be at least %d",
			c.Connections, minConnections)
	case c.DrainDelay < 0:
		return fmt.Errorf(
			"drain-delay (DCVAAS_DRAIN_DELAY): invalid duration %s: must not be negative",
			c.DrainDelay)
	case c.GracePeriod < 0:
		return fmt.Errorf(
			"grace-period (DCVAAS_GRACE_PERIOD): invalid duration %s: must not be negative",
			c.GracePeriod)
	case c.HTTP.SignUp != signUpOpen && c.HTTP.SignUp != signUpInvited:
		return fmt.Errorf("sign-up (DCVAAS_SIGN_UP): invalid value %q: must be open or invited",
			c.HTTP.SignUp)
	}
	if id := c.HTTP.ACMEDNSOrganization; id != "" &&
		!controlplane.IsID(controlplane.PrefixOrganization, id) {
		return fmt.Errorf("acmedns-organization (DCVAAS_ACMEDNS_ORGANIZATION): invalid ID %q: expected one such as org_01h455vb4pex5vsknk084sn02q",
			id)
	}
	if err := checkAddresses("dns-servers (DCVAAS_DNS_SERVERS)", c.DNS.Servers); err != nil {
		return err
	}
	if c.DNS.Announce != "" {
		if err := checkAddresses("dns-announce (DCVAAS_DNS_ANNOUNCE)",
			[]string{c.DNS.Announce}); err != nil {
			return err
		}
	}
	if err := checkAddresses("dns-listen (DCVAAS_DNS_LISTEN)", c.DNS.Listen); err != nil {
		return err
	}
	if _, err := edge.NewCORS(c.HTTP.CORSOrigins, nil, nil, nil); err != nil {
		return fmt.Errorf("cors-origins (DCVAAS_CORS_ORIGINS): %w", err)
	}
	return nil
}

// checkZone returns an error if the zone is missing or invalid. Admin commands work without one.
func (c *Config) checkZone() error {
	if c.Zone == "" {
		return errors.New(
			"zone (DCVAAS_ZONE) is required: the validation zone, such as acme.example.net")
	}
	if name, err := controlplane.ParseName("", c.Zone); err != nil || name != c.Zone ||
		strings.HasPrefix(name, "*") {
		return fmt.Errorf(
			"zone (DCVAAS_ZONE): invalid name %q: expected one such as acme.example.net, in lowercase",
			c.Zone)
	}
	return nil
}

// checkAddresses returns an error that names the first address that is not a host with a port.
func checkAddresses(setting string, addresses []string) error {
	for _, addr := range addresses {
		_, port, err := net.SplitHostPort(addr)
		if _, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil {
			return fmt.Errorf("%s: invalid address %q: expected host:port, such as 203.0.113.1:53",
				setting, addr)
		}
	}
	return nil
}

func isWebURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http")
}
