package program

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// Preferred ports of the development stack. If a port is in use, the stack takes a free one.
const (
	devWebPort, devOpsPort                                   = 8080, 9090
	devZonePort, devPlaygroundDNSPort, devPlaygroundHTTPPort = 5300, 5301, 8053
	devPrimaryCAPort, devBackupCAPort                        = 14000, 14001
	devPostgresPort, devRedisPort                            = 15432, 16379
	devGitHubPort                                            = 8054
)

// DevConfig configures the development stack. The zero value runs it as `dcvaas dev` does.
type DevConfig struct {
	Dir           string // for its state; default ".dcvaas"
	FreePorts     bool   // use free ports instead of the fixed ones
	EmbeddedRedis bool   // run Redis in-process even if redis-server is installed
	Fast          bool   // run Postgres without fsync, for tests
	StrictCA      bool   // run CAs that reject some nonces and respond slowly, as real CAs do
	ReuseCA       bool   // run CAs that reuse valid authorizations in every new order
	NoWork        bool   // run no workers in this process, for tests that kill workers
	NoApp         bool   // start only what the App needs, for tests that run other programs
	Database      string // URL of a running Postgres, for tests that share one
	LogLevel      string
	Logs          io.Writer // receives the program's log; nil discards it
	Configure     func(*Config)
	WrapCA        func(name string) func(http.Handler) http.Handler
}

// Dev is the whole system on one machine: Postgres, Redis, two test CAs, the playground DNS, the
// GitHub stand-in, and the App.
type Dev struct {
	Config     Config
	App        *App
	Postgres   *devstack.Postgres
	Redis      *devstack.Redis
	Primary    *devstack.CA
	Backup     *devstack.CA
	Playground *devstack.Playground
	GitHub     *devstack.GitHub
	OrgID      string
	Token      string // secret of the organization's API token

	secrets secretState

	dir  string
	log  io.Writer
	stop []func(context.Context)
}

// StartDev starts the whole stack and returns when it is ready. On an error, it stops the parts
// that it started.
func StartDev(ctx context.Context, c DevConfig) (_ *Dev, err error) {
	d := &Dev{log: c.Logs}
	if d.log == nil {
		d.log = io.Discard
	}
	defer func() {
		if err != nil {
			stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer cancel()
			d.Stop(stop)
		}
	}()
	if d.dir, err = filepath.Abs(cmp.Or(c.Dir, ".dcvaas")); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(d.dir, 0o755); err != nil {
		return nil, err
	}
	for _, start := range []func(context.Context, DevConfig) error{d.startStores, d.startPlayground,
		d.startGitHub, d.startCAs} {
		if err := start(ctx, c); err != nil {
			return nil, err
		}
	}
	if c.NoApp {
		return d, d.configure(c)
	}
	for _, start := range []func(context.Context, DevConfig) error{d.startConfigured,
		d.startTenant, d.startConnection} {
		if err := start(ctx, c); err != nil {
			return nil, err
		}
	}
	return d, d.writeEnv()
}

func (d *Dev) startStores(ctx context.Context, c DevConfig) error {
	if c.Database == "" {
		if err := d.startPostgres(ctx, c); err != nil {
			return err
		}
	}
	redisPort, err := c.port(devRedisPort)
	if err != nil {
		return err
	}
	if d.Redis, err = devstack.StartRedis(ctx,
		devstack.RedisConfig{Dir: filepath.Join(d.dir, "redis"), Port: redisPort,
			Embedded: c.EmbeddedRedis}); err != nil {
		return err
	}
	d.onStop(func(ctx context.Context) { _ = d.Redis.Stop(ctx) })
	return nil
}

func (d *Dev) startPostgres(ctx context.Context, c DevConfig) error {
	port, err := c.port(devPostgresPort)
	if err != nil {
		return err
	}
	if d.Postgres, err = devstack.StartPostgres(ctx,
		devstack.PostgresConfig{Dir: filepath.Join(d.dir, "postgres"), Port: port,
			Fast: c.Fast}); err != nil {
		return err
	}
	d.onStop(func(ctx context.Context) {
		// Do not wait for a slow final checkpoint: the write-ahead log is on disk, and the next
		// start recovers from it.
		soon, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_ = d.Postgres.Stop(soon)
	})
	return nil
}

func (d *Dev) startPlayground(ctx context.Context, c DevConfig) error {
	dnsPort, err := c.port(devPlaygroundDNSPort)
	if err != nil {
		return err
	}
	httpPort, err := c.port(devPlaygroundHTTPPort)
	if err != nil {
		return err
	}
	if d.secrets, err = devSecrets(d.dir); err != nil {
		return err
	}
	d.Playground, err = devstack.StartPlayground(context.WithoutCancel(ctx),
		devstack.PlaygroundConfig{DNSListen: loopback(dnsPort), HTTPListen: loopback(httpPort),
			Zone: devZone, StateFile: filepath.Join(d.dir, "playground.json"),
			TSIGName: devPlaygroundKey, TSIGSecret: d.secrets.PlaygroundKey})
	if err != nil {
		return err
	}
	d.onStop(func(ctx context.Context) { _ = d.Playground.Stop(ctx) })
	return nil
}

func (d *Dev) startCAs(_ context.Context, c DevConfig) error {
	for _, ca := range []struct {
		name string
		port int
		into **devstack.CA
	}{{"primary", devPrimaryCAPort, &d.Primary}, {"backup", devBackupCAPort, &d.Backup}} {
		port, err := c.port(ca.port)
		if err != nil {
			return err
		}
		cfg := devstack.CAConfig{Name: ca.name, Listen: loopback(port), Management: loopback(0),
			Resolver: d.Playground.DNSAddr(), StateDir: d.dir, Strict: c.StrictCA, Reuse: c.ReuseCA}
		if c.WrapCA != nil {
			cfg.Wrap = c.WrapCA(ca.name)
		}
		started, err := devstack.StartCA(cfg)
		if err != nil {
			return err
		}
		*ca.into = started
		d.onStop(func(ctx context.Context) { _ = started.Stop(ctx) })
	}
	return nil
}

// startConfigured starts the App on ports that were free a moment ago. If another program has
// taken one of them since, it tries other ports. The App can't listen on port 0, because its
// configuration contains its own addresses.
func (d *Dev) startConfigured(ctx context.Context, c DevConfig) error {
	before := len(d.stop)
	for attempt := 1; ; attempt++ {
		err := d.configure(c)
		if err == nil {
			err = d.startApp(ctx, c)
		}
		if err == nil || attempt == 5 || !errors.Is(err, syscall.EADDRINUSE) {
			return err
		}
		d.stopAfter(ctx, before)
	}
}

// devZone is the validation zone of the development stack.
const devZone = "acme.dcvaas-verify.com"

// configure sets the App's configuration, with the secrets from the state directory.
func (d *Dev) configure(c DevConfig) error {
	cfg := &d.Config
	if err := kong.ApplyDefaults(cfg); err != nil {
		return err
	}
	var ports [3]int
	for i, p := range []int{devWebPort, devOpsPort, devZonePort} {
		var err error
		if ports[i], err = c.knownPort(p); err != nil {
			return err
		}
	}
	tls := filepath.Join(d.dir, "ca-tls.pem")
	if err := os.WriteFile(tls, append(d.Primary.TLSRootPEM(), d.Backup.TLSRootPEM()...),
		0o644); err != nil {
		return err
	}
	cas, err := json.Marshal([]caConfig{
		{Name: "primary", Directory: d.Primary.DirectoryURL(),
			Email: "developer@example.com", Profile: "classic", RootsFile: tls},
		{Name: "backup", Directory: d.Backup.DirectoryURL(),
			Email: "developer@example.com", Profile: "classic", RootsFile: tls},
	})
	if err != nil {
		return err
	}
	if cfg.Database = c.Database; cfg.Database == "" {
		cfg.Database = d.Postgres.DSN()
	}
	cfg.Redis = d.Redis.URL() + "/0"
	cfg.SecretKey, cfg.Keyset = d.secrets.SecretKey, d.secrets.Keyset
	cfg.Zone, cfg.ACME.CAs = devZone, string(cas)
	cfg.HTTP.Listen, cfg.OpsListen, cfg.DNS.Listen = loopback(ports[0]), loopback(ports[1]),
		[]string{loopback(ports[2])}
	cfg.PublicURL = "http://" + cfg.HTTP.Listen
	cfg.Check = CheckConfig{Resolvers: []string{"playground=" + d.Playground.DoHURL()},
		AskAuthority: true, Authority: d.Playground.DNSAddr()}
	cfg.GitHub = GitHubConfig{ClientID: devGitHubClient, ClientSecret: devGitHubSecret,
		URL: d.GitHub.URL(), APIURL: d.GitHub.URL()}
	cfg.LogFormat, cfg.Hooks.Loopback, cfg.Hosts.Loopback = "text", true, true
	cfg.DrainDelay, cfg.GracePeriod = 0, time.Second
	if c.LogLevel != "" {
		cfg.LogLevel = c.LogLevel
	}
	d.Playground.SetZoneDNS(cfg.DNS.Listen[0])
	if c.Configure != nil {
		c.Configure(cfg)
	}
	return nil
}

func (d *Dev) startApp(ctx context.Context, c DevConfig) error {
	// The dashboard signs in to the organization, so it must exist before the App serves.
	setup, err := NewApp(ctx, d.Config, Parts{Serve: true}, d.log)
	if err != nil {
		return err
	}
	defer setup.store.Close()
	if _, err := setup.store.Migrate(ctx); err != nil {
		return err
	}
	if d.OrgID, err = devOrganization(ctx, setup); err != nil {
		return err
	}
	account := d.GitHub.Account(devLogin)
	if err := devOwner(ctx, setup, d.OrgID, account); err != nil {
		return err
	}
	d.Config.HTTP.devSignIn = &account
	if d.App, err = NewApp(ctx, d.Config, Parts{Serve: true, Work: !c.NoWork, DNS: true},
		d.log); err != nil {
		return err
	}
	d.onStop(d.App.Stop)
	return d.App.Start(ctx)
}

// devOrganization returns the ID of the development stack's organization and creates it if needed.
func devOrganization(ctx context.Context, a *App) (string, error) {
	all, err := a.store.Organizations(ctx)
	if err != nil {
		return "", err
	}
	if len(all) > 0 {
		return all[0].ID, nil
	}
	limit := 1_000_000
	org, err := a.lifecycle.CreateOrganization(ctx, controlplane.System("dev"),
		lifecycle.NewOrganization{Name: "Development", Tier: controlplane.TierAgency,
			DomainLimit: &limit})
	if err != nil {
		return "", err
	}
	return org.ID, nil
}

// startTenant sets the API token. It reuses the token of the last start if that is still valid and
// has every scope.
func (d *Dev) startTenant(ctx context.Context, _ DevConfig) error {
	path := filepath.Join(d.dir, "token")
	if b, err := os.ReadFile(path); err == nil {
		if t, err := d.App.store.TokenByHash(ctx, controlplane.HashSecret(string(b))); err == nil &&
			len(t.Scopes) == len(controlplane.Scopes()) {
			d.Token = string(b)
			return nil
		}
	}
	_, secret, err := d.App.lifecycle.CreateToken(ctx, controlplane.System("dev"), nil, d.OrgID,
		lifecycle.NewToken{Name: "development", Scopes: controlplane.Scopes()})
	if err != nil {
		return err
	}
	d.Token = secret
	return os.WriteFile(path, []byte(secret), 0o600)
}

// Stop stops all parts in reverse order of their start.
func (d *Dev) Stop(ctx context.Context) { d.stopAfter(ctx, 0) }

// stopAfter stops the parts that were started after the first n.
func (d *Dev) stopAfter(ctx context.Context, n int) {
	for i := len(d.stop) - 1; i >= n; i-- {
		d.stop[i](ctx)
	}
	d.stop = d.stop[:n]
}

func (d *Dev) onStop(f func(context.Context)) { d.stop = append(d.stop, f) }

// port returns the preferred port, or a free port if that is in use. With FreePorts it returns 0,
// with which the listener gets any free port.
func (c DevConfig) port(preferred int) (int, error) {
	if c.FreePorts {
		return 0, nil
	}
	return devstack.PortOr(preferred)
}

// knownPort is like port, but never returns 0, for addresses that must be known before listening.
func (c DevConfig) knownPort(preferred int) (int, error) {
	if c.FreePorts {
		preferred = 0
	}
	return devstack.PortOr(preferred)
}

func loopback(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }

type devCommand struct {
	Dir       string `default:".dcvaas" type:"path" help:"Directory for the state. Data is kept between runs."`
	LogLevel  string `default:"warn" enum:"debug,info,warn,error" help:"Log level on standard error."`
	FreePorts bool   `help:"Use free ports instead of the fixed ones."`
	StrictCA  bool   `name:"strict-ca" help:"Run test CAs that reject some nonces and respond slowly, as real CAs do."`
	Embedded  bool   `name:"embedded-redis" help:"Run Redis in-process even if redis-server is installed."`
}

// Run starts the development stack, prints its addresses, and stops it on an interrupt.
func (c *devCommand) Run(r *run) error {
	start := time.Now()
	d, err := StartDev(r.ctx, DevConfig{Dir: c.Dir, LogLevel: c.LogLevel, FreePorts: c.FreePorts,
		StrictCA: c.StrictCA, EmbeddedRedis: c.Embedded, Logs: r.stderr})
	if err != nil {
		return err
	}
	if _, err := fmt.Fprint(r.stdout, d.describe(time.Since(start))); err != nil {
		return err
	}
	select {
	case <-r.ctx.Done():
	case err = <-d.App.Failed():
	case <-d.Postgres.Exited():
		err = errors.New("postgres exited unexpectedly; see the log in " +
			filepath.Join(d.dir, "postgres"))
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), 10*time.Second)
	defer cancel()
	d.Stop(stop)
	return err
}
