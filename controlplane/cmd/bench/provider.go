package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/cmd/program"
)

// terraformParallel is the number of concurrent calls: Terraform's default.
const terraformParallel = 10

// terraformRun applies domains with the real command and plugin, and sends the same calls without
// them.
type terraformRun struct {
	b      *bench
	dev    *program.Dev
	front  *httptest.Server // in front of the API: counts requests
	calls  atomic.Int64
	plugin string // directory of the built provider
	http   *http.Client
	serial int
}

// terraform measures an apply of many domains, and a refresh. The limits are the bare calls.
func terraform(b *bench, _ []string) error {
	t := &terraformRun{b: b, plugin: filepath.Join(b.dir, "plugin"),
		http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: terraformParallel},
			Timeout: time.Minute}}
	defer t.http.CloseIdleConnections()
	build := exec.CommandContext(b.ctx, "go", "build", "-buildvcs=false",
		"-o", filepath.Join(t.plugin, "terraform-provider-dcvaas"),
		"github.com/dcvaas/terraform-provider-dcvaas")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	var err error
	// no workers: the jobs of new domains stay queued
	if t.dev, err = b.startDev("terraform", false); err != nil {
		return err
	}
	defer stopDev(t.dev)
	api, err := url.Parse(t.dev.Env()["DCVAAS_ENDPOINT"])
	if err != nil {
		return err
	}
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(api) },
		Transport: &http.Transport{MaxIdleConnsPerHost: 2 * terraformParallel}}
	t.front = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.calls.Add(1)
		forward.ServeHTTP(w, r)
	}))
	defer t.front.Close()
	return t.measure(pick(b.options.quick, 100, 1000))
}

func (t *terraformRun) measure(n int) error {
	var apply, bare, own, calls, memory, refresh, pages, reads []float64
	err := t.b.interleave("terraform/domains",
		func(int) error {
			dir, err := t.workspace(n, "dcvaas_domain", "name")
			if err != nil {
				return err
			}
			took, made, peak, err := t.run(dir, "apply", "-auto-approve", "-input=false")
			if err != nil {
				return err
			}
			apply, calls, memory = append(apply, took), append(calls, made), append(memory, peak)
			took, made, _, err = t.run(dir, "plan", "-input=false", "-detailed-exitcode")
			refresh, reads = append(refresh, took), append(reads, made)
			return err
		},
		func(int) error {
			took, err := t.bareApply(n)
			if err != nil {
				return err
			}
			bare = append(bare, took)
			dir, err := t.workspace(n, "terraform_data", "input")
			if err != nil {
				return err
			}
			alone, _, _, err := t.run(dir, "apply", "-auto-approve", "-input=false")
			if err != nil {
				return err
			}
			own = append(own, alone+took)
			took, err = t.bareRefresh(n)
			pages = append(pages, took)
			return err
		})
	if err != nil {
		return err
	}
	what := fmt.Sprintf("terraform, %d domains: ", n)
	t.b.table.add(what+"apply", "s", apply, bare, ratioAtMost(1.5))
	t.b.table.add(what+"apply, beside terraform_data and the bare calls", "s", apply, own,
		ratioAtMost(1.5))
	t.b.table.add(what+"apply, API calls", "", calls, repeated(float64(3*n), len(calls)),
		ratioAtMost(1))
	t.b.table.add(what+"apply, peak memory of the provider", "MB", memory, nil, target{})
	t.b.table.add(what+"plan without changes", "s", refresh, pages, target{})
	t.b.table.add(what+"plan without changes, API calls", "", reads,
		repeated(float64(n), len(reads)), ratioAtMost(0.5))
	t.b.table.note(
		"terraform: the command and the provider as users run them, -parallelism=%d, one dcvaas_domain with for_each; limit of the apply: the same calls (two delegations, because Terraform plans twice, and one creation each) with net/http at the same concurrency; of the plan: only the list's pages, and one call for each domain. Terraform's own work is measured with as many terraform_data, which need no provider and no calls.", terraformParallel)
	return nil
}

func repeated(v float64, n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = v
	}
	return out
}

// workspace creates a directory with a configuration of n new objects.
func (t *terraformRun) workspace(n int, kind, attribute string) (dir string, err error) {
	t.serial++
	dir = filepath.Join(t.b.dir, fmt.Sprintf("workspace%d", t.serial))
	config := fmt.Sprintf(`terraform {
  required_providers {
    dcvaas = { source = "dcvaas/dcvaas" }
  }
}

resource %q "all" {
  for_each = toset([for i in range(%d) : "n${i}.t%d.example.com"])
  %s = each.key
}
`, kind, n, t.serial, attribute)
	rc := fmt.Sprintf(
		"provider_installation {\n  dev_overrides {\n    \"dcvaas/dcvaas\" = %q\n  }\n  direct {}\n}\n", t.plugin)
	return dir, errors.Join(os.Mkdir(dir, 0o755),
		os.WriteFile(filepath.Join(dir, "main.tf"), []byte(config), 0o600),
		os.WriteFile(filepath.Join(dir, "rc"), []byte(rc), 0o600))
}

// run runs a Terraform command. It returns the seconds that it took, the number of API calls, and
// the provider's peak memory in MB.
func (t *terraformRun) run(dir string, args ...string) (seconds, calls, peak float64, err error) {
	cmd := exec.CommandContext(t.b.ctx, "terraform", append(args, "-no-color")...)
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), "TF_CLI_CONFIG_FILE="+filepath.Join(dir, "rc"),
		"CHECKPOINT_DISABLE=1", "TF_IN_AUTOMATION=1",
		"DCVAAS_ENDPOINT="+t.front.URL, "DCVAAS_API_TOKEN="+t.dev.Token)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	before, start := t.calls.Load(), time.Now()
	if err := cmd.Start(); err != nil {
		return 0, 0, 0, fmt.Errorf("terraform is not on PATH: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case err := <-ended:
			if err != nil {
				err = fmt.Errorf("terraform %s: %w: %s", args[0], err, out.String())
			}
			return time.Since(start).Seconds(), float64(t.calls.Load() - before), peak, err
		case <-look.C:
			peak = max(peak, peakOfProvider(cmd.Process.Pid))
		}
	}
}

// peakOfProvider returns the peak memory so far, in MB, of the provider below a Terraform process.
// It returns 0 if no provider is running.
func peakOfProvider(terraform int) (peak float64) {
	statuses, _ := filepath.Glob("/proc/[0-9]*/status")
	for _, path := range statuses {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue // the process has exited
		}
		fields := map[string]string{}
		for line := range strings.Lines(string(raw)) {
			name, value, _ := strings.Cut(line, ":")
			fields[name] = strings.TrimSpace(value)
		}
		if fields["PPid"] != strconv.Itoa(terraform) ||
			!strings.HasPrefix("terraform-provider-dcvaas", fields["Name"]) {
			continue
		}
		kB, _ := strconv.ParseFloat(strings.TrimSuffix(fields["VmHWM"], " kB"), 64)
		peak = max(peak, kB/1024)
	}
	return peak
}

// bareApply sends the calls of an apply without Terraform and returns the seconds that they took.
func (t *terraformRun) bareApply(n int) (float64, error) {
	t.serial++
	start := time.Now()
	for range 2 {
		if err := t.each(n, func(ctx context.Context, name string) error {
			return t.call(ctx, http.MethodGet, "/api/delegation?name="+name, nil)
		}); err != nil {
			return 0, err
		}
	}
	err := t.each(n, func(ctx context.Context, name string) error {
		return t.call(ctx, http.MethodPost,
			"/api/domains", map[string]any{"name": name, "wildcard": false, "key_type": "ec256",
				"auto_issue": true, "auto_renew": true})
	})
	return time.Since(start).Seconds(), err
}

// bareRefresh reads the pages of a list of n domains and returns the seconds that they took.
func (t *terraformRun) bareRefresh(n int) (float64, error) {
	start := time.Now()
	for range (n + 199) / 200 {
		if err := t.call(t.b.ctx, http.MethodGet, "/api/domains?limit=200", nil); err != nil {
			return 0, err
		}
	}
	return time.Since(start).Seconds(), nil
}

func (t *terraformRun) each(n int, f func(ctx context.Context, name string) error) error {
	g, ctx := errgroup.WithContext(t.b.ctx)
	g.SetLimit(terraformParallel)
	for i := range n {
		g.Go(func() error { return f(ctx, fmt.Sprintf("n%d.t%d.example.com", i, t.serial)) })
	}
	return g.Wait()
}

func (t *terraformRun) call(ctx context.Context, method, path string, body any) error {
	var answer struct{}
	p := &pipeline{http: t.http, endpoint: t.front.URL, dev: t.dev, token: t.dev.Token}
	_, err := p.call(ctx, method, path, nil, body, &answer)
	return err
}
