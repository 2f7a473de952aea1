package provider

import (
	"context"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfversion"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

const memberAddress = "dcvaas_organization_member.test"

var (
	userIDText = regexp.MustCompile(`^usr_[0-9a-z]{26}$`)
	logins     atomic.Int64
)

// login returns a login that no other test uses.
func (a *acc) login() string { return fmt.Sprintf("octocat-%d", logins.Add(1)) }

func (a *acc) memberConfig(login, role string) string {
	return a.config(
		"resource \"dcvaas_organization_member\" \"test\" {\n  login = %q\n  role = %q\n}", login,
		role)
}

// invited invites a person outside Terraform.
func (a *acc) invited(login string, role client.Role) *client.Member {
	a.Helper()
	m, err := a.client.AddMember(context.Background(), client.MemberAdd{Login: login, Role: role})
	if err != nil {
		a.Fatal(err)
	}
	return m
}

func memberAction(a plancheck.ResourceActionType) plancheck.PlanCheck {
	return plancheck.ExpectResourceAction(memberAddress, a)
}

func memberState(name string, check knownvalue.Check) statecheck.StateCheck {
	return statecheck.ExpectKnownValue(memberAddress, at(name), check)
}

func unknownOfMember(names ...string) []plancheck.PlanCheck {
	var out []plancheck.PlanCheck
	for _, n := range names {
		out = append(out, plancheck.ExpectUnknownValue(memberAddress, at(n)))
	}
	return out
}

func TestAccMember_basic(t *testing.T) {
	a := newAcc(t).organization(t)
	login := a.login()
	a.run(resource.TestStep{
		Config: a.memberConfig(login, "admin"),
		ConfigPlanChecks: pre(append(unknownOfMember("id", "name", "state", "joined", "created_at"),
			memberAction(plancheck.ResourceActionCreate))...),
		ConfigStateChecks: []statecheck.StateCheck{
			memberState("id", knownvalue.StringRegexp(userIDText)),
			memberState("login", knownvalue.StringExact(login)),
			memberState("role", knownvalue.StringExact("admin")),
			memberState("name", knownvalue.StringExact("O"+login[1:])),
			memberState("state", knownvalue.StringExact("pending")),
			memberState("joined", knownvalue.Bool(false)),
			memberState("created_at", knownvalue.NotNull()),
		},
	})
}

// A change of the role is in place, the spelling of the login makes no difference, and another
// login replaces the member.
func TestAccMember_update(t *testing.T) {
	a := newAcc(t).organization(t)
	login := a.login()
	kept, replaced := statecheck.CompareValue(same{}), statecheck.CompareValue(differs{})
	id := at("id")
	a.run(
		resource.TestStep{Config: a.memberConfig(login, "member"),
			ConfigStateChecks: []statecheck.StateCheck{kept.AddStateValue(memberAddress, id),
				replaced.AddStateValue(memberAddress, id)}},
		resource.TestStep{
			Config:           a.memberConfig(strings.ToUpper(login), "member"),
			ConfigPlanChecks: pre(memberAction(plancheck.ResourceActionNoop)),
			ConfigStateChecks: []statecheck.StateCheck{memberState("login",
				knownvalue.StringExact(login))},
		},
		resource.TestStep{
			Config: a.memberConfig(login, "admin"),
			ConfigPlanChecks: pre(memberAction(plancheck.ResourceActionUpdate),
				plancheck.ExpectKnownValue(memberAddress, at("state"),
					knownvalue.StringExact("pending"))),
			ConfigStateChecks: []statecheck.StateCheck{
				memberState("role", knownvalue.StringExact("admin")),
				kept.AddStateValue(memberAddress, id)},
		},
		// A token can't add an owner.
		resource.TestStep{Config: a.memberConfig(login, "owner"),
			ExpectError: regexp.MustCompile(
				`(?s)role\s+=.*cannot\s+grant\s+the\s+role\s+owner.*Status: 403 role-exceeds\s+.*Request ID: \S+`)},
		resource.TestStep{
			Config: a.memberConfig(a.login(), "member"),
			ConfigPlanChecks: pre(append(unknownOfMember("id"),
				memberAction(plancheck.ResourceActionDestroyBeforeCreate))...),
			ConfigStateChecks: []statecheck.StateCheck{replaced.AddStateValue(memberAddress, id)},
		},
	)
}

func TestAccMember_import(t *testing.T) {
	a := newAcc(t).organization(t)
	login := a.login()
	made := a.invited(login, client.RoleMember)
	block := fmt.Sprintf("\n\nimport {\n  to = dcvaas_organization_member.test\n  id = %q\n}\n",
		strings.ToUpper(login))
	a.run(
		resource.TestStep{Config: a.memberConfig(login, "member"),
			ExpectError: regexp.MustCompile(`(?s)import it by its ID\s+` + made.Id +
				`.*Status: 409 member-exists`)},
		resource.TestStep{
			Config:           a.memberConfig(login, "member") + block,
			ConfigPlanChecks: pre(memberAction(plancheck.ResourceActionNoop)),
			ConfigStateChecks: []statecheck.StateCheck{
				memberState("id", knownvalue.StringExact(made.Id))},
		},
		resource.TestStep{ResourceName: memberAddress, ImportState: true, ImportStateVerify: true},
		resource.TestStep{ResourceName: memberAddress, ImportState: true, ImportStateVerify: true,
			ImportStateId: login},
		resource.TestStep{ResourceName: memberAddress, ImportState: true,
			ImportStateId: "somebody@example.com", ExpectError: message("is neither a user ID")},
		resource.TestStep{ResourceName: memberAddress, ImportState: true, ImportStateId: a.login(),
			ExpectError: message("Status: 404")},
		resource.TestStep{ResourceName: memberAddress, ImportState: true,
			ImportStateId: "usr_01k9z5w7r8e4bs6v0q1d2m3n4p", ExpectError: message("Status: 404")},
	)
}

func TestAccMember_identity(t *testing.T) {
	a := newAcc(t).organization(t)
	resource.Test(t, resource.TestCase{
		TerraformVersionChecks: []tfversion.TerraformVersionCheck{
			tfversion.SkipBelow(tfversion.Version1_12_0)},
		ProtoV6ProviderFactories: a.factories(),
		CheckDestroy:             a.checkDestroy,
		Steps: []resource.TestStep{
			{
				Config: a.memberConfig(a.login(), "member"),
				ConfigStateChecks: []statecheck.StateCheck{
					statecheck.ExpectIdentityValueMatchesState(memberAddress, at("id"))},
			},
			{ResourceName: memberAddress, ImportState: true,
				ImportStateKind: resource.ImportBlockWithResourceIdentity},
		},
	})
}

// A role that was changed and a member that was removed outside Terraform are restored.
func TestAccMember_drift(t *testing.T) {
	a := newAcc(t).organization(t)
	login := a.login()
	config := a.memberConfig(login, "member")
	a.run(
		resource.TestStep{Config: config},
		resource.TestStep{
			PreConfig: func() {
				if _, err := a.client.UpdateMember(t.Context(), login,
					client.MemberUpdate{Role: client.RoleAdmin}); err != nil {
					t.Error(err)
				}
			},
			Config:           config,
			ConfigPlanChecks: pre(memberAction(plancheck.ResourceActionUpdate)),
			ConfigStateChecks: []statecheck.StateCheck{
				memberState("role", knownvalue.StringExact("member"))},
		},
		resource.TestStep{
			PreConfig: func() {
				if err := a.client.RemoveMember(t.Context(), login); err != nil {
					t.Error(err)
				}
			},
			Config:           config,
			ConfigPlanChecks: pre(memberAction(plancheck.ResourceActionCreate)),
		},
	)
}

// The membership belongs to the account: it stays if the configuration adopts the new login.
func TestAccMember_renamedAtGitHub(t *testing.T) {
	a := newAcc(t).organization(t)
	before, after := a.login(), a.login()
	id := statecheck.CompareValue(same{})
	a.run(
		resource.TestStep{Config: a.memberConfig(before, "member"),
			ConfigStateChecks: []statecheck.StateCheck{id.AddStateValue(memberAddress, at("id"))}},
		resource.TestStep{
			PreConfig: func() {
				account := plane.dev.GitHub.Account(before)
				account.Login = after
				plane.dev.GitHub.SetAccount(account)
				// so that the service learns the new login
				a.organization(t).invited(after, client.RoleMember)
			},
			Config:            a.memberConfig(after, "member"),
			ConfigPlanChecks:  pre(memberAction(plancheck.ResourceActionNoop)),
			ConfigStateChecks: []statecheck.StateCheck{id.AddStateValue(memberAddress, at("id"))},
		},
		resource.TestStep{Config: a.memberConfig(before, "member"), PlanOnly: true,
			ExpectNonEmptyPlan: true},
	)
}

// API errors are at the attribute, with the request ID.
func TestAccMember_rejected(t *testing.T) {
	a := newAcc(t).organization(t)
	weak, err := a.client.CreateToken(t.Context(),
		client.TokenCreate{Name: "weak", Scopes: []client.Scope{client.ScopeMembersRead}})
	if err != nil {
		t.Fatal(err)
	}
	config := a.memberConfig(a.login(), "member")
	with := func(token string) string { return strings.Replace(config, a.token, token, 1) }
	nobody := regexp.MustCompile(`(?s)login\s+=.*Status: 422 login-unknown\s+.*Request ID: \S+`)
	a.run(
		resource.TestStep{Config: a.memberConfig("no-such-person", "member"), ExpectError: nobody},
		resource.TestStep{Config: a.memberConfig("org-dcvaas", "member"), ExpectError: nobody},
		resource.TestStep{Config: with(weak.Token),
			ExpectError: regexp.MustCompile(`(?s)members:write.*Status: 403.*Request ID: \S+`)},
		resource.TestStep{Config: with("dcv_" + strings.Repeat("0", 36)),
			ExpectError: message("Status: 401")},
		resource.TestStep{Config: config},
	)
}

// A rate limit and API failures are retried. The member is added once, and a member that was
// already removed causes no error.
func TestAccMember_retries(t *testing.T) {
	a := newAcc(t).organization(t)
	removed := false
	weak := answers(func(r *http.Request) bool { return r.Method == http.MethodPost }, 429, 503,
		503)
	p := a.proxy(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodDelete {
			removed = a.client.RemoveMember(context.Background(),
				strings.TrimPrefix(r.URL.Path, "/api/members/")) == nil
		}
		return weak(w, r)
	})
	a.run(resource.TestStep{Config: strings.Replace(a.memberConfig(a.login(), "member"), a.endpoint,
		p.URL, 1), ConfigPlanChecks: pre()})
	if n := p.count("POST /api/members"); n != 4 || !removed {
		t.Errorf("the API received %d calls, want 4; removed before: %v", n, removed)
	}
}

// Inputs that are known only after apply are applied correctly, and the next plan is empty.
func TestAccMember_unknownInputs(t *testing.T) {
	a := newAcc(t).organization(t)
	login := a.login()
	a.run(resource.TestStep{
		Config: a.config(`resource "terraform_data" "in" { input = { login = %q, role = "admin" } }

resource "dcvaas_organization_member" "test" {
  login = terraform_data.in.output.login
  role  = terraform_data.in.output.role
}`, login),
		ConfigPlanChecks: pre(unknownOfMember("login", "role")...),
		ConfigStateChecks: []statecheck.StateCheck{
			memberState("login", knownvalue.StringExact(login)),
			memberState("role", knownvalue.StringExact("admin"))},
	})
}

// The state follows the person's decision. A person who declined is not invited again
// automatically.
func TestAccMember_consent(t *testing.T) {
	for decision, want := range map[string]client.MemberState{"accept": client.MemberStateActive,
		"decline": client.MemberStateDeclined} {
		t.Run(decision, func(t *testing.T) {
			a := newAcc(t).organization(t)
			login := a.login()
			config := a.memberConfig(login, "member")
			id := statecheck.CompareValue(same{})
			a.run(
				resource.TestStep{Config: config,
					ConfigStateChecks: []statecheck.StateCheck{id.AddStateValue(memberAddress,
						at("id")), memberState("state", knownvalue.StringExact("pending"))}},
				resource.TestStep{
					PreConfig:        func() { a.decides(login, decision) },
					Config:           config,
					ConfigPlanChecks: pre(memberAction(plancheck.ResourceActionNoop)),
					ConfigStateChecks: []statecheck.StateCheck{id.AddStateValue(memberAddress,
						at("id")), memberState("state", knownvalue.StringExact(string(want)))},
				},
				resource.TestStep{
					Taint:  []string{memberAddress},
					Config: config,
					ConfigStateChecks: []statecheck.StateCheck{id.AddStateValue(memberAddress,
						at("id")), memberState("state", knownvalue.StringExact("pending"))},
				},
			)
		})
	}
}

// decides signs in as the login, and accepts or declines the organization's invitation.
func (a *acc) decides(login, decision string) {
	a.Helper()
	o, err := a.client.Organization(context.Background())
	if err != nil {
		a.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		a.Fatal(err)
	}
	browser := &http.Client{Jar: jar, CheckRedirect: func(r *http.Request,
		_ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), plane.dev.GitHub.URL()) {
			r.URL.RawQuery += "&login=" + login
		}
		return nil
	}}
	for _, step := range []func() (*http.Response, error){
		func() (*http.Response, error) { return browser.Get(a.endpoint + "/login/github") },
		func() (*http.Response, error) {
			return browser.PostForm(a.endpoint+"/invitations/"+o.Id+"/"+decision,
				url.Values{"role": {"member"}})
		},
	} {
		resp, err := step()
		if err != nil {
			a.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			a.Fatalf("%s: status %d", resp.Request.URL, resp.StatusCode)
		}
	}
}

func TestWarnOfConsent(t *testing.T) {
	t.Parallel()
	for state, want := range map[string]string{"pending": "", "active": "",
		"declined": "octocat declined the invitation",
		"expired":  "The invitation of octocat expired"} {
		var diags diag.Diagnostics
		warnOfConsent(&memberModel{Login: types.StringValue("octocat"),
			State: types.StringValue(state)}, &diags)
		got := ""
		if len(diags) > 0 {
			got = diags[0].Summary()
		}
		if got != want || diags.HasError() {
			t.Errorf("warnOfConsent(%s) warns %q, want %q", state, got, want)
		}
	}
}
