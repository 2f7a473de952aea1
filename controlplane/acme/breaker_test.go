package acme_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/acme"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
)

// TestBreaker takes the CA down until the breaker opens, and brings it back.
func TestBreaker(t *testing.T) {
	t.Parallel()
	w, f := newFaultyWorld(t, devstack.CAConfig{})
	c := &clock{t: time.Now()}
	e := w.engine(t, func(cfg *acme.Config) {
		cfg.Now, cfg.Breaker = c.now, acme.Breaker{Failures: 3, Open: 30 * time.Second,
			MaxOpen: 100 * time.Second}
	})
	w.issue(t, e, "up.example.com")
	requests := func() (n int) {
		for _, path := range allPaths {
			n += f.requests(path)
		}
		return n
	}
	fail := func(name string) time.Time {
		o := w.order(t, e, name)
		_, err := e.Run(t.Context(), o, w.journal(o))
		got := wantError(t, err, acme.Unreachable, "ca-unreachable")
		if got.Over {
			t.Errorf("%s: Over = true, want false", name)
		}
		return got.RetryAt
	}
	healthy := func(want bool, wait time.Duration) {
		t.Helper()
		ok, until := e.Healthy("pebble")
		if ok != want || !ok && until.Sub(c.now()) != wait {
			t.Errorf("Healthy = %v until +%s, want %v until +%s", ok, until.Sub(c.now()), want,
				wait)
		}
	}
	for _, path := range allPaths {
		f.answer(path, 0, 502, map[string]string{"Content-Type": "text/html"}, "<html>")
	}
	opened := c.now()
	shown := func(wait time.Duration) {
		t.Helper()
		open := e.OpenBreakers()
		if len(open) != 1 || open[0].CA != "pebble" || !open[0].Since.Equal(opened) ||
			open[0].ProbeAt.Sub(c.now()) != wait || !strings.Contains(open[0].Message, "502") {
			t.Errorf("OpenBreakers = %+v, want pebble since %s with the probe after %s and the 502",
				open, opened, wait)
		}
	}
	for i := range 3 {
		healthy(true, 0)
		if open := e.OpenBreakers(); len(open) != 0 {
			t.Errorf("OpenBreakers after %d failures = %+v, want none", i, open)
		}
		fail(fmt.Sprintf("down%d.example.com", i))
	}
	healthy(false, 30*time.Second)
	shown(30 * time.Second)
	before := requests()
	if at := fail("open.example.com"); !at.Equal(c.now().Add(30 * time.Second)) {
		t.Errorf("RetryAt = %s, want the end of the open period", at)
	}
	if info, err := e.RenewalInfo(t.Context(), "pebble", someARIID); err == nil ||
		info.HasWindow() {
		t.Errorf("RenewalInfo with an open breaker = %+v, want the next check after the open period", info)
	}
	if n := requests() - before; n != 0 {
		t.Errorf("requests with an open breaker = %d, want 0", n)
	}
	// each failed probe doubles the period
	for _, wait := range []time.Duration{60 * time.Second, 100 * time.Second, 100 * time.Second} {
		_, until := e.Healthy("pebble")
		c.set(until)
		healthy(true, 0)
		if e.Answering("pebble") {
			t.Error("Answering between open periods = true, want false")
		}
		shown(0)
		fail("probe.example.com")
		healthy(false, wait)
		shown(wait)
	}
	for _, path := range allPaths {
		f.on(path, nil)
	}
	c.advance(100 * time.Second)
	w.issue(t, e, "back.example.com")
	healthy(true, 0)
	w.issue(t, e, "again.example.com")
	if ok, _ := e.Healthy("unknown"); ok || e.Answering("unknown") {
		t.Error("Healthy of an unconfigured CA = true, want false")
	}
	if open := e.OpenBreakers(); !e.Answering("pebble") || len(open) != 0 {
		t.Errorf("after recovery: Answering = %v, OpenBreakers = %+v, want true and none",
			e.Answering("pebble"), open)
	}
}

// TestBreakerProbe lets one run probe whether the CA is back, while the others are rejected. An
// interrupted probe has no result, and another run takes its place.
func TestBreakerProbe(t *testing.T) {
	t.Parallel()
	w, f := newFaultyWorld(t, devstack.CAConfig{})
	c := &clock{t: time.Now()}
	e := w.engine(t, func(cfg *acme.Config) {
		cfg.Now, cfg.Breaker = c.now,
			acme.Breaker{Failures: 1}
	})
	f.answer(pathDirectory, 0, 502, nil, "")
	o := w.order(t, e, "probe.example.com")
	if _, err := e.Run(t.Context(), o, w.journal(o)); err == nil {
		t.Fatal("Run with an unreachable CA = nil error, want an error")
	}
	_, until := e.Healthy("pebble")
	c.set(until)

	arrived := make(chan struct{}, 10)
	f.on(pathDirectory, func(_ int, _ http.ResponseWriter, r *http.Request, _ http.Handler) {
		arrived <- struct{}{}
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := e.Run(ctx, o, w.journal(o))
		ended <- err
	}()
	<-arrived
	if ok, _ := e.Healthy("pebble"); ok {
		t.Error("Healthy during a probe = true, want false")
	}
	other := w.order(t, e, "other.example.com")
	_, err := e.Run(t.Context(), other, w.journal(other))
	wantError(t, err, acme.Unreachable, "ca-unreachable")
	cancel()
	wantError(t, <-ended, acme.Interrupted, "order-interrupted")
	if len(arrived) != 0 {
		t.Error("more than one run sent a request, want only the probe")
	}
	f.on(pathDirectory, nil)
	if ok, _ := e.Healthy("pebble"); !ok {
		t.Error("Healthy after an interrupted probe = false, want true")
	}
	w.issue(t, e, "next.example.com")
}

// TestBreakerCountsNoRefusals has the CA reject orders, and the local side fail: neither opens the
// breaker.
func TestBreakerCountsNoRefusals(t *testing.T) {
	t.Parallel()
	w, f := newFaultyWorld(t, devstack.CAConfig{})
	e := w.engine(t, func(cfg *acme.Config) { cfg.Breaker.Failures = 2 })
	run := func(kill bool) error {
		o := w.order(t, e, "refused.example.com")
		j := w.journal(o)
		j.killPub = kill
		_, err := e.Run(t.Context(), o, j)
		return err
	}
	for kind, status := range map[string]int{"rejectedIdentifier": 400, "caa": 403,
		"rateLimited": 429, "malformed": 404} {
		f.answer(pathNewOrder, 0, status, nil,
			fmt.Sprintf(`{"type":"%s%s","detail":"no"}`, urn, kind))
		for range 5 {
			if run(false) == nil {
				t.Fatal("Run = nil error, want an error")
			}
		}
		if ok, _ := e.Healthy("pebble"); !ok {
			t.Errorf("%s opened the breaker", kind)
		}
	}
	f.on(pathNewOrder, nil)
	for range 5 {
		if err := run(true); !errors.Is(err, errKilled) {
			t.Fatal(err)
		}
	}
	if ok, _ := e.Healthy("pebble"); !ok {
		t.Error("a local error opened the breaker")
	}
	f.answer(pathNewOrder, 0, 500, nil, "")
	if run(false) == nil {
		t.Fatal("Run = nil error, want an error")
	}
	f.on(pathNewOrder, nil)
	w.issue(t, e, "between.example.com") // a success resets the count
	f.answer(pathNewOrder, 0, 500, nil, "")
	if run(false) == nil {
		t.Fatal("Run = nil error, want an error")
	}
	if ok, _ := e.Healthy("pebble"); !ok {
		t.Error("failures that are not consecutive opened the breaker")
	}
}
