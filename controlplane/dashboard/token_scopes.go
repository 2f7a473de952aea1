package dashboard

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// scopesShown is the number of scopes that a row shows without collapsing them.
const scopesShown = 2

// scopeDescriptions states what each scope permits.
var scopeDescriptions = map[controlplane.Scope]string{
	controlplane.ScopeDomainsRead:        "View domains, their checks, and timelines",
	controlplane.ScopeDomainsWrite:       "Add, change, and delete domains; check, issue, and renew",
	controlplane.ScopeCertificatesRead:   "View and download certificates without private keys",
	controlplane.ScopeCertificatesKey:    "Download private keys",
	controlplane.ScopeCertificatesRevoke: "Revoke certificates",
	controlplane.ScopeJobsRead:           "View jobs and their errors",
	controlplane.ScopeJobsWrite:          "Retry failed jobs",
	controlplane.ScopeTokensRead:         "View tokens without their secrets",
	controlplane.ScopeTokensWrite:        "Create, rename, rotate, and revoke tokens",
	controlplane.ScopeAuditRead:          "View and export the audit log",
	controlplane.ScopeOrganizationRead:   "View the organization, its plan, and its usage",
	controlplane.ScopeOrganizationWrite:  "Rename and delete the organization",
	controlplane.ScopeMembersRead:        "View members and invitations",
	controlplane.ScopeMembersWrite:       "Invite and remove members, change roles, and transfer ownership",
	controlplane.ScopeWebhooksRead:       "View webhooks and their deliveries",
	controlplane.ScopeWebhooksWrite:      "Create, change, and delete webhooks; redeliver events",
	controlplane.ScopeConnectionsRead:    "View DNS connections without their credentials, and their zones",
	controlplane.ScopeConnectionsWrite:   "Create, change, test, and delete DNS connections",
	controlplane.ScopeACMEDNSRead:        "View acme-dns accounts and registration keys, without their secrets",
	controlplane.ScopeACMEDNSWrite:       "Create, change, and delete acme-dns accounts and registration keys",
}

// scopeGroup has the scopes for one kind of object.
type scopeGroup struct {
	Label  string
	Scopes []scopeView
}

// scopeView is a scope with its description.
type scopeView struct {
	Scope, Description string
	Chosen             bool
}

// scopeGroups groups scopes by kind of object and marks the chosen ones.
func scopeGroups(all, chosen []controlplane.Scope) []scopeGroup {
	var groups []scopeGroup
	for _, s := range all {
		kind, _, _ := strings.Cut(string(s), ":")
		word := plain(kind)
		if len(groups) == 0 || groups[len(groups)-1].Label != word {
			groups = append(groups, scopeGroup{Label: word})
		}
		g := &groups[len(groups)-1]
		g.Scopes = append(g.Scopes, scopeView{Scope: string(s), Description: scopeDescriptions[s],
			Chosen: slices.Contains(chosen, s)})
	}
	return groups
}

// scopesTitle returns the title of a token's collapsed scopes, or "" for few scopes.
func scopesTitle(scopes []controlplane.Scope) string {
	switch n := len(scopes); {
	case n == len(controlplane.Scopes()):
		return "All scopes"
	case n > scopesShown:
		return fmt.Sprintf("%d scopes", n)
	}
	return ""
}
