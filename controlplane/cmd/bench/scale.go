package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/cmd/program"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// scaleSize is the size of an installation: how many domains its organizations have.
type scaleSize struct {
	big     int // of one organization
	medium  int // of each of 50
	small   int // of each of smalls
	smalls  int
	history int // certificates, audit entries, and jobs per domain are in proportion to it
}

func (s scaleSize) domains() int { return s.big + 50*s.medium + s.small*s.smalls }

// installations returns the two sizes to compare.
func installations(o options) (small, large scaleSize) {
	switch {
	case o.full:
		return scaleSize{3_000, 50, 22, 204, 4}, scaleSize{300_000, 5_000, 22, 20_454, 4}
	case o.quick:
		return scaleSize{300, 5, 5, 20, 2}, scaleSize{3_000, 50, 5, 200, 2}
	}
	return scaleSize{3_000, 50, 22, 204, 2}, scaleSize{60_000, 1_000, 22, 1_800, 2}
}

// scaled is one installation, with two organizations that are asked: the one with the most domains,
// and one of the small ones.
type scaled struct {
	b        *bench
	size     scaleSize
	dir      string
	dev      *program.Dev
	operator *operator
	small    tenantOf
	big      tenantOf
}

// tenantOf is one organization of an installation.
type tenantOf struct {
	Org, Token, Cookie string
	Webhook            string
	First              int // number of its first domain
	Domains            int
}

// scale asks the same of two installations, and compares the times: every list, filter, sort, and
// page of an organization with many and with few domains, and every sweep with nothing due.
func scale(b *bench, items []string) error {
	small, large := installations(b.options)
	var sides [2]*scaled
	for i, size := range []scaleSize{large, small} {
		s, err := b.newScaled(fmt.Sprint("scale", i), size)
		if err != nil {
			return err
		}
		defer s.close()
		sides[i] = s
	}
	for _, item := range items {
		if err := b.compareScales(item, sides); err != nil {
			return fmt.Errorf("%s: %w", item, err)
		}
	}
	if !b.options.full {
		b.table.note("scale: only the slowest two of each kind are shown. make scale compares a " +
			"million domains, and shows all.")
	}
	b.table.note("scale: %s domains beside %s, one call at a time; limit: the same call in the "+
		"smaller installation. Target: at most 1.5 times as long, or at most 10 ms. "+
		"big: the organization with the most domains (%s, beside %s); small: one with %d.",
		thousands(fmt.Sprint(large.domains())), thousands(fmt.Sprint(small.domains())),
		thousands(fmt.Sprint(large.big)), thousands(fmt.Sprint(small.big)), large.small)
	return nil
}

// compareScales measures the calls of an item.
func (b *bench) compareScales(item string, sides [2]*scaled) error {
	var calls [2][]scaleCall
	for i, s := range sides {
		var err error
		if calls[i], err = s.calls(item); err != nil {
			return err
		}
	}
	b.say("scale/%s: %d calls", item, len(calls[0]))
	for _, call := range calls[0] {
		// A page that the smaller installation does not have is compared with its first page.
		like := slices.IndexFunc(calls[1], func(c scaleCall) bool { return c.name == call.name })
		if like < 0 {
			first := strings.TrimSuffix(call.name, laterPage)
			like = slices.IndexFunc(calls[1], func(c scaleCall) bool { return c.name == first })
		}
		took, err := b.timeBoth(call, calls[1][like])
		if err != nil {
			return fmt.Errorf("%s: %w", call.name, err)
		}
		b.table.add("scale, "+item+": "+call.name, "ms", took[0], took[1],
			ratioOrAtMost(1.5, 10, "ms"))
	}
	if !b.options.full {
		b.table.keepSlowest(len(calls[0]), 2)
	}
	return nil
}

// timeBoth measures two calls in alternating rounds, after one that is not measured, because the
// caches are empty.
func (b *bench) timeBoth(calls ...scaleCall) (took [2][]float64, err error) {
	for round := -1; round < b.options.rounds; round++ {
		for i := range calls {
			side := (i + max(round, 0)) % 2
			d, err := calls[side].time(b.ctx, scaleRepeats)
			if err != nil {
				return took, err
			}
			if round >= 0 {
				took[side] = append(took[side], ms(d))
			}
		}
	}
	return took, nil
}

// scaleRepeats is how many times a round repeats a call.
const scaleRepeats = 5

// scaleCall is one request or operation.
type scaleCall struct {
	name string
	run  func(ctx context.Context) error
}

// time returns the mean time of n calls.
func (c scaleCall) time(ctx context.Context, n int) (time.Duration, error) {
	start := time.Now()
	for range n {
		if err := c.run(ctx); err != nil {
			return 0, err
		}
	}
	return time.Since(start) / time.Duration(n), nil
}

// newScaled starts an installation and fills it.
func (b *bench) newScaled(name string, size scaleSize) (*scaled, error) {
	if b.options.data != "" {
		name = filepath.Join(b.options.data, fmt.Sprint("scale-", size.domains()))
	}
	s := &scaled{b: b, size: size, dir: b.path(name)}
	var err error
	if s.dev, err = b.startDev(name, false); err != nil {
		return nil, err
	}
	if err := s.open(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *scaled) open() error {
	var err error
	if s.operator, err = s.b.newOperator(s.dev); err != nil {
		return err
	}
	if raw, err := os.ReadFile(s.filled()); err == nil {
		return json.Unmarshal(raw, &[]*tenantOf{&s.big, &s.small})
	}
	if s.big, err = s.newTenantOf("big", 1, s.size.big); err != nil {
		return err
	}
	first := s.size.big + 50*s.size.medium + 1
	if s.small, err = s.newTenantOf("small", first, s.size.small); err != nil {
		return err
	}
	start := time.Now()
	if err := s.fill(); err != nil {
		return err
	}
	used, err := s.disk()
	s.b.say("scale: %s domains written in %s, %s", thousands(fmt.Sprint(s.size.domains())),
		time.Since(start).Round(time.Second), used)
	if err != nil {
		return err
	}
	raw, err := json.Marshal([]tenantOf{s.big, s.small})
	if err != nil {
		return err
	}
	return os.WriteFile(s.filled(), raw, 0o600)
}

// filled is the file with the organizations of an installation that is completely written.
func (s *scaled) filled() string { return filepath.Join(s.dir, "scale.json") }

// newTenantOf adds an organization with a person, a token, and a webhook.
func (s *scaled) newTenantOf(name string, first, domains int) (tenantOf, error) {
	t := tenantOf{First: first, Domains: domains}
	ctx, l, actor := s.b.ctx, s.operator.lifecycle, controlplane.System("bench")
	session, cookie, err := l.SignIn(ctx, actor, "bench",
		controlplane.GitHubAccount{ID: int64(first), Login: name})
	if err != nil {
		return t, err
	}
	t.Org, t.Cookie = session.OrgID, cookie
	if _, t.Token, err = l.CreateToken(ctx, actor, nil, t.Org, lifecycle.NewToken{Name: "scale",
		Scopes: controlplane.Scopes()}); err != nil {
		return t, err
	}
	t.Webhook, err = s.addWebhook(t)
	return t, err
}

// addWebhook adds a webhook to an organization and returns its ID.
func (s *scaled) addWebhook(t tenantOf) (string, error) {
	body, err := s.call(t, http.MethodPost, "/api/webhooks",
		strings.NewReader(`{"url": "https://hooks.example.com/"}`))
	if err != nil {
		return "", err
	}
	var hook struct {
		ID string `json:"id"`
	}
	err = json.Unmarshal(body, &hook)
	return hook.ID, err
}

func (s *scaled) close() {
	if s.operator != nil {
		s.operator.close()
	}
	stopDev(s.dev)
	if s.b.options.data == "" {
		_ = os.RemoveAll(s.dir) // the next figure may need the space
	}
}

// ratioOrAtMost requires a maximum ratio, or a maximum of our value.
func ratioOrAtMost(ratio, x float64, unit string) target {
	return target{fmt.Sprintf("≤ %.2f or ≤ %g %s", ratio, x, unit),
		func(r row) bool { return r.Ratio <= ratio || r.Ours <= x }}
}
