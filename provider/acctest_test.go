package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/terraform"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/cmd/program"
)

// The acceptance tests run with `go test` against the real control plane in this process.
func TestMain(m *testing.M) {
	for name, value := range map[string]string{"TF_ACC": "1", "CHECKPOINT_DISABLE": "1"} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	// The developer's environment must not affect the tests.
	for _, name := range []string{"TF_CLI_CONFIG_FILE", "TF_DATA_DIR", "TF_WORKSPACE",
		"TF_CLI_ARGS", envEndpoint, envAPIToken} {
		if err := os.Unsetenv(name); err != nil {
			panic(err)
		}
	}
	code := m.Run()
	stopControlPlane()
	os.Exit(code)
}

// plane is the control plane that all tests share. Each test uses its own names.
var plane struct {
	once sync.Once
	dir  string
	dev  *program.Dev
	err  error
}

// startControlPlane returns the endpoint of the control plane, a token with all scopes, and the URL
// of its playground DNS.
func startControlPlane(t testing.TB) (endpoint, token, playgroundURL string) {
	t.Helper()
	plane.once.Do(func() {
		if plane.dir, plane.err = os.MkdirTemp("", "dcvaas-provider-"); plane.err != nil {
			return
		}
		// Postgres may run as another user
		if plane.err = os.Chmod(plane.dir, 0o755); plane.err != nil {
			return
		}
		plane.dev, plane.err = program.StartDev(context.Background(), program.DevConfig{
			Dir: filepath.Join(plane.dir, "dcvaas"), FreePorts: true, EmbeddedRedis: true,
			Fast: true,
			Configure: func(c *program.Config) {
				// failed jobs are dead-lettered within seconds
				c.Work.RetryBase = 200 * time.Millisecond
			},
		})
	})
	if plane.err != nil {
		t.Fatalf("starting the control plane: %v", plane.err)
	}
	env := plane.dev.Env()
	return env["DCVAAS_ENDPOINT"], env["DCVAAS_API_TOKEN"], env["DCVAAS_PLAYGROUND_URL"]
}

func stopControlPlane() {
	if plane.dev != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		plane.dev.Stop(ctx)
	}
	if plane.dir != "" {
		_ = os.RemoveAll(plane.dir)
	}
}

// acc is the state of one acceptance test.
type acc struct {
	*testing.T
	endpoint, token, playground string
	client                      *client.Client
	now                         func() time.Time // the provider's clock
}

// newAcc starts a test that runs in parallel with the others.
func newAcc(t *testing.T) *acc {
	t.Parallel()
	return newSerialAcc(t)
}

func newSerialAcc(t *testing.T) *acc {
	t.Helper()
	a := &acc{T: t, now: time.Now}
	a.endpoint, a.token, a.playground = startControlPlane(t)
	a.client = a.clientWith(a.token)
	return a
}

func (a *acc) clientWith(token string) *client.Client {
	a.Helper()
	c, err := client.New(client.Options{Endpoint: a.endpoint, Token: token, MaxRetries: 3,
		UserAgent: "acceptance-test"})
	if err != nil {
		a.Fatal(err)
	}
	return c
}

var names atomic.Int64

// domain returns a name that no other test uses.
func (a *acc) domain() string { return fmt.Sprintf("d%d.acceptance.example", names.Add(1)) }

// config returns a configuration with the provider configured for the control plane.
func (a *acc) config(body string, args ...any) string {
	return a.configAt(a.endpoint, a.token, body, args...)
}

func (a *acc) configAt(endpoint, token, body string, args ...any) string {
	return fmt.Sprintf("provider \"dcvaas\" {\n  endpoint  = %q\n  api_token = %q\n}\n\n", endpoint,
		token) + fmt.Sprintf(body, args...)
}

// run runs the steps, and then checks that nothing is left at the server.
func (a *acc) run(steps ...resource.TestStep) {
	a.Helper()
	resource.Test(a.T, resource.TestCase{
		ProtoV6ProviderFactories: a.factories(),
		CheckDestroy:             a.checkDestroy,
		Steps:                    steps,
	})
}

func (a *acc) factories() map[string]func() (tfprotov6.ProviderServer, error) {
	return map[string]func() (tfprotov6.ProviderServer, error){
		"dcvaas": func() (tfprotov6.ProviderServer, error) {
			return providerserver.NewProtocol6WithError(
				newAt("test", func() time.Time { return a.now() })())()
		},
	}
}

// checkDestroy queries the server to check that the resources in the state are gone.
func (a *acc) checkDestroy(s *terraform.State) error {
	for address, r := range s.RootModule().Resources {
		if strings.HasPrefix(address, "data.") {
			continue
		}
		var err error
		switch r.Type {
		case "dcvaas_domain":
			_, err = a.client.Domain(context.Background(), r.Primary.ID)
		case "dcvaas_delegation":
			var d *client.Delegation
			if d, err = a.client.DelegationObject(context.Background(), r.Primary.ID); err == nil &&
				!d.Pinned {
				continue // the domains that use it keep it
			}
		case "dcvaas_api_token":
			_, err = a.client.Token(context.Background(), r.Primary.ID)
		case "dcvaas_webhook":
			_, err = a.client.Webhook(context.Background(), r.Primary.ID)
		case "dcvaas_dns_connection":
			_, err = a.client.DNSConnection(context.Background(), r.Primary.ID)
		case "dcvaas_acmedns_account":
			_, err = a.client.ACMEDNSAccount(context.Background(), r.Primary.ID)
		case "dcvaas_organization_member":
			_, err = a.client.Member(context.Background(), r.Primary.ID)
		default:
			continue
		}
		if !client.IsNotFound(err) {
			return fmt.Errorf("%s (%s) still exists: %w", address, r.Primary.ID,
				errors.Join(errors.New("the API returns"), err))
		}
	}
	return nil
}

// added adds a domain outside Terraform and removes it when the test ends.
func (a *acc) added(name string) *client.Domain {
	a.Helper()
	d, err := a.client.CreateDomain(context.Background(), client.DomainCreate{Name: name})
	if err != nil {
		a.Fatal(err)
	}
	a.Cleanup(func() { _ = a.client.DeleteDomain(context.Background(), d.Id) })
	return d
}

// setRecord creates a record in the playground DNS.
func (a *acc) setRecord(name, kind string, values ...string) {
	a.Helper()
	body, err := json.Marshal(map[string]any{"name": name, "type": kind, "values": values,
		"ttl": 1})
	if err != nil {
		a.Fatal(err)
	}
	a.playgroundCall(http.MethodPut, "/records", body)
}

func (a *acc) playgroundCall(method, path string, body []byte) {
	a.Helper()
	req, err := http.NewRequest(method, a.playground+path, bytes.NewReader(body))
	if err != nil {
		a.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		a.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode/100 != 2 {
		text, _ := io.ReadAll(resp.Body)
		a.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, text)
	}
}

// delegate creates the record that delegates a name.
func (a *acc) delegate(name string) {
	a.Helper()
	d, err := a.client.Delegation(context.Background(), name)
	if err != nil {
		a.Fatal(err)
	}
	a.setRecord(d.Name, string(d.Type), d.Target)
}

// activate delegates a domain and waits for its certificate.
func (a *acc) activate(ref string) *client.Domain {
	a.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	d, err := a.client.Domain(ctx, ref)
	if err != nil {
		a.Fatal(err)
	}
	a.delegate(d.Name)
	if _, err := a.client.VerifyDomain(ctx, d.Id); err != nil {
		a.Fatal(err)
	}
	d, err = a.client.WaitDomain(ctx, d.Id,
		func(d *client.Domain) bool { return d.Status == client.DomainStatusActive })
	if err != nil {
		a.Fatalf("WaitDomain = %+v, %v, want the status active", d, err)
	}
	return d
}
