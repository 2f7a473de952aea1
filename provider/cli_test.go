package provider

import (
	"archive/zip"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// built is the provider's binary, built once.
var built struct {
	once sync.Once
	dir  string
	err  error
}

// workspace is a working directory with the real command and the real plugin.
type workspace struct {
	*acc
	dir string
	env []string
}

// workspace creates a directory with the files, in which Terraform uses the provider that is built
// here.
func (a *acc) workspace(files map[string]string) *workspace {
	a.Helper()
	built.once.Do(func() {
		built.dir = filepath.Join(plane.dir, "plugin")
		cmd := exec.Command("go", "build", "-buildvcs=false",
			"-o", filepath.Join(built.dir, "terraform-provider-dcvaas"), "..")
		if out, err := cmd.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("%w: %s", err, out)
		}
	})
	if built.err != nil {
		a.Fatal(built.err)
	}
	dir := a.TempDir()
	rc := filepath.Join(dir, "terraformrc")
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			a.Fatal(err)
		}
	}
	write(rc, fmt.Sprintf(
		"provider_installation {\n  dev_overrides {\n    \"dcvaas/dcvaas\" = %q\n  }\n  direct {}\n}\n", built.dir))
	for name, text := range files {
		write(filepath.Join(dir, name), text)
	}
	return &workspace{acc: a, dir: dir, env: append(os.Environ(), "TF_CLI_CONFIG_FILE="+rc,
		"TF_IN_AUTOMATION=1",
		envEndpoint+"="+a.endpoint, envAPIToken+"="+a.token)}
}

// files reads the *.tf of a directory.
func (a *acc) files(dir string) map[string]string {
	a.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.tf"))
	if err != nil || len(paths) == 0 {
		a.Fatalf("no configuration in %s: %v", dir, err)
	}
	out := map[string]string{}
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			a.Fatal(err)
		}
		out[filepath.Base(p)] = string(b)
	}
	return out
}

// requiresDCVaaS starts the configuration of a workspace.
const requiresDCVaaS = `terraform {
  required_providers {
    dcvaas = { source = "dcvaas/dcvaas" }
  }
}
`

// cli is the command under test: TF_ACC_TERRAFORM_PATH, as for plugin-testing, or the one on PATH.
func cli() string { return cmp.Or(os.Getenv("TF_ACC_TERRAFORM_PATH"), "terraform") }

// needTerraform skips a test of a feature of Terraform 1.minor if the command under test is older
// or OpenTofu.
func needTerraform(t *testing.T, minor int) {
	t.Helper()
	out, err := exec.Command(cli(), "version", "-json").Output()
	if err != nil {
		t.Fatal(err)
	}
	var is struct {
		Version string `json:"terraform_version"`
	}
	if err := json.Unmarshal(out, &is); err != nil {
		t.Fatal(err)
	}
	var major, have int
	if _, err := fmt.Sscanf(is.Version, "%d.%d.", &major, &have); err != nil {
		t.Fatalf("terraform version prints %q, want a version: %v", is.Version, err)
	}
	if isTofu() || major == 1 && have < minor {
		t.Skipf("it takes Terraform 1.%d, and this is %s %s", minor, filepath.Base(cli()),
			is.Version)
	}
}

// isTofu reports whether the command under test is OpenTofu.
func isTofu() bool { return strings.HasPrefix(filepath.Base(cli()), "tofu") }

func (t *workspace) command(args ...string) *exec.Cmd {
	cmd := exec.Command(cli(), append(args, "-no-color")...)
	cmd.Dir, cmd.Env = t.dir, t.env
	return cmd
}

// run runs a command that must succeed, and returns its output.
func (t *workspace) run(args ...string) string {
	t.Helper()
	out, err := t.command(args...).CombinedOutput()
	if err != nil {
		t.Fatalf("terraform %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// outputs returns the output values.
func (t *workspace) outputs() map[string]any {
	t.Helper()
	cmd := t.command("output", "-json")
	raw, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]struct{ Value any }
	if err := json.Unmarshal(raw, &values); err != nil {
		t.Fatalf("terraform output prints malformed JSON: %v: %s", err, raw)
	}
	out := map[string]any{}
	for name, v := range values {
		out[name] = v.Value
	}
	return out
}

func (t *workspace) read(name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(t.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// planFiles returns the contents of a plan file, which is an archive.
func (t *workspace) planFiles(name string) map[string]string {
	t.Helper()
	z, err := zip.OpenReader(filepath.Join(t.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = z.Close() }()
	out := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		out["the plan's "+f.Name] = string(b)
	}
	return out
}

// Ctrl-C stops the wait within seconds. The state contains the domain but not the wait, and the
// next apply continues.
func TestCLIInterrupt(t *testing.T) {
	a := newAcc(t)
	name := a.domain()
	tf := a.workspace(map[string]string{"main.tf": requiresDCVaaS + `
resource "dcvaas_domain" "test" {
  name = "` + name + `"
}

resource "dcvaas_domain_validation" "test" {
  domain_id = dcvaas_domain.test.id
}
`})
	cmd := tf.command("apply", "-auto-approve", "-input=false")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if d, err := a.client.Domain(t.Context(), name); err == nil &&
			d.StatusReason == "cname-missing" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the domain is not created: %s", out.String())
		}
	}
	time.Sleep(500 * time.Millisecond) // until the wait has started
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err == nil {
			t.Error("the interrupted apply exits with 0, want an error")
		}
	case <-time.After(30 * time.Second):
		_ = cmd.Process.Kill()
		t.Fatalf("the interrupted apply does not stop: %s", out.String())
	}
	if !strings.Contains(out.String(), "The operation was interrupted.") {
		t.Errorf("the interrupted apply prints:\n%s", out.String())
	}
	if list := strings.TrimSpace(tf.run("state", "list")); list != "dcvaas_domain.test" {
		t.Errorf("the state contains %q, want only the domain", list)
	}
	a.delegate(name)
	if out := tf.run("apply", "-auto-approve", "-input=false"); !strings.Contains(out,
		"1 added, 0 changed, 0 destroyed") {
		t.Errorf("the next apply prints:\n%s", out)
	}
	tf.run("destroy", "-auto-approve")
}

// The log at TRACE, the state, and the plan contain neither the provider's token, nor a webhook's
// secret, nor a private key. The log does not contain the secret of a created token.
func TestCLISecrets(t *testing.T) {
	a := newAcc(t)
	name := a.domain()
	a.delegate(name)
	tf := a.workspace(map[string]string{"main.tf": requiresDCVaaS + `
resource "dcvaas_domain" "test" {
  name = "` + name + `"
}

resource "dcvaas_domain_validation" "test" {
  domain_id = dcvaas_domain.test.id
  wait_for  = "certificate"
}

data "dcvaas_certificate" "test" {
  domain = dcvaas_domain_validation.test.domain_id
}

resource "dcvaas_api_token" "test" {
  name   = "secrets"
  scopes = ["domains:read"]
}

variable "signing" {
  type      = string
  ephemeral = true
}

resource "dcvaas_webhook" "test" {
  url               = "https://example.com/hooks/dcvaas"
  events            = ["webhook.created"]
  secret_wo         = var.signing
  secret_wo_version = 1
}

resource "dcvaas_webhook" "made_by_the_service" {
  url    = "https://example.com/hooks/dcvaas"
  events = ["webhook.created"]
}

output "token" {
  value     = dcvaas_api_token.test.token
  sensitive = true
}
`})
	tf.env = append(tf.env, "TF_LOG=TRACE", "TF_LOG_PATH="+filepath.Join(tf.dir, "trace.log"),
		"TF_VAR_signing="+webhookSecret(1))
	tf.run("plan", "-out=plan.bin")
	plan := tf.run("show", "-json", "plan.bin")
	out := tf.run("apply", "-input=false", "plan.bin")
	secret := tf.outputs()["token"].(string)
	tf.run("plan")
	tf.run("destroy", "-auto-approve")

	log := tf.read("trace.log")
	if !strings.Contains(log, "API request") || !strings.Contains(log, "request_id") {
		t.Error("the log contains no API requests")
	}
	texts := map[string]string{"the log": log, "the output": out, "the plan": plan,
		"the state": tf.read("terraform.tfstate.backup")}
	maps.Copy(texts, tf.planFiles("plan.bin"))
	made := regexp.MustCompile(`whsec_[0-9A-Za-z+/]{24,}`)
	for what, text := range texts {
		if strings.Contains(text, a.token) {
			t.Errorf("%s contains the provider's token", what)
		}
		if strings.Contains(text, strings.TrimPrefix(webhookSecret(1), "whsec_")) ||
			made.MatchString(text) {
			t.Errorf("%s contains the secret of a webhook", what)
		}
		if strings.Contains(text, "PRIVATE KEY") {
			t.Errorf("%s contains a private key", what)
		}
		if what != "the state" && strings.Contains(text, secret) {
			t.Errorf("%s contains the secret of the token", what)
		}
	}
	if !strings.Contains(tf.read("terraform.tfstate.backup"), secret) {
		t.Error("the state does not contain the secret, so the test proves nothing")
	}
}

// The records of many domains are known at plan time, so that for_each can use them.
func TestCLIForEachRecord(t *testing.T) {
	a := newAcc(t)
	first, second := a.domain(), a.domain()
	tf := a.workspace(map[string]string{"main.tf": fmt.Sprintf(requiresDCVaaS+`
resource "dcvaas_domain" "all" {
  for_each = toset([%q, %q])
  name     = each.key
}

resource "terraform_data" "record" {
  for_each = { for d in dcvaas_domain.all : "${d.delegation.name} ${d.delegation.target}" => d.delegation }
  input    = each.value
}
`, first, second)})
	d, err := a.client.Delegation(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	if out := tf.run("plan"); !strings.Contains(out,
		fmt.Sprintf(`terraform_data.record["%s %s"] will be created`, d.Name, d.Target)) {
		t.Errorf("the plan prints:\n%s", out)
	}
	tf.run("apply", "-auto-approve")
	if out := tf.run("plan"); !strings.Contains(out, "No changes.") {
		t.Errorf("the second plan is not empty:\n%s", out)
	}
	tf.run("destroy", "-auto-approve")
}
