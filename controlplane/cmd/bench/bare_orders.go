package main

import (
	"context"
	"crypto/x509"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/acme"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/seal"
)

// bareOrders is the limit of the pipeline: only the order engine, with accounts, journal, and TXT
// records in memory.
type bareOrders struct {
	ca     *devstack.CA
	engine *acme.Engine
	txt    *memoryTXT
	serial atomic.Int64
}

func startBareOrders() (*bareOrders, error) {
	txt, err := startMemoryTXT()
	if err != nil {
		return nil, err
	}
	b := &bareOrders{txt: txt}
	if err := b.start(); err != nil {
		b.stop()
		return nil, err
	}
	return b, nil
}

func (b *bareOrders) start() error {
	var err error
	if b.ca, err = devstack.StartCA(devstack.CAConfig{Name: "bare",
		Resolver: b.txt.listener.Addr().String()}); err != nil {
		return err
	}
	keyset, err := seal.New()
	if err != nil {
		return err
	}
	sealer, err := seal.Open(keyset)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(b.ca.TLSRootPEM())
	b.engine, err = acme.New(acme.Config{Accounts: new(memoryAccounts), Sealer: sealer,
		CAs: []acme.CA{{Name: "bare", DirectoryURL: b.ca.DirectoryURL(),
			Profile: "classic", RootCAs: roots}}})
	return err
}

func (b *bareOrders) stop() {
	if b.engine != nil {
		b.engine.Close()
	}
	if b.ca != nil {
		ctx, cancel := context.WithTimeout(context.Background(), stopPatience)
		defer cancel()
		_ = b.ca.Stop(ctx)
	}
	_ = b.txt.listener.Close()
}

// issue gets n certificates of the given number of names with limited concurrency. It returns the
// certificates per second and the milliseconds that each took.
func (b *bareOrders) issue(
	ctx context.Context, n, parallel, names int,
) (perSecond float64, took []float64, err error) {
	took = make([]float64, n)
	start := time.Now()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i := range n {
		g.Go(func() error {
			at := time.Now()
			o := &controlplane.Order{CA: "bare",
				Names:   namesOf(int(b.serial.Add(1)), names).all(),
				KeyType: controlplane.KeyEC256}
			if err := b.engine.Prepare(ctx, o, nil); err != nil {
				return err
			}
			_, err := b.engine.Run(ctx, o, b)
			took[i] = ms(time.Since(at))
			return err
		})
	}
	err = g.Wait()
	return float64(n) / time.Since(start).Seconds(), took, err
}

// Save implements controlplane.Journal. It stores nothing.
func (b *bareOrders) Save(context.Context, *controlplane.Order) error { return nil }

// Publish implements controlplane.Journal.
func (b *bareOrders) Publish(_ context.Context, o *controlplane.Order) error {
	by := controlplane.ByTarget(o.Values)
	for _, identifier := range controlplane.Identifiers(o.Names) {
		b.txt.set(rules.ChallengeName(identifier), by[o.TargetOf(identifier)])
	}
	return nil
}

// Ready implements controlplane.Journal.
func (b *bareOrders) Ready(context.Context, *controlplane.Order) error { return nil }

// memoryAccounts has one account.
type memoryAccounts struct {
	mu      sync.Mutex
	account *controlplane.Account
}

// Account implements acme.Accounts.
func (m *memoryAccounts) Account(context.Context, string) (*controlplane.Account, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.account, nil
}

// CreateAccount implements acme.Accounts.
func (m *memoryAccounts) CreateAccount(
	_ context.Context, a *controlplane.Account,
) (*controlplane.Account, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.account == nil {
		m.account = a
	}
	return m.account, nil
}

// SetAccountURL implements acme.Accounts.
func (m *memoryAccounts) SetAccountURL(_ context.Context, _, url string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	changed := *m.account
	changed.URL = url
	m.account = &changed
	return nil
}

// memoryTXT answers TXT queries over TCP, which Pebble uses.
type memoryTXT struct {
	listener net.Listener
	mu       sync.RWMutex
	values   map[string][]string // by name in wire format
}

func startMemoryTXT() (*memoryTXT, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	m := &memoryTXT{listener: l, values: map[string][]string{}}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go m.serve(conn)
		}
	}()
	return m, nil
}

func (m *memoryTXT) set(name string, values []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values[string(packName(name))] = slices.Clone(values)
}

func (m *memoryTXT) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	for {
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(conn, query); err != nil {
			return
		}
		name, end := questionName(query)
		if name == nil {
			return
		}
		m.mu.RLock()
		values := m.values[string(name)]
		m.mu.RUnlock()
		answer := packTXT(make([]byte, 2, 512), query[:end], values)
		binary.BigEndian.PutUint16(answer, uint16(len(answer)-2))
		if _, err := conn.Write(answer); err != nil {
			return
		}
	}
}
