package controlplane_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

func TestGrantOfARole(t *testing.T) {
	t.Parallel()
	member, admin, owner := controlplane.RoleMember.Grant(), controlplane.RoleAdmin.Grant(),
		controlplane.RoleOwner.Grant()
	if !slices.Equal(owner.Scopes, controlplane.Scopes()) {
		t.Errorf("RoleOwner.Grant().Scopes = %q, want %q", owner.Scopes, controlplane.Scopes())
	}
	for _, s := range controlplane.Scopes() {
		if member.Allows(s) != strings.HasSuffix(string(s), ":read") {
			t.Errorf("RoleMember.Grant().Allows(%s) = %v, want %v", s, member.Allows(s),
				!member.Allows(s))
		}
		if member.Allows(s) && !admin.Allows(s) {
			t.Errorf("RoleAdmin.Grant().Allows(%s) = false, want true", s)
		}
	}
	if got := controlplane.Role("stranger").Grant().Scopes; len(got) != 0 {
		t.Errorf("Role(stranger).Grant().Scopes = %q, want none", got)
	}
	if !member.AllowsDomain("dom_a") || member.ExpiresAt != nil {
		t.Errorf("RoleMember.Grant() = %+v, want no restriction to domains and no expiry", member)
	}
}

func TestCheckDomain(t *testing.T) {
	t.Parallel()
	g := &controlplane.Grant{DomainIDs: []string{"dom_a"}}
	if err := g.CheckDomain("job", "job_1", "dom_a"); err != nil {
		t.Errorf("CheckDomain of an allowed domain = %v, want nil", err)
	}
	if err := (&controlplane.Grant{}).CheckDomain("job", "job_1", "dom_b"); err != nil {
		t.Errorf("CheckDomain without a restriction = %v, want nil", err)
	}
	for _, c := range []struct{ noun, ref, domain, code, message string }{
		{"domain", "dom_b", "dom_b", "domain-not-allowed",
			`The token is restricted to some domains, and the domain "dom_b" is outside of them.`},
		{"domain", "b.example.com", "dom_b", "domain-not-allowed",
			`The token is restricted to some domains, and the domain "b.example.com" (domain dom_b) is outside of them.`},
		{"job", "job_1", "dom_b", "domain-not-allowed",
			`The token is restricted to some domains, and the job "job_1" (domain dom_b) is outside of them.`},
		{"job", "job_2", "", "token-restricted",
			`The token is restricted to some domains, and the job "job_2" belongs to none of them.`},
	} {
		err := controlplane.AsError(g.CheckDomain(c.noun, c.ref, c.domain))
		if err.Kind != controlplane.KindForbidden || err.Code != c.code ||
			err.Message != c.message || err.Fix == "" {
			t.Errorf("CheckDomain(%q, %q, %q) = %+v, want %s: %s", c.noun, c.ref, c.domain, err,
				c.code, c.message)
		}
	}
}

// The API description lists the same scopes as the table of roles.
func TestContractDescribesRoles(t *testing.T) {
	t.Parallel()
	description := regexp.MustCompile(
		`(?s)\n    Role:\n.*?description: \|\n(.*?)\n    [A-Z]`).FindStringSubmatch(text(t,
		"api/openapi.yaml"))
	if description == nil {
		t.Fatal("openapi.yaml has no description of Role")
	}
	member, admin, _ := strings.Cut(strings.Join(strings.Fields(description[1]), " "),
		"`admin` also has")
	if !strings.Contains(member, "`member` has every scope that reads") ||
		!strings.HasSuffix(admin, ". `owner` has all scopes.") {
		t.Errorf("description of Role in openapi.yaml = %q, want the scopes of member, admin, and owner", description[1])
	}
	var want []string
	for _, s := range controlplane.RoleAdmin.Grant().Scopes {
		if !controlplane.RoleMember.Grant().Allows(s) {
			want = append(want, string(s))
		}
	}
	var got []string
	for _, s := range regexp.MustCompile("`([a-z-]+:[a-z]+)`").FindAllStringSubmatch(admin, -1) {
		got = append(got, s[1])
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("scopes of an admin in openapi.yaml = %q, want %q", got, want)
	}
}

// The design document has the whole table, a line for each scope.
func TestDocumentationShowsRoles(t *testing.T) {
	t.Parallel()
	lines := regexp.MustCompile(
		"(?m)^\\| `([a-z-]+:[a-z]+)` \\| (.) \\| (.) \\| (.) \\|$").FindAllStringSubmatch(text(t,
		"../docs/design/tenancy-and-secrets.md"), -1)
	var got, want [][4]string
	for _, l := range lines {
		got = append(got, [4]string(l[1:]))
	}
	for _, s := range controlplane.Scopes() {
		line := [4]string{string(s)}
		for i, r := range []controlplane.Role{controlplane.RoleMember, controlplane.RoleAdmin,
			controlplane.RoleOwner} {
			if line[i+1] = "–"; r.Grant().Allows(s) {
				line[i+1] = "✓"
			}
		}
		want = append(want, line)
	}
	if !slices.Equal(got, want) {
		t.Errorf("the document has\n%q\nwant\n%q", got, want)
	}
}

func text(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
