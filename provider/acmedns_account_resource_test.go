package provider

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
)

const acmednsAddress = "dcvaas_acmedns_account.test"

// acmednsConfig is the configuration of an account with attributes.
func (a *acc) acmednsConfig(attributes string) string {
	return a.config("resource \"dcvaas_acmedns_account\" \"test\" {\n%s\n}", attributes)
}

func acmednsAction(a plancheck.ResourceActionType) plancheck.PlanCheck {
	return plancheck.ExpectResourceAction(acmednsAddress, a)
}

func acmednsState(name string, check knownvalue.Check) statecheck.StateCheck {
	return statecheck.ExpectKnownValue(acmednsAddress, at(name), check)
}

// publishes checks that the account in the state can publish a value, or that it can't.
func (a *acc) publishes(status int) resource.TestCheckFunc {
	return func(s *terraform.State) error {
		of := s.RootModule().Resources[acmednsAddress].Primary.Attributes
		return a.publish(of, status)
	}
}

// publish publishes a value with the attributes of an account, as a client does.
func (a *acc) publish(of map[string]string, status int) error {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost,
		of["server_url"]+"/update", strings.NewReader(fmt.Sprintf(
			`{"subdomain": %q, "txt": %q}`, of["subdomain"], strings.Repeat("a", 43))))
	if err != nil {
		return err
	}
	r.Header.Set("X-Api-User", of["username"])
	r.Header.Set("X-Api-Key", of["password"])
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	if resp.StatusCode != status {
		err = fmt.Errorf("POST %s = %s, want %d", r.URL, resp.Status, status)
	}
	_ = resp.Body.Close()
	return err
}

// The password in the state works, and so does the URL. All changes are in place.
func TestAccACMEDNSAccount_basic(t *testing.T) {
	a := newAcc(t).organization(t)
	var first map[string]string
	kept := statecheck.CompareValue(same{})
	version := statecheck.CompareValue(differs{})
	step := func(attributes string, act plancheck.ResourceActionType,
		checks ...statecheck.StateCheck) resource.TestStep {
		return resource.TestStep{Config: a.acmednsConfig(attributes),
			ConfigPlanChecks:  pre(acmednsAction(act)),
			ConfigStateChecks: append(checks, kept.AddStateValue(acmednsAddress, at("subdomain"))),
			Check:             a.publishes(http.StatusOK)}
	}
	create := step("", plancheck.ResourceActionCreate,
		acmednsState("id", knownvalue.StringRegexp(regexp.MustCompile(`^ada_[0-9a-z]{26}$`))),
		acmednsState("description", knownvalue.StringExact("")),
		acmednsState("allow_from", knownvalue.SetSizeExact(0)),
		acmednsState("delegation_id", knownvalue.Null()),
		statecheck.ExpectSensitiveValue(acmednsAddress, at("password")),
		version.AddStateValue(acmednsAddress, at("password_version")))
	create.Check = resource.ComposeTestCheckFunc(create.Check, func(s *terraform.State) error {
		first = s.RootModule().Resources[acmednsAddress].Primary.Attributes
		return nil
	})
	rotate := step(`rotate_when_changed = { quarter = "1" }`, plancheck.ResourceActionUpdate,
		version.AddStateValue(acmednsAddress, at("password_version")))
	rotate.ConfigPlanChecks.PreApply = append(rotate.ConfigPlanChecks.PreApply,
		plancheck.ExpectUnknownValue(acmednsAddress, at("password")),
		plancheck.ExpectKnownValue(acmednsAddress, at("fulldomain"), knownvalue.NotNull()))
	rotate.Check = resource.ComposeTestCheckFunc(rotate.Check, func(*terraform.State) error {
		return a.publish(first, http.StatusUnauthorized)
	})
	a.run(create,
		step(`description = "mail"`, plancheck.ResourceActionUpdate,
			acmednsState("description", knownvalue.StringExact("mail"))),
		step(`allow_from = ["127.0.0.0/8", "[::1]/128"]`, plancheck.ResourceActionUpdate,
			acmednsState("allow_from", knownvalue.SetSizeExact(2))),
		step(`allow_from = ["[::1]/128", "127.0.0.0/8"]`, plancheck.ResourceActionNoop),
		rotate,
		step(`rotate_when_changed = { quarter = "1" }`, plancheck.ResourceActionNoop),
	)
}

// An account uses the target of a delegation, and then its own again.
func TestAccACMEDNSAccount_delegation(t *testing.T) {
	a := newAcc(t).organization(t)
	const delegation = "dcvaas_delegation.test"
	config := func(attributes string) string {
		return a.config(`
resource "dcvaas_delegation" "test" {
  name = "mail.example.com"
}

resource "dcvaas_acmedns_account" "test" {
%s
}`, attributes)
	}
	var own string
	targets := func(delegated bool) resource.TestCheckFunc {
		return func(s *terraform.State) error {
			of := s.RootModule().Resources[acmednsAddress].Primary.Attributes
			target := s.RootModule().Resources[delegation].Primary.Attributes["target"]
			if own == "" {
				own = of["fulldomain"]
			}
			if want := map[bool]string{true: target, false: own}[delegated]; of["fulldomain"] !=
				want {
				return fmt.Errorf("fulldomain = %s, want %s", of["fulldomain"], want)
			}
			return a.publish(of, http.StatusOK)
		}
	}
	a.run(
		resource.TestStep{Config: config(""), Check: targets(false)},
		resource.TestStep{Config: config("delegation_id = dcvaas_delegation.test.id"),
			ConfigPlanChecks: pre(acmednsAction(plancheck.ResourceActionUpdate),
				plancheck.ExpectUnknownValue(acmednsAddress, at("fulldomain"))),
			Check: targets(true)},
		resource.TestStep{Config: config(""), Check: targets(false),
			ConfigPlanChecks: pre(acmednsAction(plancheck.ResourceActionUpdate))},
	)
}

// An import has no password. After a rotation outside Terraform, the state has none, either.
func TestAccACMEDNSAccount_import(t *testing.T) {
	a := newAcc(t).organization(t)
	var id string
	a.run(
		resource.TestStep{Config: a.acmednsConfig(`description = "mail"`),
			Check: idOf(acmednsAddress, &id)},
		resource.TestStep{ResourceName: acmednsAddress, ImportState: true,
			ImportStateVerify: true, ImportStateVerifyIgnore: []string{"password"}},
		resource.TestStep{ResourceName: acmednsAddress, ImportState: true, ImportStateId: "mail",
			ExpectError: regexp.MustCompile("is not the ID of an acme-dns account")},
		resource.TestStep{
			PreConfig: func() {
				if _, err := a.client.RotateACMEDNSAccount(context.Background(), id); err != nil {
					t.Fatal(err)
				}
			},
			Config:            a.acmednsConfig(`description = "mail"`),
			ConfigStateChecks: []statecheck.StateCheck{acmednsState("password", knownvalue.Null())},
		},
		resource.TestStep{
			Config: a.acmednsConfig("description = \"mail\"\nrotate_when_changed = { a = \"b\" }"),
			Check:  a.publishes(http.StatusOK),
		},
		resource.TestStep{
			PreConfig: func() {
				if err := a.client.DeleteACMEDNSAccount(context.Background(), id); err != nil {
					t.Fatal(err)
				}
			},
			Config:           a.acmednsConfig(`description = "mail"`),
			ConfigPlanChecks: pre(acmednsAction(plancheck.ResourceActionCreate)),
		},
	)
}
