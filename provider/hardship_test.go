package provider

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/cmd/program"
)

// manyDomains is a configuration of n domains with unique names.
func (a *acc) manyDomains(n int) string {
	return fmt.Sprintf(requiresDCVaaS+`
provider "dcvaas" {
  max_retries = 12
}

resource "dcvaas_domain" "all" {
  for_each = toset([for i in range(%d) : "n${i}.%s"])
  name     = each.key
}
`, n, a.domain())
}

// records are the records of manyDomains. For each of them, Terraform evaluates all domains, so the
// time grows with the square of their number.
const records = `
resource "terraform_data" "record" {
  for_each = dcvaas_domain.all
  input    = each.value.delegation
}
`

// inState returns the number of domains in the state.
func (t *workspace) inState() int {
	t.Helper()
	return strings.Count(t.run("state", "list"), "dcvaas_domain.all[")
}

// atServer returns the number of domains of the organization.
func (a *acc) atServer() int {
	a.Helper()
	all, err := a.client.AllDomains(context.Background(), client.ListDomainsParams{})
	if err != nil {
		a.Fatal(err)
	}
	return len(all)
}

// whole applies, and checks that the next plan is empty, that no domain is orphaned, and that a
// destroy leaves nothing.
func (t *workspace) whole(n int, apply ...string) {
	t.Helper()
	t.run(append([]string{"apply", "-auto-approve", "-input=false"}, apply...)...)
	if in, at := t.inState(), t.atServer(); in != n || at != n {
		t.Errorf("the state has %d domains and the server %d, want %d", in, at, n)
	}
	if out := t.run("plan"); !strings.Contains(out, "No changes.") {
		t.Errorf("the next plan is not empty:\n%s", out)
	}
	t.run("destroy", "-auto-approve")
	if left := t.atServer(); left != 0 {
		t.Errorf("%d domains are left", left)
	}
}

// A token that is revoked during an apply stops it. The created domains are in the state, and the
// next apply creates the rest.
func TestCLITokenRevokedMidway(t *testing.T) {
	const n = 24
	a := newAcc(t).organization(t)
	doomed, err := a.client.CreateToken(t.Context(),
		client.TokenCreate{Name: "doomed", Scopes: []client.Scope{client.ScopeDomainsRead,
			client.ScopeDomainsWrite}})
	if err != nil {
		t.Fatal(err)
	}
	var posts atomic.Int64
	p := a.proxy(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost && posts.Add(1) == n/2 {
			_ = a.client.DeleteToken(context.Background(), doomed.Id)
		}
		return false
	})
	tf := a.workspace(map[string]string{"main.tf": a.manyDomains(n) + records})
	good := tf.env
	tf.env = append(good[:len(good):len(good)], envEndpoint+"="+p.URL, envAPIToken+"="+doomed.Token)
	out, err := tf.command("apply", "-auto-approve", "-input=false").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "Status: 401") {
		t.Fatalf("apply with a revoked token returns %v, want the status 401: %s", err, out)
	}
	tf.env = good
	if in, at := tf.inState(), a.atServer(); in != at || in == 0 || in == n {
		t.Errorf("the state has %d domains and the server %d, want the same number", in, at)
	}
	tf.whole(n)
}

// The API is restarted during an apply, and some responses are cut off: the apply succeeds, and
// nothing is created twice.
func TestCLIRestartedMidway(t *testing.T) {
	const n = 24
	a := newAcc(t)
	config := program.DevConfig{Dir: filepath.Join(plane.dir, "restarted"), FreePorts: true,
		EmbeddedRedis: true, Fast: true}
	start := func() *program.Dev {
		d, err := program.StartDev(context.Background(), config)
		if err != nil {
			t.Errorf("restarting the API: %v", err)
		}
		return d
	}
	stop := func(d *program.Dev) {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		d.Stop(ctx)
	}
	dev := start()
	if dev == nil {
		t.FailNow()
	}
	t.Cleanup(func() { stop(dev) })
	connect := func() {
		a.endpoint, a.token = dev.Env()["DCVAAS_ENDPOINT"], dev.Env()["DCVAAS_API_TOKEN"]
		a.client = a.clientWith(a.token)
	}
	connect()

	var down atomic.Bool
	var posts, cut atomic.Int64
	var once sync.Once
	var p *proxy
	restarted := make(chan struct{})
	p = a.proxy(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost && posts.Add(1) == n/2 {
			once.Do(func() {
				down.Store(true)
				go func() {
					defer close(restarted)
					stop(dev)
					if dev = start(); dev != nil {
						p.leadTo(a, dev.Env()["DCVAAS_ENDPOINT"])
						down.Store(false)
					}
				}()
			})
		}
		if down.Load() {
			cut.Add(1)
			panic(http.ErrAbortHandler) // the connection breaks
		}
		return false
	})
	tf := a.workspace(map[string]string{"main.tf": a.manyDomains(n) + records})
	tf.env = append(tf.env, envEndpoint+"="+p.URL)
	out := tf.run("apply", "-auto-approve", "-input=false")
	<-restarted
	if dev == nil {
		t.FailNow()
	}
	connect()
	if cut.Load() == 0 || !strings.Contains(out, fmt.Sprintf("%d added", 2*n)) {
		t.Errorf("%d responses were cut off; apply prints:\n%s", cut.Load(), out)
	}
	tf.whole(n)
}

// With a limit of 40 calls at once and 10 per second, and fifty resources in parallel, Terraform
// waits and succeeds. The proxy enforces the limit, because the API lets calls pass when its Redis
// is slow.
func TestCLIRateLimited(t *testing.T) {
	const n, most, perSecond = 50, 40, 10
	a := newAcc(t).organization(t)
	var mu sync.Mutex
	left, last, limited := float64(most), time.Now(), 0
	p := a.proxy(func(w http.ResponseWriter, _ *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		left, last = min(most, left+perSecond*time.Since(last).Seconds()), time.Now()
		if left >= 1 {
			left--
			return false
		}
		limited++
		w.Header().Set("Retry-After", "1")
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = fmt.Fprint(w,
			`{"type":"about:blank","title":"Too Many Requests","status":429,"code":"rate-limited"}`)
		return true
	})
	tf := a.workspace(map[string]string{"main.tf": a.manyDomains(n)})
	tf.env = append(tf.env, envEndpoint+"="+p.URL)
	if out := tf.run("apply", "-auto-approve", "-input=false",
		"-parallelism=50"); !strings.Contains(out, fmt.Sprintf("%d added", n)) {
		t.Errorf("apply prints:\n%s", out)
	}
	if mu.Lock(); limited == 0 {
		t.Error("the limit was never exceeded, so the test proves nothing")
	}
	mu.Unlock()
	if in, at := tf.inState(), a.atServer(); in != n || at != n {
		t.Errorf("the state has %d domains and the server %d, want the same number", in, at)
	}
}

// A plan shows the records of all names of many domains before anything exists. A change of one
// name changes one record, and nothing else.
func TestCLIRecordsOfManyNames(t *testing.T) {
	const n, names, few = 50, 3, 2
	a := newAcc(t).organization(t)
	p := a.proxy(nil)
	parent := a.domain()
	tf := a.workspace(map[string]string{"main.tf": fmt.Sprintf(requiresDCVaaS+`
variable "domains" {
  type = number
}

variable "www" {
  type    = string
  default = "www.n0.%[1]s"
}

resource "dcvaas_domain" "all" {
  for_each         = toset([for i in range(var.domains) : "n${i}.%[1]s"])
  name             = each.key
  additional_names = [each.key == "n0.%[1]s" ? var.www : "www.${each.key}", "*.wild.${each.key}"]
}

locals {
  records = merge([for d in dcvaas_domain.all : d.delegations]...)
}

resource "terraform_data" "record" {
  for_each = local.records
  input    = each.value
}
`, parent)})
	tf.env = append(tf.env, envEndpoint+"="+p.URL)
	planned := func(args ...string) (records int, summary string) {
		tf.run(append([]string{"plan", "-out=saved"}, args...)...)
		var plan struct {
			Changes []struct {
				Type   string
				Change struct {
					Actions      []string
					After        struct{ Input map[string]string }
					AfterUnknown struct{ Input any } `json:"after_unknown"`
				}
			} `json:"resource_changes"`
		}
		if err := json.Unmarshal([]byte(tf.run("show", "-json", "saved")), &plan); err != nil {
			t.Fatal(err)
		}
		actions := map[string]int{}
		for _, c := range plan.Changes {
			if c.Change.Actions[0] == "no-op" {
				continue
			}
			actions[c.Type+" "+strings.Join(c.Change.Actions, " ")]++
			if in := c.Change.After.Input; c.Change.Actions[0] == "create" &&
				strings.HasPrefix(in["fqdn"], "_acme-challenge.") && in["type"] == "CNAME" &&
				in["target"] != "" && in["fqdn"] == in["name"]+"." {
				records++
			}
		}
		return records, fmt.Sprint(actions)
	}
	records, summary := planned(fmt.Sprintf("-var=domains=%d", n))
	want := fmt.Sprintf("map[dcvaas_domain create:%d terraform_data create:%d]", n, n*names)
	if summary != want || records != n*names {
		t.Errorf("the plan shows %d records, and has %s, want %d and %s", records, summary,
			n*names, want)
	}
	if calls := p.count("GET /api/delegation?"); calls != n {
		t.Errorf("the plan sent %d requests for records, want %d", calls, n)
	}
	domains := fmt.Sprintf("-var=domains=%d", few)
	tf.run("apply", "-auto-approve", "-input=false", domains)
	records, summary = planned(domains, "-var=www=shop.n0."+parent)
	want = "map[dcvaas_domain update:1 terraform_data create:1 terraform_data delete:1]"
	if summary != want || records != 1 {
		t.Errorf("the plan of another name shows %d new records, and has %s, want 1 and %s",
			records, summary, want)
	}
	tf.run("destroy", "-auto-approve", domains)
}

// A hundred domains with for_each are created, refreshed with few calls, and destroyed. make bench
// uses a thousand.
func TestCLIManyDomains(t *testing.T) {
	const n, pages = 100, 1
	a := newAcc(t).organization(t)
	p := a.proxy(nil)
	tf := a.workspace(map[string]string{"main.tf": a.manyDomains(n)})
	tf.env = append(tf.env, envEndpoint+"="+p.URL)
	if out := tf.run("apply", "-auto-approve", "-input=false"); !strings.Contains(out,
		fmt.Sprintf("%d added", n)) {
		t.Errorf("apply prints:\n%s", out)
	}
	before, start := p.count(""), time.Now()
	if out := tf.run("plan"); !strings.Contains(out, "No changes.") {
		t.Errorf("the second plan is not empty:\n%s", out)
	}
	// On a busy machine, the refresh may exceed a window, and later domains are read again.
	windows := 1 + int(time.Since(start)/readWindow)
	if calls := p.count("") - before; calls > 1+windows*(readsAlone+pages) {
		t.Errorf("the refresh of %d domains took %d calls within %d windows", n, calls, windows)
	}
	tf.run("destroy", "-auto-approve")
	if left := a.atServer(); left != 0 {
		t.Errorf("%d domains are left", left)
	}
}
