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
	member, admin, owner := controlplane.RoleMember.Grant(), controlplane.RoleAdmin.Grant(), controlplane.RoleOwner.Grant()
	if !slices.Equal(owner.Scopes, controlplane.Scopes()) {
		t.Errorf("an owner has %q", owner.Scopes)
	}
	for _, s := range controlplane.Scopes() {
		if member.Allows(s) != strings.HasSuffix(string(s), ":read") {
			t.Errorf("a member, %s: %v", s, member.Allows(s))
		}
		if member.Allows(s) && !admin.Allows(s) {
			t.Errorf("an admin lacks a member's %s", s)
		}
	}
	if got := controlplane.Role("stranger").Grant().Scopes; len(got) != 0 {
		t.Errorf("no role has %q", got)
	}
	if !member.AllowsDomain("dom_a") || member.ExpiresAt != nil {
		t.Error("a role is restricted to domains, or in time")
	}
}

// The contract says the same as the table of roles.
func TestContractDescribesRoles(t *testing.T) {
	t.Parallel()
	description := regexp.MustCompile(`(?s)\n    Role:\n.*?description: \|\n(.*?)\n    [A-Z]`).FindStringSubmatch(text(t, "api/openapi.yaml"))
	if description == nil {
		t.Fatal("the contract does not describe Role")
	}
	member, admin, _ := strings.Cut(strings.Join(strings.Fields(description[1]), " "), "an admin also")
	if !strings.Contains(member, "a member every scope that reads") || !strings.HasSuffix(admin, "; an owner all.") {
		t.Errorf("%q", description[1])
	}
	var want []string
	for _, s := range controlplane.RoleAdmin.Grant().Scopes {
		if !controlplane.RoleMember.Grant().Allows(s) {
			want = append(want, string(s))
		}
	}
	var got []string
	for _, s := range regexp.MustCompile("`([a-z:]+)`").FindAllStringSubmatch(admin, -1) {
		got = append(got, s[1])
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the contract gives an admin %q, the table %q", got, want)
	}
}

// The design document has the whole table, a line for each scope.
func TestDocumentationShowsRoles(t *testing.T) {
	t.Parallel()
	lines := regexp.MustCompile("(?m)^\\| `([a-z]+:[a-z]+)` \\| (.) \\| (.) \\| (.) \\|$").FindAllStringSubmatch(text(t, "../docs/design/tenancy-and-secrets.md"), -1)
	var got, want [][4]string
	for _, l := range lines {
		got = append(got, [4]string(l[1:]))
	}
	for _, s := range controlplane.Scopes() {
		line := [4]string{string(s)}
		for i, r := range []controlplane.Role{controlplane.RoleMember, controlplane.RoleAdmin, controlplane.RoleOwner} {
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
