package provider

import (
	"context"
	"crypto/tls"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"github.com/hashicorp/terraform-plugin-testing/echoprovider"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/oapi-codegen/nullable"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

const echoed = "echo.test"

// runEchoing runs the steps with the provider echo, whose resource stores the values of an
// ephemeral resource.
func (a *acc) runEchoing(steps ...resource.TestStep) {
	a.Helper()
	factories := a.factories()
	factories["echo"] = echoprovider.NewProviderServer()
	resource.Test(a.T, resource.TestCase{ProtoV6ProviderFactories: factories,
		CheckDestroy: a.checkDestroy, Steps: steps})
}

// echo is a configuration that stores an ephemeral value.
func echo(value string) string {
	return "\nprovider \"echo\" {\n  data = " + value + "\n}\n\nresource \"echo\" \"test\" {}\n"
}

func isEchoed(name string, check knownvalue.Check) statecheck.StateCheck {
	return statecheck.ExpectKnownValue(echoed, at("data", name), check)
}

// The key matches the certificate, by ID and by domain.
func TestAccCertificateKeyEphemeral(t *testing.T) {
	a := newAcc(t)
	name := a.domain()
	a.added(name)
	d := a.activate(name)
	id := d.CertificateId.MustGet()
	chain, err := a.client.CertificatePEM(t.Context(), id,
		client.DownloadCertificateParamsFormatFullchain)
	if err != nil {
		t.Fatal(err)
	}
	config := func(attributes string) string {
		return a.config("ephemeral \"dcvaas_certificate_key\" \"test\" {\n%s\n}\n%s", attributes,
			echo("ephemeral.dcvaas_certificate_key.test"))
	}
	fits := func(s *terraform.State) error {
		_, err := tls.X509KeyPair([]byte(chain),
			[]byte(s.RootModule().Resources[echoed].Primary.Attributes["data.private_key_pem"]))
		return err
	}
	for attributes, domain := range map[string]knownvalue.Check{
		fmt.Sprintf("certificate_id = %q", id): knownvalue.Null(),
		fmt.Sprintf("domain = %q", d.Id):       knownvalue.StringExact(d.Id),
		fmt.Sprintf("domain = %q", strings.ToUpper(name)+
			"."): knownvalue.StringExact(strings.ToUpper(name) + "."),
		fmt.Sprintf("domain = %q\ncertificate_id = null",
			name): knownvalue.StringExact(name),
		fmt.Sprintf(
			"certificate_id = terraform_data.id.output\n}\nresource \"terraform_data\" \"id\" {\n  input = %q", id): knownvalue.Null(),
	} {
		a.runEchoing(resource.TestStep{
			Config: config(attributes),
			ConfigStateChecks: []statecheck.StateCheck{isEchoed("certificate_id",
				knownvalue.StringExact(id)), isEchoed("domain", domain)},
			Check: fits,
		})
	}
}

// Errors about the key are at the attribute.
func TestAccCertificateKeyEphemeral_rejected(t *testing.T) {
	a := newAcc(t)
	waiting, own := a.added(a.domain()), a.domain()
	d, err := a.client.CreateDomain(t.Context(),
		client.DomainCreate{Name: own, CsrPem: nullable.NewNullableWithValue(makeCSR(t,
			"ec256", own))})
	if err != nil {
		t.Fatal(err)
	}
	d = a.activate(d.Id)
	weak, err := a.client.CreateToken(t.Context(),
		client.TokenCreate{Name: "weak", Scopes: []client.Scope{client.ScopeDomainsRead,
			client.ScopeCertificatesRead}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.client.DeleteToken(context.Background(), weak.Id) })
	config := func(attributes string) string {
		return a.config("ephemeral \"dcvaas_certificate_key\" \"test\" {\n%s\n}\n%s", attributes,
			echo("ephemeral.dcvaas_certificate_key.test.certificate_id"))
	}
	fails := func(attributes, want string) resource.TestStep {
		return resource.TestStep{Config: config(attributes), ExpectError: message(want)}
	}
	a.runEchoing(
		fails("", "No attribute specified when one (and only one)"),
		fails("domain = \"example.com\"\ncertificate_id = \"crt_01k9z5w7r8e4bs6v0q1d2m3n4p\"",
			"2 attributes specified when one (and only one)"),
		fails(`certificate_id = "example.com"`, "must be the ID of a certificate"),
		fails(`certificate_id = "crt_01k9z5w7r8e4bs6v0q1d2m3n4p"`, "Status: 404"),
		fails(fmt.Sprintf("domain = %q", a.domain()), "Status: 404"),
		fails(`domain = "*"`, "is neither the ID of a domain"),
		fails(fmt.Sprintf("domain = %q", waiting.Name), "has no certificate yet"),
		fails(fmt.Sprintf("domain = %q", d.Name), "Status: 409"),
		resource.TestStep{Config: strings.Replace(config(fmt.Sprintf("domain = %q", d.Name)),
			a.token, weak.Token, 1), ExpectError: message("Status: 403")},
		resource.TestStep{Config: a.config("# an error must not come last")},
	)
}

// The token has the requested expiry, and no token is left open. TestCLIEphemeral shows that it is
// valid while it is open: plugin-testing serves all configurations of a provider with one instance,
// which has only one token.
func TestAccAPITokenEphemeral(t *testing.T) {
	a := newAcc(t)
	a = a.organization(t)
	d := a.added(a.domain())
	p := a.proxy(nil)
	config := func(attributes string) string {
		return a.configAt(p.URL, a.token,
			"ephemeral \"dcvaas_api_token\" \"test\" {\n  name = \"short\"\n  scopes = [\"domains:read\"]\n%s\n}\n%s",
			attributes, echo("ephemeral.dcvaas_api_token.test"))
	}
	step := func(attributes string, in time.Duration,
		checks ...statecheck.StateCheck) resource.TestStep {
		return resource.TestStep{Config: config(attributes), ConfigStateChecks: checks,
			Check: func(s *terraform.State) error {
				got := s.RootModule().Resources[echoed].Primary.Attributes
				at, err := time.Parse(time.RFC3339, got["data.expires_at"])
				if left := time.Until(at); err != nil || left > in || left < in-time.Minute {
					return fmt.Errorf("the token expires at %v, %w", at, err)
				}
				if _, err := a.clientWith(got["data.token"]).Domains(context.Background(),
					client.ListDomainsParams{}); !client.IsUnauthorized(err) {
					return fmt.Errorf("the token is valid after Close: %w", err)
				}
				return nil
			}}
	}
	a.runEchoing(step("", time.Hour, isEchoed("expires_in", knownvalue.StringExact("1h")),
		isEchoed("domain_ids", knownvalue.Null()),
		isEchoed("id", knownvalue.StringRegexp(tokenIDText)),
		isEchoed("token", knownvalue.StringRegexp(secretText)),
		isEchoed("token_prefix", knownvalue.NotNull())))
	a.runEchoing(step(fmt.Sprintf("expires_in = \"5m\"\ndomain_ids = [%q]", d.Id), 5*time.Minute,
		isEchoed("expires_in", knownvalue.StringExact("5m")),
		isEchoed("domain_ids", knownvalue.SetExact(
			[]knownvalue.Check{knownvalue.StringExact(d.Id)}))))

	opened, closed := p.count("POST /api/tokens"), p.count("DELETE /api/tokens/")
	if opened == 0 || opened != closed {
		t.Errorf("%d tokens were opened and %d closed", opened, closed)
	}
	a.noTokenIsLeft()
}

// noTokenIsLeft checks that the organization has no token except the test's own.
func (a *acc) noTokenIsLeft() {
	a.Helper()
	list, err := a.client.Tokens(a.Context(), client.ListTokensParams{Limit: new(200)})
	if err != nil || list.HasMore {
		a.Fatal(err)
	}
	for _, t := range list.Data {
		if !strings.HasPrefix(a.token, t.TokenPrefix) {
			a.Errorf("the token %s (%s) is left open", t.Name, t.Id)
		}
	}
}

// Errors about a token are at the attribute, under the provider's name.
func TestAccAPITokenEphemeral_rejected(t *testing.T) {
	a := newAcc(t)
	a = a.organization(t)
	fails := func(attributes, want string) resource.TestStep {
		return resource.TestStep{
			Config: a.config("ephemeral \"dcvaas_api_token\" \"test\" {\n%s\n}\n%s",
				attributes, echo("ephemeral.dcvaas_api_token.test.id")),
			ExpectError: message(want),
		}
	}
	a.runEchoing(
		fails("name = \" \"\nscopes = [\"domains:read\"]", "not only white space"),
		fails("name = \"x\"\nscopes = []", "at least 1"),
		fails("name = \"x\"\nscopes = [\"everything\"]", "must be one of domains:read"),
		fails("name = \"x\"\nscopes = [\"every:thing\"]", "must be one of domains:read"),
		fails("name = \"x\"\nscopes = [\"domains:read\"]\ndomain_ids = [\"example.com\"]",
			"must be the ID of a domain"),
		fails("name = \"x\"\nscopes = [\"domains:read\"]\nexpires_in = \"soon\"",
			"is not a duration such as 90d"),
		fails("name = \"x\"\nscopes = [\"domains:read\"]\nexpires_in = \"1ms\"", "expires_in ="),
		resource.TestStep{Config: a.config("# an error must not come last")},
	)
	a.noTokenIsLeft()
}

// A token is revoked after API failures, while Terraform is being stopped, and if it was already
// revoked.
func TestAPITokenEphemeralCloses(t *testing.T) {
	a := newAcc(t)
	a = a.organization(t)
	direct := a.endpoint
	isDelete := func(r *http.Request) bool { return r.Method == http.MethodDelete }
	for name, c := range map[string]struct {
		fault  func(http.ResponseWriter, *http.Request) bool
		before func(id string)
		want   string
	}{
		"at once":         {},
		"after two 503s":  {fault: answers(isDelete, 503, 503)},
		"already revoked": {before: func(id string) { _ = a.client.DeleteToken(t.Context(), id) }},
		"refused": {fault: answers(isDelete, 403),
			want: "Cannot revoke the API token tok_"},
	} {
		t.Run(name, func(t *testing.T) {
			b := *a
			b.T, b.endpoint = t, direct
			b.endpoint = b.proxy(c.fault).URL
			r := b.rpc()
			const kind = "dcvaas_api_token"
			typ := r.schemas.EphemeralResourceSchemas[kind].ValueType()
			opened, err := r.OpenEphemeralResource(t.Context(),
				&tfprotov6.OpenEphemeralResourceRequest{TypeName: kind,
					Config: r.value(typ,
						map[string]any{"name": "closes",
							"scopes": tftypes.NewValue(tftypes.Set{ElementType: tftypes.String},
								[]tftypes.Value{tftypes.NewValue(tftypes.String,
									"domains:read")})})})
			if err != nil {
				t.Fatal(err)
			}
			r.ok(opened.Diagnostics)
			id := r.attribute(opened.Result, typ, "id")
			if strings.Contains(string(opened.Private), r.attribute(opened.Result, typ, "token")) {
				t.Error("the private state contains the secret")
			}
			if c.before != nil {
				c.before(id)
			}
			ctx, stop := context.WithCancel(t.Context())
			stop()
			closed, err := r.CloseEphemeralResource(ctx,
				&tfprotov6.CloseEphemeralResourceRequest{TypeName: kind, Private: opened.Private})
			if err != nil {
				t.Fatal(err)
			}
			if c.want != "" {
				if len(closed.Diagnostics) != 1 ||
					!strings.HasPrefix(closed.Diagnostics[0].Summary, c.want) {
					t.Errorf("CloseEphemeralResource returns %v", closed.Diagnostics)
				}
				if err := a.client.DeleteToken(t.Context(), id); err != nil {
					t.Error(err)
				}
				return
			}
			r.ok(closed.Diagnostics)
			if _, err := a.client.Token(t.Context(), id); !client.IsNotFound(err) {
				t.Errorf("the token still exists: %v", err)
			}
		})
	}
	a.noTokenIsLeft()
}

// An open token configures another provider. The plan, the state, and the log at TRACE do not
// contain ephemeral values, although their consumers receive them.
func TestCLIEphemeral(t *testing.T) {
	a := newAcc(t)
	a = a.organization(t)
	name := a.domain()
	a.added(name)
	a.activate(name)
	tf := a.workspace(map[string]string{"main.tf": fmt.Sprintf(requiresDCVaaS+`
ephemeral "dcvaas_certificate_key" "test" {
  domain = %q
}

ephemeral "dcvaas_api_token" "test" {
  name   = "secret"
  scopes = ["domains:read"]
}

provider "dcvaas" {
  alias     = "reader"
  api_token = ephemeral.dcvaas_api_token.test.token
}

data "dcvaas_domains" "test" {
  provider = dcvaas.reader
}

resource "terraform_data" "test" {
  input = data.dcvaas_domains.test.names

  provisioner "local-exec" {
    command = "printenv KEY > key.out; printenv TOKEN > token.out"
    environment = {
      KEY   = ephemeral.dcvaas_certificate_key.test.private_key_pem
      TOKEN = ephemeral.dcvaas_api_token.test.token
    }
  }
}
`, name)})
	tf.env = append(tf.env, "TF_LOG=TRACE", "TF_LOG_PATH="+filepath.Join(tf.dir, "trace.log"))
	tf.run("plan", "-out=plan.bin")
	texts := map[string]string{"the plan": tf.run("show", "-json", "plan.bin")}
	maps.Copy(texts, tf.planFiles("plan.bin"))
	texts["the output"] = tf.run("apply", "-input=false", "plan.bin")
	texts["the state"], texts["the log"] = tf.read("terraform.tfstate"), tf.read("trace.log")

	key, token := tf.read("key.out"), strings.TrimSpace(tf.read("token.out"))
	if !strings.Contains(key, "BEGIN PRIVATE KEY") || !secretText.MatchString(token) {
		t.Fatal("the consumers did not receive the secrets, so the test proves nothing")
	}
	body := slices.MaxFunc(strings.Split(key, "\n"),
		func(a, b string) int { return len(a) - len(b) })
	if !strings.Contains(texts["the state"], name) {
		t.Error("the second provider did not read with the token")
	}
	for what, text := range texts {
		if strings.Contains(text, "PRIVATE KEY") || strings.Contains(text, body) {
			t.Errorf("%s contains the private key", what)
		}
		if strings.Contains(text, token) || strings.Contains(text, a.token) {
			t.Errorf("%s contains a token", what)
		}
	}
	tf.run("destroy", "-auto-approve")
	a.noTokenIsLeft()
}
