package provider

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/dnsprovider/dnsprovidertest"
)

const connectionAddress = "dcvaas_dns_connection.test"

var connectionIDText = regexp.MustCompile(`^con_[0-9a-z]{26}$`)

// playgroundCredentials are credentials of the playground DNS, which serves any zone.
func (a *acc) playgroundCredentials(zones ...string) client.DNSCredentials {
	return client.DNSCredentials{Server: plane.dev.Playground.DNSAddr(), KeyName: "playground",
		KeySecret: plane.dev.Env()["DCVAAS_PLAYGROUND_KEY"], Zones: zones}
}

// connection creates a DNS connection outside Terraform.
func (a *acc) connection(credentials client.DNSCredentials) *client.DNSConnection {
	a.Helper()
	c, err := a.client.CreateDNSConnection(context.Background(), client.DNSConnectionCreate{
		Type: client.DNSConnectionTypeRfc2136, Name: "outside", Credentials: credentials})
	if err != nil {
		a.Fatal(err)
	}
	return c
}

// connectionConfig is the configuration of a DNS connection with further resources.
func (a *acc) connectionConfig(
	name string, version int, c client.DNSCredentials, more string,
) string {
	return a.config(`resource "dcvaas_dns_connection" "test" {
  type = "rfc2136"
  name = %q
  credentials_wo = {
    server     = %q
    key_name   = %q
    key_secret = %q
    zones      = ["%s"]
  }
  credentials_wo_version = %d
}
%s`, name, c.Server, c.KeyName, c.KeySecret, strings.Join(c.Zones, `", "`), version, more)
}

func connectionAction(a plancheck.ResourceActionType) plancheck.PlanCheck {
	return plancheck.ExpectResourceAction(connectionAddress, a)
}

func connectionState(name string, check knownvalue.Check) statecheck.StateCheck {
	return statecheck.ExpectKnownValue(connectionAddress, at(name), check)
}

func setOfText(values ...string) knownvalue.Check {
	checks := make([]knownvalue.Check, len(values))
	for i, v := range values {
		checks[i] = knownvalue.StringExact(v)
	}
	return knownvalue.SetExact(checks)
}

func TestAccDNSConnection_basic(t *testing.T) {
	a := newAcc(t).organization(t)
	credentials := a.playgroundCredentials("acceptance.example", "Example.com.")
	other := a.playgroundCredentials("example.org")
	wrong := other
	wrong.KeySecret = "c2VjcmV0LW9mLXNvbWVib2R5LWVsc2U="
	kept := statecheck.CompareValue(same{})
	a.run(
		resource.TestStep{Config: a.connectionConfig("ns1", 1, wrong, ""),
			ExpectError: regexp.MustCompile(
				`(?s)credentials_wo = \{.*secret\s+of\s+the\s+key.*Status: 422 credentials-invalid`)},
		resource.TestStep{
			Config: a.connectionConfig("ns1", 1, credentials, ""),
			ConfigPlanChecks: pre(connectionAction(plancheck.ResourceActionCreate),
				plancheck.ExpectUnknownValue(connectionAddress, at("zones")),
				plancheck.ExpectUnknownValue(connectionAddress, at("status"))),
			ConfigStateChecks: []statecheck.StateCheck{
				connectionState("id", knownvalue.StringRegexp(connectionIDText)),
				connectionState("credentials_wo", knownvalue.Null()),
				connectionState("credentials_wo_version", knownvalue.Int64Exact(1)),
				connectionState("zones", setOfText("acceptance.example", "example.com")),
				connectionState("status", knownvalue.StringExact("ok")),
				connectionState("status_detail", knownvalue.Null()),
				connectionState("created_at", knownvalue.NotNull()),
				kept.AddStateValue(connectionAddress, at("id")),
			},
		},
		// Other credentials with the same version are not sent.
		resource.TestStep{Config: a.connectionConfig("ns1", 1, wrong, ""),
			ConfigPlanChecks: pre(connectionAction(plancheck.ResourceActionNoop))},
		resource.TestStep{Config: a.connectionConfig("ns2", 1, credentials, ""),
			ConfigPlanChecks: pre(connectionAction(plancheck.ResourceActionUpdate),
				plancheck.ExpectKnownValue(connectionAddress, at("status"),
					knownvalue.StringExact("ok"))),
			ConfigStateChecks: []statecheck.StateCheck{
				connectionState("name", knownvalue.StringExact("ns2")),
				kept.AddStateValue(connectionAddress, at("id"))}},
		resource.TestStep{Config: a.connectionConfig("ns2", 2, wrong, ""),
			ExpectError: regexp.MustCompile(`Status: 422 credentials-invalid`)},
		resource.TestStep{Config: a.connectionConfig("ns2", 2, other, ""),
			ConfigPlanChecks: pre(connectionAction(plancheck.ResourceActionUpdate)),
			ConfigStateChecks: []statecheck.StateCheck{
				connectionState("zones", setOfText("example.org")),
				kept.AddStateValue(connectionAddress, at("id"))}},
		resource.TestStep{ResourceName: connectionAddress, ImportState: true,
			ImportStateVerify: true, ImportStateVerifyIgnore: []string{"credentials_wo_version"}},
		resource.TestStep{ResourceName: connectionAddress, ImportState: true,
			ImportStateId: "ns2", ExpectError: regexp.MustCompile(`is not the ID of a DNS connection`)},
	)
}

// A connection that was deleted outside Terraform is created again, and one that is invalid is
// reported.
func TestAccDNSConnection_drift(t *testing.T) {
	a := newAcc(t).organization(t)
	id, config := "", a.connectionConfig("ns1", 1, a.playgroundCredentials("example.com"), "")
	a.run(
		resource.TestStep{Config: config, Check: idOf(connectionAddress, &id)},
		resource.TestStep{
			PreConfig: func() {
				if _, err := a.client.UpdateDNSConnection(t.Context(), id,
					client.DNSConnectionUpdate{Name: new("changed")}); err != nil {
					t.Error(err)
				}
			},
			Config:           config,
			ConfigPlanChecks: pre(connectionAction(plancheck.ResourceActionUpdate)),
			ConfigStateChecks: []statecheck.StateCheck{
				connectionState("name", knownvalue.StringExact("ns1"))},
		},
		resource.TestStep{
			PreConfig: func() {
				if err := a.client.DeleteDNSConnection(t.Context(), id); err != nil {
					t.Error(err)
				}
			},
			Config:           config,
			ConfigPlanChecks: pre(connectionAction(plancheck.ResourceActionCreate)),
		},
		resource.TestStep{Config: a.config(`resource "dcvaas_dns_connection" "test" {
  type = "rfc2136"
  name = "ns1"
}`), Destroy: false, ExpectNonEmptyPlan: false,
			ConfigPlanChecks: pre(connectionAction(plancheck.ResourceActionUpdate))},
	)
}

// A new connection needs credentials, which the plan reports.
func TestAccDNSConnection_withoutCredentials(t *testing.T) {
	a := newAcc(t).organization(t)
	a.run(resource.TestStep{Config: a.config(`resource "dcvaas_dns_connection" "test" {
  type = "rfc2136"
  name = "ns1"
}`), PlanOnly: true, ExpectError: regexp.MustCompile(`Credentials are missing`)},
		resource.TestStep{Config: a.config(`resource "dcvaas_dns_connection" "test" {
  type = "rfc2136"
  name = "ns1"
  timeouts = { delete = "0s" }
}`), PlanOnly: true, ExpectError: regexp.MustCompile(`0s is not positive`)},
		resource.TestStep{Config: a.config(`resource "dcvaas_domain" "test" {
  name = %q
  connection_id = "con_x"
}`, a.domain()), PlanOnly: true, ExpectError: regexp.MustCompile(`must be the ID of a DNS connection`)})
}

// One apply with a connection, a domain, and the wait for its certificate needs no record. Their
// destruction in one run leaves the zone as it was. The secret is in no file and no log.
func TestCLIDNSConnection(t *testing.T) {
	a := newAcc(t).organization(t)
	name := a.domain()
	credentials := a.playgroundCredentials("acceptance.example")
	tf := a.workspace(map[string]string{"main.tf": requiresDCVaaS + fmt.Sprintf(`
variable "secret" {
  type      = string
  ephemeral = true
}

resource "dcvaas_dns_connection" "test" {
  type = "rfc2136"
  name = "playground"
  credentials_wo = {
    server     = %q
    key_name   = %q
    key_secret = var.secret
    zones      = ["acceptance.example"]
  }
  credentials_wo_version = 1
}

resource "dcvaas_domain" "test" {
  name             = %q
  additional_names = ["www.%s"]
  connection_id    = dcvaas_dns_connection.test.id
}

resource "dcvaas_delegation" "test" {
  name          = "pinned.%s"
  connection_id = dcvaas_dns_connection.test.id
}

resource "dcvaas_domain_validation" "test" {
  domain_id = dcvaas_domain.test.id
  wait_for  = "certificate"
}

data "dcvaas_domain" "test" {
  domain = dcvaas_domain_validation.test.domain_id
}

output "status" {
  value = data.dcvaas_domain.test.status
}
`, credentials.Server, credentials.KeyName, name, name, name)})
	tf.env = append(tf.env, "TF_LOG=TRACE", "TF_LOG_PATH="+filepath.Join(tf.dir, "trace.log"),
		"TF_VAR_secret="+credentials.KeySecret)
	tf.run("plan", "-out=plan.bin")
	texts := map[string]string{"the plan": tf.run("show", "-json", "plan.bin"),
		"the output": tf.run("apply", "-input=false", "plan.bin"),
		"the state":  tf.read("terraform.tfstate")}
	if got := tf.outputs()["status"]; got != "active" {
		t.Errorf("the status of the domain is %v, want active", got)
	}
	if out := tf.run("plan"); !strings.Contains(out, "No changes.") {
		t.Errorf("the second plan is not empty:\n%s", out)
	}
	a.wantRecords(name, 3)
	tf.run("destroy", "-auto-approve")
	a.wantRecords(name, 0)
	texts["the log"] = tf.read("trace.log")
	if !strings.Contains(texts["the log"], "API request") {
		t.Error("the log contains no API requests")
	}
	maps.Copy(texts, tf.planFiles("plan.bin"))
	for what, text := range texts {
		if strings.Contains(text, credentials.KeySecret) {
			t.Errorf("%s contains the secret of the key", what)
		}
	}
}

// A connection that is replaced is replaced in the domain, too, and its records stay.
func TestCLIDNSConnectionReplaced(t *testing.T) {
	a := newAcc(t).organization(t)
	name := a.domain()
	credentials := a.playgroundCredentials("acceptance.example")
	config := a.connectionConfig("ns1", 1, credentials, fmt.Sprintf(`
resource "dcvaas_domain" "test" {
  name          = %q
  connection_id = dcvaas_dns_connection.test.id
}

resource "dcvaas_delegation" "test" {
  name          = "www.%s"
  connection_id = dcvaas_dns_connection.test.id
}

resource "dcvaas_domain_validation" "test" {
  domain_id = dcvaas_domain.test.id
}
`, name, name))
	tf := a.workspace(map[string]string{"main.tf": requiresDCVaaS + config})
	tf.run("apply", "-auto-approve")
	a.eventually("both records", func() bool { return a.records(name) == 2 })
	tf.run("apply", "-auto-approve", "-replace=dcvaas_dns_connection.test")
	if out := tf.run("plan"); !strings.Contains(out, "No changes.") {
		t.Errorf("the plan after the replacement is not empty:\n%s", out)
	}
	a.wantRecords(name, 2)
	tf.run("destroy", "-auto-approve")
}

// The wait for a domain whose record can't be created says why.
func TestAccDNSConnection_conflict(t *testing.T) {
	a := newAcc(t).organization(t)
	c := a.connection(a.playgroundCredentials("acceptance.example"))
	in := client.DomainCreate{Name: a.domain()}
	in.ConnectionId.Set(c.Id)
	a.setRecord("_acme-challenge."+in.Name, "TXT", "left by another client")
	d, err := a.client.CreateDomain(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.client.DeleteDomain(context.Background(), d.Id) })
	a.eventually("the conflict", func() bool {
		now, err := a.client.Domain(t.Context(), d.Id)
		return err == nil && now.StatusReason == "dns-conflict"
	})
	a.run(resource.TestStep{Config: a.config(`resource "dcvaas_domain_validation" "test" {
  domain_id = %q
  timeouts  = { create = "1s" }
}`, d.Id), ExpectError: regexp.MustCompile(`(?s)other\s+records.*dns-conflict|dns-conflict.*other\s+records`)})
}

// wantRecords compares the number of CNAMEs below a name in the playground.
func (a *acc) wantRecords(name string, want int) {
	a.Helper()
	if got := a.records(name); got != want {
		a.Errorf("%d CNAMEs of %s exist, want %d", got, name, want)
	}
}

// records returns the number of CNAMEs below a name in the playground.
func (a *acc) records(name string) (got int) {
	a.Helper()
	for _, n := range []string{name, "www." + name, "pinned." + name} {
		r, _, err := new(dns.Client).Exchange(new(dns.Msg).SetQuestion("_acme-challenge."+n+".",
			dns.TypeCNAME), plane.dev.Playground.DNSAddr())
		if err != nil {
			a.Fatal(err)
		}
		for _, rr := range r.Answer {
			if rr.Header().Rrtype == dns.TypeCNAME && rr.Header().Name == "_acme-challenge."+n+"." {
				got++
			}
		}
	}
	return got
}

// Name servers get the record of a domain, and lose it with the domain and the connection that are
// destroyed together. Other records stay.
func TestAccDNSConnection_nameServers(t *testing.T) {
	for host, start := range dnsprovidertest.Servers() {
		t.Run(host, func(t *testing.T) {
			a := newAcc(t).organization(t)
			server := start(t)
			credentials := client.DNSCredentials{Server: server.Address,
				KeyName: dnsprovidertest.Key, KeySecret: dnsprovidertest.KeySecret,
				Zones: []string{"example.com"}}
			record := func(name string, want int) resource.TestCheckFunc {
				return func(*terraform.State) error {
					got := server.Query("_acme-challenge."+name, dns.TypeCNAME)
					if len(got) != want {
						return fmt.Errorf("%s has %q, want %d CNAMEs", name, got, want)
					}
					return nil
				}
			}
			more := `resource "dcvaas_domain" "test" {
  name             = "shop.example.com"
  additional_names = ["txt.example.com", "www.example.net"]
  connection_id    = dcvaas_dns_connection.test.id
}

resource "dcvaas_delegation" "test" {
  name          = "pinned.example.com"
  connection_id = dcvaas_dns_connection.test.id
}`
			id := ""
			a.run(resource.TestStep{Config: a.connectionConfig("ns1", 1, credentials, more),
				Check: idOf("dcvaas_domain.test", &id)},
				resource.TestStep{
					PreConfig: func() { a.waitRecords(server, "shop", "pinned") },
					Config:    a.connectionConfig("ns1", 1, credentials, more),
					Check: resource.ComposeTestCheckFunc(record("shop.example.com", 1),
						record("pinned.example.com", 1), record("txt.example.com", 0))})
			for name, want := range map[string]int{"shop": 0, "pinned": 0} {
				if err := record(name+".example.com", want)(nil); err != nil {
					t.Errorf("after the destruction: %v", err)
				}
			}
			if got := server.Query("_acme-challenge.txt.example.com", dns.TypeTXT); len(got) != 1 {
				t.Errorf("after the destruction, the TXT record is %q, want it unchanged", got)
			}
		})
	}
}

// waitRecords waits until the server has the CNAMEs of names.
func (a *acc) waitRecords(server *dnsprovidertest.Server, names ...string) {
	a.Helper()
	for _, name := range names {
		a.eventually("the CNAME of "+name, func() bool {
			return len(server.Query("_acme-challenge."+name+".example.com", dns.TypeCNAME)) == 1
		})
	}
}

// A destruction waits while records are to be removed, but only as long as configured. Its error
// says how to leave them.
func TestAccDNSConnection_busy(t *testing.T) {
	a := newAcc(t).organization(t)
	var busy atomic.Int64
	p := a.proxy(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodDelete || busy.Add(-1) < 0 {
			return false
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.Header().Set("DCVaaS-API", "1")
		w.WriteHeader(http.StatusConflict)
		_, _ = fmt.Fprintf(w, `{"title": "DNS connection busy", "status": 409, "code": %q,
			"detail": "Records are still to be removed.", "request_id": "req_1", "retry_at": %q,
			"fix": "To leave the records at the DNS host, send records=keep."}`,
			client.CodeConnectionBusy,
			time.Now().Add(100*time.Millisecond).UTC().Format(time.RFC3339Nano))
		return true
	})
	config := func(limit string) string {
		return strings.Replace(strings.Replace(a.connectionConfig("ns1", 1,
			a.playgroundCredentials("example.com"), ""), "credentials_wo_version = 1",
			"credentials_wo_version = 1\n  timeouts = { delete = \""+limit+"\" }", 1), a.endpoint, p.URL, 1)
	}
	a.run(
		resource.TestStep{Config: config("1ms")},
		resource.TestStep{PreConfig: func() { busy.Store(1000) }, Config: config("1ms"),
			Destroy: true, ExpectError: regexp.MustCompile(
				`(?s)Records\s+are\s+still.*records=keep.*Status: 409 connection-busy.*req_1`)},
		resource.TestStep{PreConfig: func() { busy.Store(0) }, Config: config("5m")},
		resource.TestStep{PreConfig: func() { busy.Store(2) }, Config: config("5m"), Destroy: true},
	)
	if n := p.count("DELETE /api/dns-connections/"); n != 4 {
		t.Errorf("the API got %d deletions, want 1, and 3 with retries", n)
	}
}

// eventually waits until the condition is true.
func (a *acc) eventually(what string, ok func() bool) {
	a.Helper()
	for end := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			a.Fatalf("waiting for %s: it did not happen within 2 minutes", what)
		}
	}
}
