package dnsserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Server serves one zone. Create it with New and run it with Start.
type Server struct {
	config  Config
	static  *static
	source  Source
	memory  *memory
	through *through
	lease   *lease
	limiter *limiter
	metrics *metrics
	now     func() time.Time
	newPort func(*net.UDPConn) port
	log     *slog.Logger

	ctx      context.Context // canceled to stop the background work
	cancel   context.CancelFunc
	stopBeat context.CancelFunc
	listen   *listeners
	tcp      *tcpConns
	stopping atomic.Bool
	serving  sync.WaitGroup // goroutines that read questions or wait for lookups
	keeping  sync.WaitGroup // goroutines that maintain memory
	beating  sync.WaitGroup // the goroutine that extends the lease
}

// New returns a server for c, or an error that names the invalid field. It opens no sockets.
func New(c Config) (*Server, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	z, err := newStatic(c)
	if err != nil {
		return nil, err
	}
	s := &Server{config: c, static: z, source: c.Source, memory: new(memory), now: c.Now,
		log: c.Logger, newPort: newPort,
		limiter: newLimiter(c.RateLimit, c.RateLimitExempt)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.lease = newLease(c.Leases)
	s.metrics = &metrics{memory: s.memory, lease: s.lease, now: s.now}
	s.through = newThrough(c, s.metrics)
	s.tcp = newTCPConns(c, s.metrics)
	if c.Registerer != nil {
		if err := c.Registerer.Register(s.metrics); err != nil {
			return nil, fmt.Errorf("dnsserver: metrics: %w", err)
		}
	}
	return s, nil
}

// Start binds all addresses, starts to follow the source, and returns. From then on questions are
// answered, by lookups until the snapshot is loaded (see Ready). ctx applies only to binding; Stop
// stops the server. It may be called once.
func (s *Server) Start(ctx context.Context) error {
	if s.listen != nil {
		return errors.New("dnsserver: started twice")
	}
	l, err := bind(ctx, s.config.Listen, s.config.Sockets)
	if err != nil {
		return fmt.Errorf("dnsserver: %w", err)
	}
	s.listen = l
	beat, stop := context.WithCancel(s.ctx)
	s.stopBeat = stop
	s.lease.received.Store(s.now().UnixNano())
	if s.lease.leases != nil {
		s.beating.Go(func() { s.beat(beat) })
	}
	s.keeping.Go(func() { s.follow(s.ctx) })
	s.keeping.Go(func() { s.sweep(s.ctx) })
	for _, conn := range l.udp {
		s.serving.Go(func() { s.serveUDP(conn) })
	}
	counters := s.metrics.newCounters("tcp")
	for _, ln := range l.tcp {
		s.serving.Go(func() { s.serveTCP(ln, counters) })
	}
	s.log.Info("dnsserver: serving", "zone", s.static.zone, "addresses", s.Addrs())
	return nil
}

// Addr returns the first served address, host:port, or "" before Start. UDP and TCP have the same
// port.
func (s *Server) Addr() string {
	if s.listen == nil {
		return ""
	}
	return s.listen.tcp[0].Addr().String()
}

// Addrs returns all served addresses.
func (s *Server) Addrs() []string {
	var all []string
	if s.listen != nil {
		for _, ln := range s.listen.tcp {
			all = append(all, ln.Addr().String())
		}
	}
	return all
}

// Ready reports whether the zone is loaded and current, the server holds its lease, and it is not
// stopping.
func (s *Server) Ready() bool {
	return s.current(s.now().UnixNano()) && s.Leased() && !s.stopping.Load()
}

// Leased reports whether the server may answer for targets.
func (s *Server) Leased() bool { return s.lease.held(s.now().UnixNano()) }

// Loaded reports whether a snapshot is loaded and changes are followed.
func (s *Server) Loaded() bool { return s.memory.synced.Load() }

// Lag returns the age of the newest heartbeat that the feed has returned: memory contains every
// change before it.
func (s *Server) Lag() time.Duration {
	return s.lease.lag(s.now().UnixNano())
}

// current reports whether memory contains every target and live challenge.
func (s *Server) current(now int64) bool {
	return s.memory.synced.Load() && s.lease.isCurrent(now)
}

// Stop ends the lease and stops the server. Questions already received are answered. If ctx is done
// first, connections are closed and its error is returned. It may be called more than once.
func (s *Server) Stop(ctx context.Context) error {
	s.stopping.Store(true)
	defer s.cancel()
	if s.listen == nil {
		return nil
	}
	s.stopBeat()
	s.beating.Wait()
	s.endLease(ctx)
	s.listen.drain()
	s.tcp.drain()
	served := make(chan struct{})
	go func() {
		s.serving.Wait()
		close(served)
	}()
	var err error
	select {
	case <-served:
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.cancel()
	s.listen.close()
	s.tcp.close()
	if err == nil {
		s.keeping.Wait()
	}
	return err
}
