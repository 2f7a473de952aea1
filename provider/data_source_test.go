package provider

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

func TestAccDomainDataSource(t *testing.T) {
	a := newAcc(t)
	labels := client.Labels{"a": "b"}
	d, err := a.client.CreateDomain(context.Background(),
		client.DomainCreate{Name: a.domain(), Labels: &labels, Wildcard: new(true)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.client.DeleteDomain(context.Background(), d.Id) })
	const address = "data.dcvaas_domain.test"
	is := func(check knownvalue.Check, names ...string) statecheck.StateCheck {
		return statecheck.ExpectKnownValue(address, at(names...), check)
	}
	for _, ref := range []string{d.Id, d.Name, strings.ToUpper(d.Name) + "."} {
		a.run(resource.TestStep{
			Config:           a.config("data \"dcvaas_domain\" \"test\" {\n  domain = %q\n}", ref),
			ConfigPlanChecks: pre(),
			ConfigStateChecks: []statecheck.StateCheck{
				is(knownvalue.StringExact(d.Id), "id"), is(knownvalue.StringExact(d.Name), "name"),
				is(knownvalue.Bool(true), "wildcard"),
				is(knownvalue.StringExact("b"), "labels", "a"),
				is(knownvalue.StringExact(d.Delegation.Target), "delegation", "target"),
				is(knownvalue.StringExact("pending_cname"), "status"),
				is(knownvalue.Null(), "certificate_id"),
				is(knownvalue.StringExact("waiting"), "status_summary", "state"),
				is(knownvalue.StringExact("customer"), "status_summary", "actor"),
				is(knownvalue.StringExact("dns_check"), "status_summary", "next_event", "what"),
				statecheck.ExpectKnownValue(address,
					at("conditions").AtSliceIndex(0).AtMapKey("type"),
					knownvalue.StringExact("DNSReady")),
			},
		})
	}
	a.run(
		resource.TestStep{Config: a.config("data \"dcvaas_domain\" \"test\" {\n  domain = %q\n}",
			a.domain()), ExpectError: message("Status: 404")},
		resource.TestStep{Config: a.config("data \"dcvaas_domain\" \"test\" {\n  domain = %q\n}",
			"*"), ExpectError: message("is neither the ID of a domain")},
		resource.TestStep{Config: a.config("# an error must not come last")},
	)
}

func TestAccCertificateDataSource(t *testing.T) {
	a := newAcc(t)
	name := a.domain()
	a.delegate(name)
	const address = "data.dcvaas_certificate.test"
	config := a.config(`resource "dcvaas_domain" "test" {
  name     = %q
  wildcard = true
}

resource "dcvaas_domain_validation" "test" {
  domain_id = dcvaas_domain.test.id
  wait_for  = "certificate"
}

data "dcvaas_certificate" "test" {
  domain = dcvaas_domain_validation.test.domain_id
}`, name)
	is := func(name string, check knownvalue.Check) statecheck.StateCheck {
		return statecheck.ExpectKnownValue(address, at(name), check)
	}
	a.run(
		resource.TestStep{
			Config:           config,
			ConfigPlanChecks: pre(),
			ConfigStateChecks: []statecheck.StateCheck{
				is("names", knownvalue.ListExact([]knownvalue.Check{knownvalue.StringExact(name),
					knownvalue.StringExact("*." + name)})),
				is("key_type", knownvalue.StringExact("ec256")),
				is("has_key", knownvalue.Bool(true)), is("revoked_at", knownvalue.Null()),
				is("ca", knownvalue.StringExact("primary")), is("issuer", knownvalue.NotNull()),
				is("not_after", knownvalue.NotNull()),
			},
			Check: func(s *terraform.State) error {
				got := s.RootModule().Resources[address].Primary.Attributes
				for key, value := range got {
					if strings.Contains(value, "PRIVATE KEY") {
						t.Errorf("%s contains a private key", key)
					}
				}
				if got["fullchain_pem"] != got["certificate_pem"]+got["chain_pem"] {
					t.Error("fullchain_pem is not the certificate and its chain")
				}
				return verifyChain(got["fullchain_pem"], got["serial"], name, "x."+name)
			},
		},
	)
	a.run(
		resource.TestStep{
			Config: a.config(
				"resource \"dcvaas_domain\" \"test\" {\n  name = %q\n}\n\ndata \"dcvaas_certificate\" \"test\" {\n  domain = dcvaas_domain.test.id\n}", a.domain()),
			ExpectError: message("has no certificate yet"),
		},
		resource.TestStep{Config: a.config("# an error must not come last")},
	)
}

// verifyChain checks a certificate and its chain against the roots of the test CAs.
func verifyChain(chain, serial string, names ...string) error {
	block, rest := pem.Decode([]byte(chain))
	if block == nil {
		return fmt.Errorf("no PEM in %q", chain)
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return err
	}
	if got := fmt.Sprintf("%x", leaf.SerialNumber); strings.TrimLeft(serial, "0") != got {
		return fmt.Errorf("the serial is %s, want %s", got, serial)
	}
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	roots.AppendCertsFromPEM(plane.dev.Primary.RootsPEM())
	roots.AppendCertsFromPEM(plane.dev.Backup.RootsPEM())
	intermediates.AppendCertsFromPEM(rest)
	for _, name := range names {
		if _, err := leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots,
			Intermediates: intermediates}); err != nil {
			return err
		}
	}
	return nil
}

func TestAccFunctions(t *testing.T) {
	a := newAcc(t)
	ok := func(expression, want string) resource.TestStep {
		return resource.TestStep{
			Config: a.config("output \"out\" {\n  value = %s\n}", expression),
			ConfigStateChecks: []statecheck.StateCheck{statecheck.ExpectKnownOutputValue("out",
				knownvalue.StringExact(want))},
		}
	}
	fails := func(expression, want string) resource.TestStep {
		return resource.TestStep{Config: a.config("output \"out\" {\n  value = %s\n}", expression),
			ExpectError: message(want)}
	}
	a.run(
		ok(`provider::dcvaas::challenge_name("Bücher.Example.")`,
			"_acme-challenge.xn--bcher-kva.example"),
		ok(`provider::dcvaas::normalize_domain("Bücher.Example.")`, "xn--bcher-kva.example"),
		fails(`provider::dcvaas::challenge_name("*.example.com")`, "is a wildcard"),
		fails(`provider::dcvaas::normalize_domain("")`, "The name is empty"),
		fails(`provider::dcvaas::normalize_domain("a b")`, "contains white space."),
		fails(`provider::dcvaas::normalize_domain(null)`, "argument must not be null"),
		fails(`provider::dcvaas::challenge_name(null)`, "argument must not be null"),
		ok(`provider::dcvaas::normalize_domain(terraform_data.unknown.output)`+
			"\n}\nresource \"terraform_data\" \"unknown\" {\n  input = \"Example.com\"",
			"example.com"),
		ok(`provider::dcvaas::challenge_name(terraform_data.unknown.output)`+
			"\n}\nresource \"terraform_data\" \"unknown\" {\n  input = \"example.com\"",
			"_acme-challenge.example.com"),
	)
}
