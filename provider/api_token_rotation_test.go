package provider

import (
	"errors"
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

// Within rotate_before_expiry, the next apply rotates the secret and sets a new expiry.
func TestAccAPIToken_rotation(t *testing.T) {
	a := newAcc(t)
	offset := time.Duration(0)
	a.now = func() time.Time { return time.Now().Add(offset) }
	token := statecheck.CompareValue(differs{})
	id := statecheck.CompareValue(same{})
	config := a.tokenConfig("rotating", "expires_in = \"24h\"\nrotate_before_expiry = \"8h\"")
	a.run(
		resource.TestStep{
			Config:           config,
			ConfigPlanChecks: pre(unknownOfToken("expires_at")...),
			ConfigStateChecks: []statecheck.StateCheck{token.AddStateValue(tokenAddress,
				at("token")), id.AddStateValue(tokenAddress, at("id")),
				tokenState("ready_for_rotation", knownvalue.Bool(false)),
				tokenState("expires_at", knownvalue.NotNull())},
		},
		resource.TestStep{
			PreConfig: func() { offset = 15 * time.Hour },
			Config:    config,
			ConfigPlanChecks: resource.ConfigPlanChecks{
				PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}},
		},
		resource.TestStep{
			PreConfig:          func() { offset = 16*time.Hour + time.Minute },
			RefreshState:       true,
			ExpectNonEmptyPlan: true,
		},
		resource.TestStep{
			PreConfig: func() { offset = 16*time.Hour + time.Minute },
			Config:    config,
			ConfigPlanChecks: pre(append(unknownOfToken("token", "expires_at"),
				tokenAction(plancheck.ResourceActionUpdate))...),
			ConfigStateChecks: []statecheck.StateCheck{token.AddStateValue(tokenAddress,
				at("token")), tokenState("ready_for_rotation", knownvalue.Bool(false))},
		},
		resource.TestStep{ // a longer rotate_before_expiry makes the token ready, and so rotates it
			Config: a.tokenConfig("rotating",
				"expires_in = \"24h\"\nrotate_before_expiry = \"20h\""),
			PreConfig: func() { offset += 5 * time.Hour },
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: append(unknownOfToken("token",
				"expires_at"), tokenAction(plancheck.ResourceActionUpdate))},
			ConfigStateChecks: []statecheck.StateCheck{token.AddStateValue(tokenAddress,
				at("token")), id.AddStateValue(tokenAddress, at("id"))},
		},
	)
}

// The previous secret remains valid for the grace period, and no longer.
func TestAccAPIToken_overlap(t *testing.T) {
	a := newAcc(t)
	var secrets []string
	secret := func(s *terraform.State) error {
		secrets = append(secrets,
			s.RootModule().Resources[tokenAddress].Primary.Attributes["token"])
		return nil
	}
	works := func(secret string) bool {
		_, err := a.clientWith(secret).Delegation(t.Context(), "example.com")
		if err != nil && !client.IsUnauthorized(err) {
			t.Error(err)
		}
		return err == nil
	}
	config := func(attributes string) string { return a.tokenConfig("overlap", attributes) }
	a.run(
		resource.TestStep{Config: config(`rotate_when_changed = { key = "1" }`), Check: secret},
		resource.TestStep{
			Config: config(`rotate_when_changed = { key = "2" }`),
			Check:  secret,
			ConfigStateChecks: []statecheck.StateCheck{tokenState("previous_valid_until",
				knownvalue.NotNull())},
		},
		resource.TestStep{
			PreConfig: func() {
				if !works(secrets[0]) || !works(secrets[1]) {
					t.Error("one of the secrets is not valid during the grace period")
				}
			},
			Config: config(
				"rotate_when_changed = { key = \"3\" }\nrotation_overlap = \"0s\""),
			ConfigStateChecks: []statecheck.StateCheck{tokenState("previous_valid_until",
				knownvalue.Null())},
			Check: func(s *terraform.State) error {
				_ = secret(s)
				if works(secrets[0]) || works(secrets[1]) || !works(secrets[2]) {
					return errors.New("another secret works than the last one")
				}
				return nil
			},
		},
	)
}

// A token that was rotated outside Terraform is rotated again, so that the state contains its
// secret.
func TestAccAPIToken_rotatedOutside(t *testing.T) {
	a := newAcc(t)
	config := a.tokenConfig("rotated outside", "")
	id := ""
	a.run(
		resource.TestStep{Config: config, Check: func(s *terraform.State) error {
			id = s.RootModule().Resources[tokenAddress].Primary.ID
			return nil
		}},
		resource.TestStep{
			PreConfig: func() {
				if _, err := a.client.RotateToken(t.Context(), id,
					client.TokenRotate{}); err != nil {
					t.Error(err)
				}
			},
			Config: config,
			ConfigPlanChecks: pre(append(unknownOfToken("token"),
				tokenAction(plancheck.ResourceActionUpdate))...),
			Check: func(s *terraform.State) error {
				attributes := s.RootModule().Resources[tokenAddress].Primary.Attributes
				if attributes["id"] != id {
					return errors.New("it was replaced")
				}
				_, err := a.clientWith(attributes["token"]).Delegation(t.Context(), "example.com")
				return err
			},
		},
	)
}

// An expired token does not break the plan: it is replaced.
func TestAccAPIToken_expired(t *testing.T) {
	a := newAcc(t)
	offset := time.Duration(0)
	a.now = func() time.Time { return time.Now().Add(offset) }
	token := statecheck.CompareValue(differs{})
	config := a.tokenConfig("short", `expires_in = "1h"`)
	a.run(
		resource.TestStep{Config: config,
			ConfigStateChecks: []statecheck.StateCheck{token.AddStateValue(tokenAddress,
				at("token"))}},
		resource.TestStep{
			PreConfig:        func() { offset = 61 * time.Minute },
			Config:           config,
			ConfigPlanChecks: pre(tokenAction(plancheck.ResourceActionDestroyBeforeCreate)),
			ConfigStateChecks: []statecheck.StateCheck{token.AddStateValue(tokenAddress,
				at("token"))},
		},
	)
}

// An expires_at in the past is a warning: the API would reject it.
func TestAccAPIToken_fixedTimeIsOver(t *testing.T) {
	a := newAcc(t)
	offset := time.Duration(0)
	a.now = func() time.Time { return time.Now().Add(offset) }
	until := func(d time.Duration) string {
		return a.tokenConfig("fixed", fmt.Sprintf("expires_at = %q",
			time.Now().Add(d).UTC().Format(time.RFC3339)))
	}
	config := until(time.Hour)
	a.run(
		resource.TestStep{Config: until(-time.Hour),
			ExpectError: regexp.MustCompile(`(?s)expires_at\s+=.*Request ID: `)},
		resource.TestStep{Config: config},
		resource.TestStep{
			PreConfig:        func() { offset = 61 * time.Minute },
			Config:           config,
			ConfigPlanChecks: pre(tokenAction(plancheck.ResourceActionNoop)),
			ConfigStateChecks: []statecheck.StateCheck{tokenState("ready_for_rotation",
				knownvalue.Bool(true))},
		},
		resource.TestStep{Config: until(3 * time.Hour),
			ConfigPlanChecks: pre(tokenAction(plancheck.ResourceActionDestroyBeforeCreate))},
	)
}
