package dashboard

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// scopesShown is how many scopes a row shows unfolded.
const scopesShown = 2

// scopeDescriptions say what each scope lets a token do.
var scopeDescriptions = map[controlplane.Scope]string{
	controlplane.ScopeDomainsRead:        "See domains, their checks and timelines",
	controlplane.ScopeDomainsWrite:       "Add, change and delete domains; check, issue and renew",
	controlplane.ScopeCertificatesRead:   "See and download certificates, without their keys",
	controlplane.ScopeCertificatesKey:    "Download private keys",
	controlplane.ScopeCertificatesRevoke: "Revoke certificates",
	controlplane.ScopeJobsRead:           "See jobs and their errors",
	controlplane.ScopeJobsWrite:          "Retry jobs that failed",
	controlplane.ScopeTokensRead:         "See tokens, without their secrets",
	controlplane.ScopeTokensWrite:        "Create, rename, rotate and revoke tokens",
	controlplane.ScopeAuditRead:          "Read and export the audit log",
	controlplane.ScopeOrganizationRead:   "See the organization, its plan and its use",
	controlplane.ScopeOrganizationWrite:  "Rename and delete the organization",
	controlplane.ScopeMembersRead:        "See members and invitations",
	controlplane.ScopeMembersWrite:       "Invite and remove members, change their roles, hand over ownership",
	controlplane.ScopeWebhooksRead:       "See webhooks and their deliveries",
	controlplane.ScopeWebhooksWrite:      "Create, change and delete webhooks; send events again",
}

// scopeGroup are the scopes for one kind of object.
type scopeGroup struct {
	Label  string
	Scopes []scopeView
}

// scopeView is a scope, and whether it is chosen.
type scopeView struct {
	Scope, Description string
	Chosen             bool
}

// scopeGroups returns the scopes by their kind of object, those of chosen marked.
func scopeGroups(all, chosen []controlplane.Scope) []scopeGroup {
	var groups []scopeGroup
	for _, s := range all {
		kind, _, _ := strings.Cut(string(s), ":")
		word := plain(kind)
		if len(groups) == 0 || groups[len(groups)-1].Label != word {
			groups = append(groups, scopeGroup{Label: word})
		}
		g := &groups[len(groups)-1]
		g.Scopes = append(g.Scopes, scopeView{Scope: string(s), Description: scopeDescriptions[s], Chosen: slices.Contains(chosen, s)})
	}
	return groups
}

// scopesTitle returns what a token's scopes are folded under: nothing where they are few.
func scopesTitle(scopes []controlplane.Scope) string {
	switch n := len(scopes); {
	case n == len(controlplane.Scopes()):
		return "All scopes"
	case n > scopesShown:
		return fmt.Sprintf("%d scopes", n)
	}
	return ""
}
