package provider

import (
	"fmt"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
)

// A moved block keeps each resource unchanged: the plan is empty, and ID and secret stay.
func TestAcc_moved(t *testing.T) {
	for kind, c := range map[string]struct {
		attributes func(a *acc) string
		kept       []string
	}{
		"dcvaas_domain": {func(a *acc) string { return fmt.Sprintf("name = %q", a.domain()) },
			[]string{"id"}},
		"dcvaas_delegation": {func(a *acc) string { return fmt.Sprintf("name = %q", a.domain()) },
			[]string{"id"}},
		"dcvaas_domain_validation": {func(a *acc) string {
			d := a.added(a.domain())
			a.activate(d.Id)
			return fmt.Sprintf("domain_id = %q", d.Id)
		}, []string{"id"}},
		"dcvaas_api_token": {func(*acc) string {
			return "name = \"moving\"\n  scopes = [\"domains:read\"]"
		}, []string{"id", "token"}},
		"dcvaas_acmedns_account": {func(*acc) string { return `description = "moving"` },
			[]string{"id", "password", "password_version"}},
		"dcvaas_webhook": {func(*acc) string {
			return fmt.Sprintf("url = %q\n  secret_wo = %q\n  secret_wo_version = 1", webhookURL,
				webhookSecret(1))
		}, []string{"id", "secret_wo_version"}},
		"dcvaas_organization_member": {func(a *acc) string {
			return fmt.Sprintf("login = %q\n  role = \"member\"", a.login())
		}, []string{"id"}},
	} {
		t.Run(kind, func(t *testing.T) {
			a := newAcc(t).organization(t)
			attributes := c.attributes(a)
			var before, after []statecheck.StateCheck
			for _, name := range c.kept {
				value := statecheck.CompareValue(same{})
				before = append(before, value.AddStateValue(kind+".before", at(name)))
				after = append(after, value.AddStateValue(kind+".after", at(name)))
			}
			a.run(
				resource.TestStep{Config: a.config("resource %q \"before\" {\n  %s\n}", kind,
					attributes), ConfigStateChecks: before},
				resource.TestStep{
					Config: a.config(
						"resource %q \"after\" {\n  %s\n}\n\nmoved {\n  from = %s.before\n  to = %s.after\n}", kind, attributes, kind, kind),
					ConfigPlanChecks: pre(plancheck.ExpectEmptyPlan(),
						plancheck.ExpectResourceAction(kind+
							".after", plancheck.ResourceActionNoop)),
					ConfigStateChecks: after,
				},
			)
		})
	}
}
