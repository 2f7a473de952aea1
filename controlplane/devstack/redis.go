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

// RedisConfig says how a Redis server runs. The zero value is one on a free port that keeps nothing.
type RedisConfig struct {
	// Dir keeps a child's data: it is written to disk every second, and a server started on the same directory again has
	// it. It is made if it does not exist. Empty means that nothing is kept. The embedded server never keeps anything.
	Dir string
	// Port is the port on 127.0.0.1. 0 means a free one.
	Port int
	// Password lets clients in. Empty means the one in the file "password" in Dir, which is made if it does not exist, or else
	// a new one.
	Password string
	// Embedded asks for the server in this process even where redis-server or valkey-server is installed.
	Embedded bool
	// Log gets what a child logs. Nil means nobody.
	Log io.Writer
}

// Redis is a running Redis server on 127.0.0.1: redis-server or valkey-server as a child process, or miniredis in this process.
// It lets in nobody without the password in URL.
type Redis struct {
	addr     string
	password string
	process  *child // nil if embedded
	embedded *embeddedRedis
}

// StartRedis starts a server and returns when it answers. Without an installed server it is the embedded one. Ctx bounds the
// start, not the server's life.
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

// URL returns how to reach the server, with the password.
func (r *Redis) URL() string {
	return (&url.URL{Scheme: "redis", User: url.UserPassword("default", r.password), Host: r.addr}).String()
}

// Addr returns host:port.
func (r *Redis) Addr() string { return r.addr }

// Embedded reports whether the server runs in this process, where nothing outlives a Stop.
func (r *Redis) Embedded() bool { return r.embedded != nil }

// PID returns the child's process id, also when it has ended, or 0 for the embedded server.
func (r *Redis) PID() int {
	if r.process == nil {
		return 0
	}
	return r.process.pid()
}

// Exited returns a channel that is closed when the server has ended, asked or unasked.
func (r *Redis) Exited() <-chan struct{} {
	if r.process == nil {
		return r.embedded.done
	}
	return r.process.done
}

// Flush deletes everything in every database.
func (r *Redis) Flush(ctx context.Context) error {
	client := r.client()
	defer client.Close()
	return client.FlushAll(ctx).Err()
}

// Stop ends the server. When it returns, the server is gone, even with an error. It may be called more than once.
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
	return redis.NewClient(&redis.Options{Addr: r.addr, Password: r.password, MaxRetries: -1, DialTimeout: time.Second})
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
		// A free port may be taken before the child has it.
		if err == nil || cfg.Port != 0 || attempt == 3 || !strings.Contains(err.Error(), "Address already in use") {
			return r, err
		}
	}
}

func spawnRedis(ctx context.Context, program string, cfg RedisConfig, port int) (*Redis, error) {
	args := []string{
		"-", // the password comes by standard input, where ps does not show it
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
		cmd = exec.Command(program, append(args, "--dir", cfg.Dir, "--appendonly", "yes", "--appendfsync", "everysec")...)
		cmd.ExtraFiles = []*os.File{lock}
	}
	cmd.Stdin = strings.NewReader(fmt.Sprintf("requirepass %q\n", cfg.Password))
	process, err := startChild(cmd, nil, syscall.SIGTERM, cfg.Log)
	if err != nil {
		return nil, err
	}
	r := &Redis{password: cfg.Password, addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), process: process}
	client := r.client()
	defer client.Close()
	for !redisReady(ctx, client, process.pid()) {
		select {
		case <-process.done:
			return nil, process.failure()
		case <-ctx.Done():
			_ = process.stop(ctx, 0)
			return nil, fmt.Errorf("not ready in time: %w:\n%s", context.Cause(ctx), process.tail)
		case <-time.After(10 * time.Millisecond):
		}
	}
	return r, nil
}

// redisReady reports whether the server with the given process id takes commands: another one may sit on the port.
func redisReady(ctx context.Context, client *redis.Client, pid int) bool {
	if client.Ping(ctx).Err() != nil {
		return false // not there, or still loading its data
	}
	info, err := client.Info(ctx, "server").Result()
	return err == nil && strings.Contains(info, fmt.Sprintf("process_id:%d\r\n", pid))
}

// lockDir makes dir and locks it. The lock is the open file's: once a child has inherited that, it lasts until the child has
// ended, whatever becomes of us. Two servers would ruin each other's append-only file, and Redis itself does not look.
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
			return nil, fmt.Errorf("a server already runs on %s (%w): stop it, or use another directory", dir, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
