package devstack

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
)

// PlaygroundConfig configures the playground DNS. Only Zone is required.
type PlaygroundConfig struct {
	DNSListen  string // host:port for UDP and TCP; with port 0 or "", a free port on 127.0.0.1
	HTTPListen string // host:port for the page, the record API, and DoH; likewise
	Zone       string // the validation zone, which the playground resolves instead of serving it
	ZoneDNS    string // host:port of the validation zone's DNS server; SetZoneDNS can set it later

	TSIGName   string // name of the key for dynamic updates (RFC 2136); empty rejects all updates
	TSIGSecret string // base64 (RFC 8945)

	StateFile string           // stores the records; empty keeps them only in memory
	Now       func() time.Time // nil is time.Now
	Logger    *slog.Logger     // nil discards
}

// Playground is the DNS of customers' zones in development. It is authoritative for every public
// name, and resolves the validation zone and CNAMEs that point to it. Records are set with an HTTP
// API, a page, and dynamic updates. It must not be used in production.
type Playground struct {
	store   *playgroundStore
	zone    *playgroundZone
	updates *playgroundUpdates
	log     *slog.Logger
	dnsAddr string
	httpURL string
	servers []*dns.Server
	http    *http.Server
	cancel  context.CancelFunc
	running sync.WaitGroup
	saver   *playgroundSaver
	stop    sync.Once
	stopErr error
}

// StartPlayground starts the servers and returns when they accept requests. They run until Stop is
// called or ctx is done. If an address is in use, the error wraps syscall.EADDRINUSE. An unreadable
// or malformed StateFile is also an error.
func StartPlayground(ctx context.Context, cfg PlaygroundConfig) (*Playground, error) {
	if cfg.Zone == "" {
		return nil, errors.New("playground: validation zone not configured")
	}
	if _, err := base64.StdEncoding.DecodeString(cfg.TSIGSecret); err != nil {
		return nil, fmt.Errorf("playground: TSIG secret is not base64: %w", err)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	tcp, udp, err := listenDNS(ctx, cfg.DNSListen)
	if err != nil {
		return nil, fmt.Errorf("playground: DNS: %w", err)
	}
	web, err := new(net.ListenConfig).Listen(ctx, "tcp", orLoopback(cfg.HTTPListen))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("playground: HTTP: %w", err), tcp.Close(), udp.Close())
	}
	p := &Playground{
		zone:    &playgroundZone{name: dns.CanonicalName(cfg.Zone), server: cfg.ZoneDNS},
		log:     cfg.Logger,
		dnsAddr: tcp.Addr().String(),
		httpURL: "http://" + web.Addr().String(),
	}
	p.store = newPlaygroundStore(p.zone.name, tcp.Addr().(*net.TCPAddr).IP, cfg.Now)
	p.updates = &playgroundUpdates{store: p.store}
	if cfg.StateFile != "" {
		if err := p.store.load(cfg.StateFile); err != nil {
			return nil, errors.Join(fmt.Errorf("playground: %w", err), tcp.Close(), udp.Close(),
				web.Close())
		}
		p.saver = startPlaygroundSaver(p.store, cfg.StateFile, cfg.Logger)
	}
	p.serve(ctx, cfg, tcp, udp, web)
	return p, nil
}

// serve starts the DNS and HTTP servers on open sockets.
func (p *Playground) serve(
	ctx context.Context, cfg PlaygroundConfig, tcp net.Listener, udp net.PacketConn,
	web net.Listener,
) {
	base, cancel := context.WithCancel(ctx)
	p.cancel = cancel
	handler := &playgroundHandler{playground: p, base: base}
	var secrets map[string]string
	if cfg.TSIGName != "" {
		secrets = map[string]string{dns.CanonicalName(cfg.TSIGName): cfg.TSIGSecret}
	}
	var started sync.WaitGroup
	for _, srv := range []*dns.Server{{Listener: tcp, MaxTCPQueries: -1},
		{PacketConn: udp, UDPSize: 4096}} {
		srv.Handler, srv.TsigSecret, srv.MsgAcceptFunc = handler, secrets, acceptPlayground
		srv.NotifyStartedFunc = started.Done
		p.servers = append(p.servers, srv)
		started.Add(1)
		p.running.Go(func() {
			if err := srv.ActivateAndServe(); err != nil && base.Err() == nil {
				p.log.Error("playground DNS stopped", "error", err)
			}
		})
	}
	p.http = &http.Server{
		Handler:           edge.OnlyHosts([]string{cfg.HTTPListen}, false, p.routes()),
		ReadHeaderTimeout: 5 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return base },
	}
	p.running.Go(func() {
		if err := p.http.Serve(web); !errors.Is(err, http.ErrServerClosed) {
			p.log.Error("playground HTTP stopped", "error", err)
		}
	})
	started.Wait()
	context.AfterFunc(ctx, func() {
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = p.Stop(stopping)
	})
}

// Stop stops the servers and saves unsaved records. When ctx is done, it closes open connections. A
// second call waits for the first and returns the same error.
func (p *Playground) Stop(ctx context.Context) error {
	p.stop.Do(func() { p.stopErr = p.shutdown(ctx) })
	return p.stopErr
}

func (p *Playground) shutdown(ctx context.Context) error {
	p.cancel()
	err := p.http.Shutdown(ctx)
	if err != nil {
		_ = p.http.Close()
	}
	for _, srv := range p.servers {
		err = errors.Join(err, srv.ShutdownContext(ctx))
	}
	if err == nil {
		p.running.Wait()
	}
	if p.saver != nil {
		err = errors.Join(err, p.saver.stop())
	}
	return err
}

// DNSAddr returns the host:port of the DNS server, for UDP and TCP.
func (p *Playground) DNSAddr() string { return p.dnsAddr }

// URL returns the base URL of the page and the record API, without a trailing slash.
func (p *Playground) URL() string { return p.httpURL }

// DoHURL returns the URL of DNS over HTTPS (RFC 8484), here over plain HTTP.
func (p *Playground) DoHURL() string { return p.httpURL + "/dns-query" }

// SetZoneDNS sets the host:port of the validation zone's DNS server.
func (p *Playground) SetZoneDNS(addr string) { p.zone.setServer(addr) }

// Set replaces the records of one type at a name. ttl is in seconds. For records that a DNS host
// would reject, it returns a *controlplane.Error that names the field.
func (p *Playground) Set(name, typ string, values []string, ttl int) error {
	_, err := p.store.set(name, typ, values, ttl)
	return err
}

// Remove removes the records of one type at a name, or of all types if typ is empty. It reports
// whether there were any.
func (p *Playground) Remove(name, typ string) (bool, error) { return p.store.remove(name, typ) }

func orLoopback(addr string) string {
	if addr == "" {
		return "127.0.0.1:0"
	}
	return addr
}

// listenDNS listens for TCP and UDP on one port. With port 0, TCP's port may be in use for UDP, so
// it tries several ports.
func listenDNS(ctx context.Context, addr string) (net.Listener, net.PacketConn, error) {
	addr = orLoopback(addr)
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, nil, err
	}
	var lc net.ListenConfig
	for try := 0; ; try++ {
		tcp, err := lc.Listen(ctx, "tcp", addr)
		if err != nil {
			return nil, nil, err
		}
		udp, err := lc.ListenPacket(ctx, "udp", tcp.Addr().String())
		if err == nil {
			return tcp, udp, nil
		}
		_ = tcp.Close()
		if port != "0" || try == 9 {
			return nil, nil, err
		}
	}
}
