package devstack

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// RedisConfig configures a Redis server. The zero value is a server on a free port that stores
// nothing.
type RedisConfig struct {
	// Dir stores a child's data, which is written to disk every second, for later starts. It is
	// created if it does not exist. Empty means that nothing is stored. The embedded server never
	// stores data.
	Dir string
	// Port is the port on 127.0.0.1. 0 means a free port.
	Port int
	// Password is the password of clients. Empty means the password in the file "password" in Dir,
	// which is created if it does not exist. Without Dir, it means a new password.
	Password string
	// Embedded selects the in-process server even if redis-server or valkey-server is installed.
	Embedded bool
	// Log receives a child's log. Nil discards it.
	Log io.Writer
}

// Redis is a running Redis server on 127.0.0.1: redis-server or valkey-server as a child process,
// or miniredis in this process. It requires the password in URL.
type Redis struct {
	addr     string
	password string
	process  *child // nil if embedded
	embedded *embeddedRedis
}

// StartRedis starts a server and returns when it accepts commands. If no server is installed, it
// starts the embedded one. ctx limits only the start, not the server's lifetime.
func StartRedis(ctx context.Context, cfg RedisConfig) (*Redis, error) {
	program := ""
	if !cfg.Embedded {
		program = findRedis()
	}
	var r *Redis
	err := cfg.choosePassword()
	switch {
	case err != nil:
	case program == "":
		r, err = startEmbeddedRedis(cfg.Port, cfg.Password)
	default:
		r, err = startRedisChild(ctx, program, cfg)
	}
	if err != nil {
		return nil, fmt.Errorf("devstack: redis: %w", err)
	}
	return r, nil
}

func (c *RedisConfig) choosePassword() (err error) {
	if c.Password != "" {
		return nil
	}
	c.Password = newPassword()
	if c.Dir == "" {
		return nil
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return err
	}
	path := filepath.Join(c.Dir, "password")
	kept, err := readPassword(path)
	if kept == "" && err == nil {
		return writePassword(path, c.Password)
	}
	c.Password = kept
	return err
}

// URL returns the server's URL with the password.
func (r *Redis) URL() string {
	return (&url.URL{Scheme: "redis", User: url.UserPassword("default", r.password),
		Host: r.addr}).String()
}

// Addr returns host:port.
func (r *Redis) Addr() string { return r.addr }

// Embedded reports whether the server runs in this process. Its data does not survive Stop.
func (r *Redis) Embedded() bool { return r.embedded != nil }

// PID returns the child's process ID, even after it has exited, or 0 for the embedded server.
func (r *Redis) PID() int {
	if r.process == nil {
		return 0
	}
	return r.process.pid()
}

// Flush deletes all data in all databases.
func (r *Redis) Flush(ctx context.Context) error {
	client := r.client()
	defer client.Close()
	return client.FlushAll(ctx).Err()
}

// Stop stops the server. When it returns, the server has exited, even on an error. It may be called
// more than once.
func (r *Redis) Stop(ctx context.Context) error {
	if r.embedded != nil {
		r.embedded.close()
		return nil
	}
	if !r.process.running() {
		return nil
	}
	if err := r.process.stop(ctx, 5*time.Second, syscall.SIGTERM); err != nil {
		return fmt.Errorf("devstack: redis: %w", err)
	}
	return nil
}

func (r *Redis) client() *redis.Client {
	return redis.NewClient(&redis.Options{Addr: r.addr, Password: r.password, MaxRetries: -1,
		DialTimeout: time.Second})
}

func findRedis() string {
	for _, name := range []string{"redis-server", "valkey-server"} {
		if program, err := exec.LookPath(name); err == nil {
			return program
		}
	}
	return ""
}

func startRedisChild(ctx context.Context, program string, cfg RedisConfig) (*Redis, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for attempt := 0; ; attempt++ {
		port := cfg.Port
		if port == 0 {
			var err error
			if port, err = FreePort(); err != nil {
				return nil, err
			}
		}
		r, err := spawnRedis(ctx, program, cfg, port)
		// Another process may take a free port before the child does.
		if err == nil || cfg.Port != 0 || attempt == 3 ||
			!strings.Contains(err.Error(), "Address already in use") {
			return r, err
		}
	}
}

func spawnRedis(ctx context.Context, program string, cfg RedisConfig, port int) (*Redis, error) {
	args := []string{
		"-", // read the configuration with the password from standard input, which ps does not show
		"--bind", "127.0.0.1", "--port", strconv.Itoa(port),
		"--save", "", "--daemonize", "no", "--logfile", "",
	}
	var cmd *exec.Cmd
	if cfg.Dir == "" {
		cmd = exec.Command(program, args...)
		cmd.Dir = os.TempDir()
	} else {
		lock, err := lockDir(ctx, cfg.Dir)
		if err != nil {
			return nil, err
		}
		defer lock.Close()
		cmd = exec.Command(program, append(args, "--dir", cfg.Dir, "--appendonly", "yes",
			"--appendfsync", "everysec")...)
		cmd.ExtraFiles = []*os.File{lock}
	}
	cmd.Stdin = strings.NewReader(fmt.Sprintf("requirepass %q\n", cfg.Password))
	process, err := startChild(cmd, nil, syscall.SIGTERM, cfg.Log)
	if err != nil {
		return nil, err
	}
	r := &Redis{password: cfg.Password, addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
		process: process}
	client := r.client()
	defer client.Close()
	for !redisReady(ctx, client, process.pid()) {
		select {
		case <-process.done:
			return nil, process.failure()
		case <-ctx.Done():
			_ = process.stop(ctx, 0)
			return nil, fmt.Errorf("not ready before the timeout: %w:\n%s", context.Cause(ctx),
				process.tail)
		case <-time.After(10 * time.Millisecond):
		}
	}
	return r, nil
}

// redisReady reports whether the server with the process ID accepts commands. Another server may be
// using the port.
func redisReady(ctx context.Context, client *redis.Client, pid int) bool {
	if client.Ping(ctx).Err() != nil {
		return false // not started yet, or still loading its data
	}
	info, err := client.Info(ctx, "server").Result()
	return err == nil && strings.Contains(info, fmt.Sprintf("process_id:%d\r\n", pid))
}

// lockDir creates and locks dir. The lock belongs to the open file: after a child has inherited it,
// it lasts until the child has exited, independent of this process. Two servers would corrupt each
// other's append-only file, and Redis does not check.
func lockDir(ctx context.Context, dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for giveUp := time.Now().Add(handoverPatience); ; {
		err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return lock, nil
		}
		if time.Now().After(giveUp) || ctx.Err() != nil {
			lock.Close()
			return nil, fmt.Errorf(
				"a server is already running on %s (%w): stop it, or use another directory", dir,
				err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
