package devstack_test

import (
	"context"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
)

func TestRedisServes(t *testing.T) {
	t.Parallel()
	for _, embedded := range []bool{false, true} {
		r := startRedis(t, devstack.RedisConfig{Embedded: embedded})
		if r.Embedded() != embedded || (r.PID() == 0) != embedded {
			t.Errorf("StartRedis() with Embedded %v: Embedded() = %v, PID() = %d", embedded,
				r.Embedded(), r.PID())
		}
		client := redisClient(t, r)
		if err := client.Set(t.Context(), "key", "value", 1500*time.Millisecond).Err(); err != nil {
			t.Fatal(err)
		}
		if got := client.Get(t.Context(), "key").Val(); got != "value" {
			t.Errorf("embedded %v: GET = %q, want value", embedded, got)
		}
		deadline := time.Now().Add(6 * time.Second)
		for client.Exists(t.Context(), "key").Val() == 1 {
			if time.Now().After(deadline) {
				t.Fatalf("embedded %v: the key still exists after its TTL", embedded)
			}
			time.Sleep(50 * time.Millisecond)
		}
		client.Set(t.Context(), "key", "value", 0)
		if err := r.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := client.DBSize(t.Context()).Val(); n != 0 {
			t.Errorf("embedded %v: keys after Flush() = %d, want 0", embedded, n)
		}
		for range 2 {
			if err := r.Stop(t.Context()); err != nil {
				t.Errorf("embedded %v: Stop() = %v, want no error", embedded, err)
			}
		}
		if client.Ping(t.Context()).Err() == nil {
			t.Errorf("embedded %v: a command after Stop() succeeded, want an error", embedded)
		}
	}
}

func TestRedisKeepsData(t *testing.T) {
	t.Parallel()
	cfg := devstack.RedisConfig{Dir: filepath.Join(t.TempDir(), "redis")}
	r := startRedis(t, cfg)
	if err := redisClient(t, r).Set(t.Context(), "kept", "yes", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := r.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	r = startRedis(t, cfg)
	if got := redisClient(t, r).Get(t.Context(), "kept").Val(); got != "yes" {
		t.Errorf("value after a restart = %q, want yes", got)
	}
	if _, err := devstack.StartRedis(t.Context(), cfg); err == nil || !strings.Contains(err.Error(),
		"already running") {
		t.Errorf("second StartRedis() on a directory = %v, want an error about it", err)
	}
}

func TestRedisStopsWithItsParent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	helper, pid := startHelper(t, "redis", dir)
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatalf("signal to redis %d: %v, want it running", pid, err)
	}
	if err := helper.Kill(); err != nil {
		t.Fatal(err)
	}
	startRedis(t, devstack.RedisConfig{Dir: dir}) // start immediately
	waitGone(t, pid)
}

func startRedis(t *testing.T, cfg devstack.RedisConfig) *devstack.Redis {
	t.Helper()
	r, err := devstack.StartRedis(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Stop(context.Background()) })
	return r
}

func redisClient(t *testing.T, r *devstack.Redis) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(r.URL())
	if err != nil {
		t.Fatal(err)
	}
	options.MaxRetries = -1
	client := redis.NewClient(options)
	t.Cleanup(func() { client.Close() })
	return client
}
