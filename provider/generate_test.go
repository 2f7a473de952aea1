package provider

import (
	"strings"
	"testing"

	"github.com/oapi-codegen/nullable"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

// The configuration that Terraform generates for imported resources is valid, and plans nothing.
func TestCLIGeneratedConfiguration(t *testing.T) {
	a := newAcc(t).organization(t)
	ctx := t.Context()
	plain := a.added(a.domain())
	further := []string{"*.further-" + plain.Name, "www." + plain.Name}
	several, err := a.client.CreateDomain(ctx, client.DomainCreate{Name: a.domain(),
		AdditionalNames: &further, IssuePartial: new(true)})
	if err != nil {
		t.Fatal(err)
	}
	name := a.domain()
	labels := client.Labels{"team": "shop"}
	csr, err := a.client.CreateDomain(ctx, client.DomainCreate{Name: name,
		CsrPem:    nullable.NewNullableWithValue(makeCSR(t, "ec384", name)),
		Profile:   nullable.NewNullableWithValue("classic"),
		AutoIssue: new(false), AutoRenew: new(false), Labels: &labels})
	if err != nil {
		t.Fatal(err)
	}
	token, err := a.client.CreateToken(ctx, client.TokenCreate{Name: "generated",
		Scopes: []client.Scope{client.ScopeDomainsRead, client.ScopeJobsRead}})
	if err != nil {
		t.Fatal(err)
	}
	pinned, err := a.client.PinDelegation(ctx, a.domain())
	if err != nil {
		t.Fatal(err)
	}
	hook, err := a.client.CreateWebhook(ctx, client.WebhookCreate{Url: webhookURL,
		Events: &[]string{"domain.renewed"}})
	if err != nil {
		t.Fatal(err)
	}
	connection := a.connection(a.playgroundCredentials("acceptance.example"))
	account, err := a.client.CreateACMEDNSAccount(ctx, client.ACMEDNSAccountCreate{
		AllowFrom: &[]string{"192.0.2.0/24"}})
	if err != nil {
		t.Fatal(err)
	}
	member := a.invited(a.login(), client.RoleMember)
	blocks := requiresDCVaaS
	for to, id := range map[string]string{"dcvaas_domain.plain": plain.Id,
		"dcvaas_domain.csr": csr.Id, "dcvaas_domain.several": several.Id,
		"dcvaas_domain_validation.plain": plain.Id,
		"dcvaas_api_token.test":          token.Id, "dcvaas_delegation.test": pinned.Id,
		"dcvaas_webhook.test":             hook.Id,
		"dcvaas_dns_connection.test":      connection.Id,
		"dcvaas_acmedns_account.test":     account.Id,
		"dcvaas_organization_member.test": member.Id} {
		blocks += "\nimport {\n  to = " + to + "\n  id = \"" + id + "\"\n}\n"
	}
	tf := a.workspace(map[string]string{"main.tf": blocks})
	const nothing = "10 to import, 0 to add, 0 to change, 0 to destroy"
	for _, args := range [][]string{{"plan", "-generate-config-out=generated.tf"}, {"plan"}} {
		if out := tf.run(args...); !strings.Contains(out, nothing) {
			t.Errorf("terraform %s: want %s:\n%s", strings.Join(args, " "), nothing, out)
		}
	}
	tf.run("apply", "-auto-approve", "-input=false")
	if out := tf.run("plan"); !strings.Contains(out, "No changes.") {
		t.Errorf("the plan after the import is not empty:\n%s", out)
	}
}
