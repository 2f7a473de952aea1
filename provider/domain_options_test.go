package provider

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
)

// An apply that waits for changed options is done when the certificate has them.
func TestAccDomain_changedOptions(t *testing.T) {
	a := newAcc(t)
	name := a.domain()
	a.delegate(name)
	config := func(options string) string {
		return a.config(`resource "dcvaas_domain" "test" {
  name = %q
  %s
}

resource "dcvaas_domain_validation" "test" {
  domain_id        = dcvaas_domain.test.id
  wait_for         = "certificate"
  options_revision = dcvaas_domain.test.options_revision
}

data "dcvaas_certificate" "test" {
  domain     = dcvaas_domain_validation.test.domain_id
  depends_on = [dcvaas_domain_validation.test]
}

data "dcvaas_domain" "test" {
  domain     = dcvaas_domain_validation.test.domain_id
  depends_on = [dcvaas_domain_validation.test]
}`, name, options)
	}
	const certificate, read = "data.dcvaas_certificate.test", "data.dcvaas_domain.test"
	wildcard := knownvalue.StringExact("*." + name)
	names := func(all ...knownvalue.Check) statecheck.StateCheck {
		return statecheck.ExpectKnownValue(certificate, at("names"), knownvalue.SetExact(all))
	}
	revision := func(address, attribute string, n int64) statecheck.StateCheck {
		return statecheck.ExpectKnownValue(address, at(attribute), knownvalue.Int64Exact(n))
	}
	validation := func(action plancheck.ResourceActionType) plancheck.PlanCheck {
		return plancheck.ExpectResourceAction(validationAddress, action)
	}
	empty := []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}
	a.run(
		resource.TestStep{
			Config: config(""),
			ConfigStateChecks: []statecheck.StateCheck{names(knownvalue.StringExact(name)),
				revision(domainAddress, "options_revision", 1),
				revision(certificate, "options_revision", 1)},
		},
		resource.TestStep{
			Config: config("wildcard = true"),
			ConfigPlanChecks: resource.ConfigPlanChecks{
				PreApply: []plancheck.PlanCheck{planned(plancheck.ResourceActionUpdate),
					unknown("options_revision"), validation(plancheck.ResourceActionUpdate)},
				PostApplyPostRefresh: empty,
			},
			ConfigStateChecks: []statecheck.StateCheck{
				names(knownvalue.StringExact(name), wildcard),
				revision(domainAddress, "options_revision", 2),
				revision(validationAddress, "options_revision", 2),
				revision(certificate, "options_revision", 2),
				revision(read, "options_revision", 2), revision(read, "certificate_revision", 2)},
		},
		resource.TestStep{
			Config: config("wildcard = true\n  labels = { team = \"shop\" }"),
			ConfigPlanChecks: resource.ConfigPlanChecks{
				PreApply: []plancheck.PlanCheck{planned(plancheck.ResourceActionUpdate),
					known("options_revision", knownvalue.Int64Exact(2)),
					validation(plancheck.ResourceActionNoop)},
				PostApplyPostRefresh: empty,
			},
		},
		resource.TestStep{
			Config:      config("auto_issue = false"),
			ExpectError: message("certificate with options_revision 3 can't succeed"),
		},
		resource.TestStep{
			Config: config(""),
			ConfigStateChecks: []statecheck.StateCheck{names(knownvalue.StringExact(name)),
				revision(certificate, "options_revision", 3)},
		},
	)
}

// options_revision makes sense only with a wait for the certificate.
func TestAccDomainValidation_revisionOfTheDelegation(t *testing.T) {
	a := newAcc(t)
	a.run(resource.TestStep{Config: a.validated(a.domain(), "  options_revision = 1"),
		ExpectError: message(`options_revision requires wait_for = "certificate"`)},
		resource.TestStep{Config: a.config(`# an error must not come last`)})
}

// A change of an option of the certificate warns what becomes of the certificate, if there is one.
func TestPlanWarnsOfTheOrder(t *testing.T) {
	t.Parallel()
	r := newRPC(&acc{T: t, now: time.Now})
	schema, settled := r.schemas.ResourceSchemas["dcvaas_domain"], settledResources(t)["dcvaas_domain"]
	typ := schema.ValueType()
	const ordered, byRequest = "A new certificate will be ordered",
		"No new certificate will be ordered"
	for name, tt := range map[string]struct {
		state, to map[string]any
		want      string // "" for no warning
	}{
		"wildcard":           {map[string]any{"auto_issue": true}, map[string]any{"wildcard": true}, ordered},
		"profile and CA":     {map[string]any{"auto_issue": true}, map[string]any{"profile": "tlsserver", "ca": "backup"}, ordered},
		"without auto_issue": {map[string]any{}, map[string]any{"wildcard": true}, byRequest},
		"without auto_issue from now on": {map[string]any{"auto_issue": true},
			map[string]any{"auto_issue": false, "key_type": "ec384"}, byRequest},
		"labels":                {map[string]any{"auto_issue": true}, map[string]any{"labels": textMap("team", "search")}, ""},
		"without a certificate": {map[string]any{"certificate_id": nil}, map[string]any{"wildcard": true}, ""},
	} {
		state := maps.Clone(settled.state)
		maps.Copy(state, tt.state)
		proposed := maps.Clone(state)
		maps.Copy(proposed, tt.to)
		config := map[string]any{"name": state["name"], "auto_issue": proposed["auto_issue"],
			"labels": proposed["labels"]}
		maps.Copy(config, tt.to)
		resp, err := r.PlanResourceChange(t.Context(), &tfprotov6.PlanResourceChangeRequest{
			TypeName: "dcvaas_domain", PriorState: r.value(typ, state),
			Config: r.value(typ, config), ProposedNewState: r.value(typ, proposed)})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range resp.Diagnostics {
			got = append(got, d.Severity.String()+" "+d.Summary)
			for option := range tt.to {
				if tt.want != "" && option != "auto_issue" && !strings.Contains(d.Detail, option) {
					t.Errorf("%s: detail = %q, want it to name %s", name, d.Detail, option)
				}
			}
		}
		if text := strings.Join(got, "; "); tt.want == "" && text != "" ||
			tt.want != "" && text != "WARNING "+tt.want {
			t.Errorf("%s: diagnostics = %q, want the warning %q", name, text, tt.want)
		}
	}
}
