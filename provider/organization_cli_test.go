package provider

import (
	"encoding/pem"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
)

// Terraform with another organization's token, or with a wrong endpoint, destroys and forgets
// nothing, and says why.
func TestCLIOtherOrganization(t *testing.T) {
	a := newAcc(t).organization(t)
	b := a.organization(t)
	name := a.domain()
	tf := a.workspace(map[string]string{"main.tf": requiresDCVaaS + `
resource "dcvaas_domain" "test" {
  name = "` + name + `"
}

resource "dcvaas_domain" "protected" {
  name                = "protected.` + name + `"
  deletion_protection = true
}

resource "dcvaas_webhook" "test" {
  url    = "` + webhookURL + `"
  events = ["domain.renewed"]
}

resource "dcvaas_api_token" "test" {
  name   = "test"
  scopes = ["domains:read"]
}
`})
	tf.run("apply", "-auto-approve", "-input=false")
	list := tf.run("state", "list")
	good := tf.env
	for what, c := range map[string]struct{ env, want string }{
		"another organization's token": {envAPIToken + "=" + b.token, "belongs to the organization"},
		"an endpoint ending in /api":   {envEndpoint + "=" + a.endpoint + "/api", "without /api"},
		"a rejected token": {envAPIToken + "=" + a.token[:len(a.token)-1] + "-",
			"the environment variable DCVAAS_API_TOKEN"},
	} {
		tf.env = append(good[:len(good):len(good)], c.env)
		for _, args := range [][]string{{"destroy", "-auto-approve"},
			{"destroy", "-auto-approve", "-refresh=false", "-target=dcvaas_domain.test",
				"-target=dcvaas_webhook.test", "-target=dcvaas_api_token.test"},
			{"apply", "-refresh-only", "-auto-approve"}, {"plan"}} {
			out, err := tf.command(args...).CombinedOutput()
			if text := strings.Join(strings.Fields(strings.ReplaceAll(string(out), "│", "")),
				" "); err == nil || !strings.Contains(text, c.want) {
				t.Errorf("%s with %s returns %v, want an error with %q:\n%s", args, what, err,
					c.want, out)
			}
		}
	}
	tf.env = good
	if got := tf.run("state", "list"); got != list {
		t.Errorf("the state has\n%s, want\n%s", got, list)
	}
	if out := tf.run("plan"); !strings.Contains(out, "No changes.") {
		t.Errorf("the plan is not empty:\n%s", out)
	}
	if out, err := tf.command("destroy", "-auto-approve").CombinedOutput(); err == nil ||
		!strings.Contains(string(out), "deletion_protection") {
		t.Errorf("destroy of a protected domain returns %v:\n%s", err, out)
	}
	if _, err := a.client.Domain(t.Context(), "protected."+name); err != nil {
		t.Errorf("the protected domain is gone: %v", err)
	}
}

// Two aliases with their own tokens act on two organizations, regardless of the environment.
func TestCLITwoOrganizations(t *testing.T) {
	a := newAcc(t).organization(t)
	b := a.organization(t)
	id, err := b.client.Identify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tf := a.workspace(map[string]string{"token": b.token + "\n", "main.tf": requiresDCVaaS + `
provider "dcvaas" {}

provider "dcvaas" {
  alias           = "b"
  api_token_file  = "${path.module}/token"
  organization_id = "` + id + `"
}

data "dcvaas_organization" "a" {}

data "dcvaas_organization" "b" {
  provider = dcvaas.b
}

output "a" {
  value = data.dcvaas_organization.a.id
}

output "b" {
  value = data.dcvaas_organization.b.id
}
`})
	tf.run("apply", "-auto-approve", "-input=false")
	if out := tf.outputs(); out["b"] != id || out["a"] == id {
		t.Errorf("the outputs are %v, want two organizations, the second one %s", out, id)
	}
}

// An endpoint whose certificate is from a private CA works with SSL_CERT_FILE.
func TestCLIPrivateCA(t *testing.T) {
	a := newAcc(t).organization(t)
	to, err := url.Parse(a.endpoint)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewTLSServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }})
	t.Cleanup(s.Close)
	tf := a.workspace(map[string]string{"main.tf": requiresDCVaaS + `
data "dcvaas_organization" "test" {}
`, "ca.pem": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE",
		Bytes: s.Certificate().Raw}))})
	tf.env = append(tf.env, envEndpoint+"="+s.URL)
	if out, err := tf.command("plan").CombinedOutput(); err == nil ||
		!strings.Contains(string(out), "x509") {
		t.Errorf("plan with an unknown CA returns %v, want an x509 error:\n%s", err, out)
	}
	tf.env = append(tf.env, "SSL_CERT_FILE="+filepath.Join(tf.dir, "ca.pem"))
	tf.run("plan")
}
