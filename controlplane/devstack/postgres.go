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

// PostgresConfig configures a Postgres server. The zero value is a server on a free port whose data
// is deleted by Stop.
type PostgresConfig struct {
	// Dir is the data directory. It is created if it does not exist, and kept for later starts.
	// Postgres does not run as root, so for root, the server runs as the user "postgres", or
	// otherwise "nobody". If that user can't access Dir, the data is in /var/tmp, and Dir is a
	// symbolic link to it. Empty means a new temporary directory, which Stop deletes.
	Dir string
	// Port is the port on 127.0.0.1. 0 means a free port.
	Port int
	// Fast disables durability, for tests: data survives a stop or a killed server, but not a crash
	// of the machine.
	Fast bool
	// BinDir is the directory of the server's programs. If empty, PATH and then the usual
	// directories are searched.
	BinDir string
	// Log receives the server's log. Nil discards it.
	Log io.Writer
}

// Postgres is a running Postgres server, a child of this process. It listens only on 127.0.0.1, and
// requires the password in DSN, which is stored in the data directory: a superuser can run programs
// as the server's user.
type Postgres struct {
	cfg  PostgresConfig
	bin  postgresPrograms
	data dataDir

	// mu is held during an entire start, stop, or restart.
	mu       sync.Mutex
	port     int
	password string
	process  *child
}

const (
	// startPatience limits a start if the caller's context does not. Crash recovery can take long.
	startPatience = 2 * time.Minute
	// stopPatience is the time limit for the final checkpoint.
	stopPatience = 10 * time.Second
	// handoverPatience is how long a start waits for the server of a process that has just exited.
	handoverPatience = 5 * time.Second
)

// StartPostgres starts a server and returns when it accepts connections. ctx limits only the start,
// not the server's lifetime. If no server is installed, the error is ErrNoPostgres, which states
// what to install.
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

// DSN returns the superuser's connection string for the database "postgres".
func (p *Postgres) DSN() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Sprintf("postgres://postgres:%s@127.0.0.1:%d/postgres?sslmode=disable", p.password,
		p.port)
}

// PID returns the process ID of the postmaster, even after it has exited.
func (p *Postgres) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.process.pid()
}

// Dir returns the actual data directory, with symbolic links resolved.
func (p *Postgres) Dir() string { return p.data.path }

// Exited returns a channel that is closed when the current server process has exited for any
// reason.
func (p *Postgres) Exited() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.process.done
}

// Restart stops the server, if it is running, and starts it again on the same port. All connections
// break.
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

// Stop closes all connections and stops the server. When it returns, the server has exited, even on
// an error: if ctx was done first, the server skipped its final checkpoint and will recover at the
// next start. It may be called more than once.
func (p *Postgres) Stop(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := errors.Join(p.halt(ctx), p.data.discard()); err != nil {
		return fmt.Errorf("devstack: postgres: %w", err)
	}
	return nil
}

// halt stops the process. SIGINT is Postgres' fast shutdown, and SIGQUIT its immediate shutdown.
func (p *Postgres) halt(ctx context.Context) error {
	if !p.process.running() {
		return nil
	}
	return p.process.stop(ctx, stopPatience, syscall.SIGINT, syscall.SIGQUIT)
}

// start retries until the server is ready, as long as the obstacle is temporary: another server
// that is shutting down, or a port that was taken after it was chosen.
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

// spawn starts the server once and waits until it reports that it is ready.
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
			return fmt.Errorf("not ready before the timeout: %w:\n%s", context.Cause(ctx),
				process.tail)
		case <-time.After(10 * time.Millisecond):
		}
	}
	p.port, p.process = port, process
	return nil
}

// command passes the settings as arguments, so that they depend on the program's version, not on
// the version that created the directory.
func (p *Postgres) command(port int) *exec.Cmd {
	settings := []string{
		"listen_addresses=127.0.0.1",
		"port=" + strconv.Itoa(port),
		"unix_socket_directories=", // their paths may be too long
		"max_connections=300",
		"logging_collector=off",
		"log_destination=stderr",
	}
	if p.cfg.Fast {
		settings = append(settings, "fsync=off", "synchronous_commit=off", "full_page_writes=off",
			"wal_level=minimal", "max_wal_senders=0")
	}
	args := []string{"-D", p.data.path}
	for _, setting := range settings {
		args = append(args, "-c", setting)
	}
	cmd := exec.Command(filepath.Join(p.bin.dir, "postgres"), args...)
	cmd.Dir = p.data.path
	return cmd
}

// explain returns an error for a server that did not become ready. If the cause is known, the error
// has a fix.
func (p *Postgres) explain(process *child, port int) error {
	failure := process.failure()
	output := process.tail.String()
	switch {
	case strings.Contains(output, "could not create any TCP/IP sockets") && p.port == 0:
		return &passingError{failure}
	case strings.Contains(output, "could not create any TCP/IP sockets"):
		return fmt.Errorf("port %d on 127.0.0.1 is in use: %w", port, failure)
	case isEnding(output):
		return &passingError{failure}
	}
	return failure
}

// isEnding reports whether the server did not start because another server, which was killed or is
// shutting down, has the directory.
func isEnding(output string) bool {
	return strings.Contains(output, "pre-existing shared memory block") ||
		strings.Contains(output, `lock file "postmaster.pid"`)
}

// passingError is an error that may not occur on a retry.
type passingError struct{ error }

func (e *passingError) Unwrap() error { return e.error }

// ready reports whether the last line of the lock file states that the server with the process ID
// accepts connections. The ID must match, because the file could belong to another server.
func (d dataDir) ready(pid int) bool {
	lock, err := os.ReadFile(filepath.Join(d.path, "postmaster.pid"))
	if err != nil {
		return false
	}
	lines := strings.Split(string(lock), "\n")
	return len(lines) >= 8 && strings.TrimSpace(lines[0]) == strconv.Itoa(pid) &&
		strings.TrimSpace(lines[7]) == "ready"
}
