package devstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// PostgresConfig says how a Postgres server runs. The zero value is a server on a free port whose data Stop removes.
type PostgresConfig struct {
	// Dir is the data directory. It is made if it does not exist, and kept: a server started on it again has the data.
	// Postgres refuses to run as root, so a root caller's server runs as the user "postgres", or else "nobody"; where that
	// user cannot reach Dir, the data lies below /var/tmp and Dir is a symbolic link to it. Empty means a new temporary
	// directory, which Stop removes.
	Dir string
	// Port is the port on 127.0.0.1. 0 means a free one.
	Port int
	// Fast gives up durability: data survives a stop and a killed server, but not a crash of the machine. For tests.
	Fast bool
	// BinDir is the directory with the server's programs. Empty means to search for them, on PATH first.
	BinDir string
	// Log gets what the server logs. Nil means nobody.
	Log io.Writer
}

// Postgres is a running Postgres server, a child of this process. It listens on 127.0.0.1 only, and lets in nobody without the
// password in DSN, which is kept in the data directory: a superuser runs programs as the server's user.
type Postgres struct {
	cfg  PostgresConfig
	bin  postgresPrograms
	data dataDir

	// mu is held for the whole of a start, stop or restart.
	mu       sync.Mutex
	port     int
	password string
	process  *child
}

const (
	// startPatience bounds a start where the caller's context does not. Recovery after a crash can take long.
	startPatience = 2 * time.Minute
	// stopPatience is how long a server may write its last checkpoint before it is told to leave without.
	stopPatience = 10 * time.Second
	// handoverPatience is how long a start waits for the server of a process that has just died.
	handoverPatience = 5 * time.Second
)

// StartPostgres starts a server and returns when it takes connections. Ctx bounds the start, not the server's life.
// If no server is installed, the error is ErrNoPostgres and says what to install.
func StartPostgres(ctx context.Context, cfg PostgresConfig) (*Postgres, error) {
	p := &Postgres{cfg: cfg, port: cfg.Port}
	if err := p.open(ctx); err != nil {
		return nil, fmt.Errorf("devstack: postgres: %w", err)
	}
	return p, nil
}

func (p *Postgres) open(ctx context.Context) error {
	installed, err := findPostgres(ctx, p.cfg.BinDir)
	if err != nil {
		return err
	}
	if p.data, err = openDataDir(p.cfg.Dir, installed[0]); err != nil {
		return err
	}
	if p.bin, err = p.data.choose(installed); err != nil {
		return err
	}
	if !p.data.exists() {
		if err := p.data.create(ctx, p.bin, p.cfg.Log); err != nil {
			return errors.Join(err, p.data.discard())
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.start(ctx); err != nil {
		return errors.Join(err, p.data.discard())
	}
	return nil
}

// DSN returns the connection string of the superuser in the database "postgres".
func (p *Postgres) DSN() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Sprintf("postgres://postgres:%s@127.0.0.1:%d/postgres?sslmode=disable", p.password, p.port)
}

// PID returns the process id of the postmaster, also when it has ended.
func (p *Postgres) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.process.pid()
}

// Dir returns where the data lies in truth.
func (p *Postgres) Dir() string { return p.data.path }

// Exited returns a channel that is closed when the server that runs now has ended, asked or unasked.
func (p *Postgres) Exited() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.process.done
}

// Restart stops the server, if it still runs, and starts it again on the same port. Every connection breaks.
func (p *Postgres) Restart(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.halt(ctx); err != nil {
		return fmt.Errorf("devstack: postgres: %w", err)
	}
	if err := p.start(ctx); err != nil {
		return fmt.Errorf("devstack: postgres: %w", err)
	}
	return nil
}

// Stop breaks all connections and ends the server. When it returns, the server is gone, even with an error: if ctx ended
// first, the server left without its last checkpoint and will recover at the next start. It may be called more than once.
func (p *Postgres) Stop(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := errors.Join(p.halt(ctx), p.data.discard()); err != nil {
		return fmt.Errorf("devstack: postgres: %w", err)
	}
	return nil
}

// halt ends the process: SIGINT is Postgres' fast shutdown, SIGQUIT its immediate one.
func (p *Postgres) halt(ctx context.Context) error {
	if !p.process.running() {
		return nil
	}
	return p.process.stop(ctx, stopPatience, syscall.SIGINT, syscall.SIGQUIT)
}

// start tries until the server is ready, as long as what stands in the way may pass: a server that is just ending, or a port
// that was free a moment ago.
func (p *Postgres) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	giveUp := time.Now().Add(handoverPatience)
	for {
		err := p.data.claim()
		if err == nil {
			p.password, err = p.data.secure(ctx, p.bin, p.cfg.Log)
		}
		if err == nil {
			err = p.spawn(ctx)
		}
		var passing *passingError
		if !errors.As(err, &passing) || time.Now().After(giveUp) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// spawn starts the server once and waits until it says that it is ready.
func (p *Postgres) spawn(ctx context.Context) error {
	port := p.port
	if port == 0 {
		var err error
		if port, err = FreePort(); err != nil {
			return err
		}
	}
	process, err := startChild(p.command(port), p.data.owner, syscall.SIGINT, p.cfg.Log)
	if err != nil {
		return err
	}
	for !p.data.ready(process.pid()) {
		select {
		case <-process.done:
			return p.explain(process, port)
		case <-ctx.Done():
			_ = process.stop(ctx, stopPatience, syscall.SIGQUIT)
			return fmt.Errorf("not ready in time: %w:\n%s", context.Cause(ctx), process.tail)
		case <-time.After(10 * time.Millisecond):
		}
	}
	p.port, p.process = port, process
	return nil
}

// command gives the settings as arguments, so that they follow the program and not the day the directory was made.
func (p *Postgres) command(port int) *exec.Cmd {
	settings := []string{
		"listen_addresses=127.0.0.1",
		"port=" + strconv.Itoa(port),
		"unix_socket_directories=", // their path may be too long
		"max_connections=300",
		"logging_collector=off",
		"log_destination=stderr",
	}
	if p.cfg.Fast {
		settings = append(settings, "fsync=off", "synchronous_commit=off", "full_page_writes=off")
	}
	args := []string{"-D", p.data.path}
	for _, setting := range settings {
		args = append(args, "-c", setting)
	}
	cmd := exec.Command(filepath.Join(p.bin.dir, "postgres"), args...)
	cmd.Dir = p.data.path
	return cmd
}

// explain turns the end of a server that did not become ready into an error with a remedy, where it knows one.
func (p *Postgres) explain(process *child, port int) error {
	failure := process.failure()
	output := process.tail.String()
	switch {
	case strings.Contains(output, "could not create any TCP/IP sockets") && p.port == 0:
		return &passingError{failure}
	case strings.Contains(output, "could not create any TCP/IP sockets"):
		return fmt.Errorf("port %d of 127.0.0.1 is taken: %w", port, failure)
	case isEnding(output):
		return &passingError{failure}
	}
	return failure
}

// isEnding reports whether a server did not start since another, which was killed or is just ending, has the directory.
func isEnding(output string) bool {
	return strings.Contains(output, "pre-existing shared memory block") || strings.Contains(output, `lock file "postmaster.pid"`)
}

// passingError is what may be gone when tried again.
type passingError struct{ error }

func (e *passingError) Unwrap() error { return e.error }

// ready reports whether the server with the given process id says, in the last line of its lock file, that it takes
// connections. The id must match: a file of another server would lead to that one.
func (d dataDir) ready(pid int) bool {
	lock, err := os.ReadFile(filepath.Join(d.path, "postmaster.pid"))
	if err != nil {
		return false
	}
	lines := strings.Split(string(lock), "\n")
	return len(lines) >= 8 && strings.TrimSpace(lines[0]) == strconv.Itoa(pid) && strings.TrimSpace(lines[7]) == "ready"
}
